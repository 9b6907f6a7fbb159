import hashlib
import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from maniplvm.data import open_dataset
from maniplvm.errors import UserError
from maniplvm.files import writing
from maniplvm.simulation.generation import runners
from maniplvm.simulation.generation.generate import generate
from maniplvm.simulation.generation.jobs import JobStore
from maniplvm.simulation.generation.plan import SPLITS, Plan, shard_of
from maniplvm.simulation.labels.instructions import instructions
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.randomization.domain_randomization import DomainRandomization
from maniplvm.tasks.sample import Task

pytestmark = [pytest.mark.sim, pytest.mark.gl, pytest.mark.usefixtures("opengl")]

PLAN = Plan(
    scenes={"train": 2, "id_test": 1, "ood_tasks": 1},
    tasks=("push-v3", "drawer-open-v3", "window-close-v3"),
    views=2,
    size=96,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory, opengl):
    out = tmp_path_factory.mktemp("made") / "data"
    images = []
    report = generate(PLAN, out, name="made", progress=images.append)
    assert sum(images) == PLAN.images
    return out, report


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def samples(made):
    return list(open_dataset(made[0]).samples())


def test_every_image_carries_both_tasks(samples):
    assert len(samples) == 2 * PLAN.images
    for box, trace in zip(samples[::2], samples[1::2], strict=True):
        assert (box.task, trace.task) == (Task.AFFORDANCE, Task.TRAJECTORY)
        assert box.image == trace.image
        assert box.instruction == trace.instruction
        assert box.id.rpartition("/")[0] == trace.id.rpartition("/")[0]


def test_images_have_the_size_that_samples_claim(samples):
    for sample in samples:
        assert Image.open(io.BytesIO(sample.image)).size == sample.image_size == (96, 96)


def test_targets_lie_in_the_image(samples):
    for sample in samples:
        points = sample.target.points
        assert (points >= 0).all()
        assert (points <= 96).all()
        assert sample.task == Task.AFFORDANCE or 3 <= len(points) <= 10


def test_no_scene_task_or_phrasing_leaks_into_a_test_split(samples):
    def values(split, read):
        return {read(sample) for sample in samples if sample.split == split}

    def scene(sample):
        return sample.category, sample.provenance["seed"]

    assert not values("train", scene) & values("id_test", scene)
    assert not values("train", lambda s: s.category) & values("ood_tasks", lambda s: s.category)
    for sample in samples:
        known = instructions("metaworld", sample.category)
        is_training = SPLITS[sample.split].is_training
        assert sample.instruction in (known.seen if is_training else known.seen + known.held_out)


def test_provenance_rebuilds_camera_and_trace(samples, metaworld):
    for box, trace in zip(samples[::2], samples[1::2], strict=True):
        record = Provenance.from_json(box.provenance)
        assert record.to_json() == dict(trace.provenance)
        assert np.array_equal(record.trace, trace.target.points)
        points = record.camera.unproject(record.trace, record.waypoint_depths)
        assert np.allclose(record.camera.project(points)[0], record.trace, atol=1e-3)
        assert len(record.gripper) == len(record.trace)
        assert record.versions == metaworld.versions()
        assert 0.6 <= record.visible_fraction <= 1
        assert 0 <= record.contact_waypoint < len(record.trace)


def test_the_backprojected_trace_starts_at_the_rebuilt_end_effector(samples, open_scene):
    record = Provenance.from_json(samples[0].provenance)
    scene = open_scene(record.task)
    scene.reset(record.seed)
    points = record.camera.unproject(record.trace, record.waypoint_depths)
    assert np.allclose(points[0] - record.traced_offset, scene.end_effector(), atol=1e-3)


def test_provenance_that_lacks_a_field_is_refused(samples):
    plain = dict(samples[0].provenance)
    del plain["gripper"]
    with pytest.raises(ValueError, match="lacks gripper"):
        Provenance.from_json(plain)


def test_shards_write_the_same_bytes_as_one_run(made, tmp_path):
    out = tmp_path / "data"
    first = generate(PLAN, out, name="made", shard="1/2")
    assert first.missing
    assert not out.exists()
    last = generate(PLAN, out, name="made", shard="2/2")
    assert not last.missing
    assert digests(out) == digests(made[0])
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_workers_write_the_same_bytes_as_one_process(made, tmp_path):
    out = tmp_path / "data"
    generate(PLAN, out, name="made", workers=2)
    assert digests(out) == digests(made[0])


def test_an_interrupted_run_resumes_without_repeating_jobs(made, tmp_path, monkeypatch):
    out, done, generate_job = tmp_path / "data", [], runners.generate_job

    def interrupted(job, plan):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(job.name)
        return generate_job(job, plan)

    monkeypatch.setattr(runners, "generate_job", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(PLAN, out, name="made")
    assert not out.exists()
    monkeypatch.setattr(
        runners,
        "generate_job",
        lambda job, plan: done.append(job.name) or generate_job(job, plan),
    )
    generate(PLAN, out, name="made")
    assert len(done) == len(set(done)) == len(PLAN.jobs())
    assert digests(out) == digests(made[0])


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_run_killed_after_its_last_job_is_finished_by_the_next_call(
    made, tmp_path, monkeypatch, is_moved
):
    out, report = tmp_path / "data", made[1]
    shutil.copytree(made[0], out)
    JobStore(out, PLAN)  # the folder of the jobs, which a finished run removes last
    if not is_moved:  # killed before the files moved into place
        (out / "dataset.committed").mkdir()
        for path in [each for each in out.iterdir() if each.is_file()]:
            path.rename(out / "dataset.committed" / path.name)
    monkeypatch.setattr(runners, "generate_job", None)
    assert generate(PLAN, out, name="made") == report
    assert digests(out) == digests(made[0])
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_leftovers_of_a_killed_write_do_not_stop_the_next_run(tmp_path, monkeypatch):
    out = tmp_path / "data"
    (out / "dataset.unfinished").mkdir(parents=True)
    monkeypatch.setattr(runners, "generate_job", lambda job, plan: ([], {}))
    with pytest.raises(UserError, match="no sample was added"):
        generate(PLAN, out, name="made")


def test_dropped_images_are_counted_by_cause(tmp_path, monkeypatch):
    monkeypatch.setattr("maniplvm.simulation.generation.sampler.MIN_VISIBLE", 2.0)
    plan = replace(PLAN, scenes={"train": 1}, tasks=("push-v3",))
    with pytest.raises(UserError, match="no sample"):
        generate(plan, tmp_path / "data", name="none")
    store = JobStore(tmp_path / "data", plan)
    assert [store.drops(job) for job in plan.jobs()] == [{"train": {"part hidden": 2}}]


def test_an_existing_folder_is_not_overwritten(made):
    with pytest.raises(UserError, match="already exists"):
        generate(PLAN, made[0], name="made")


def test_the_jobs_of_another_plan_are_refused(tmp_path):
    out = tmp_path / "data"
    generate(PLAN, out, name="made", shard="3/3")
    with pytest.raises(UserError, match="other settings"):
        generate(replace(PLAN, size=100), out, name="made")


def test_without_randomization_all_views_of_a_scene_are_equal(made, tmp_path):
    plan = replace(
        PLAN,
        randomization=DomainRandomization.without(["all"]),
        scenes={"train": 1},
        tasks=("push-v3",),
    )
    generate(plan, tmp_path / "data", name="plain")
    plain = list(open_dataset(tmp_path / "data").samples())
    views = {sample.image for sample in plain}
    assert len(views) == 1  # no randomization, so both views are equal
    assert plain[0].provenance["look"] == {"distractors": []}


@pytest.mark.parametrize("shard", ["0/2", "3/2", "a/b", "1", "/"])
def test_an_impossible_shard_is_refused(shard):
    with pytest.raises(UserError, match="--shard"):
        shard_of(PLAN.jobs(), shard)


def test_shards_cover_every_job_once():
    jobs = replace(PLAN, tasks=(), scenes={"train": 20}).jobs()
    shards = [job for number in range(1, 6) for job in shard_of(jobs, f"{number}/5")]
    assert sorted(job.name for job in shards) == sorted(job.name for job in jobs)
    assert sum(len(job.scenes) for job in jobs) == 34 * 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 8}, "--size"),
        ({"views": 0}, "--views"),
        ({"seed": 100}, "--seed"),
        ({"tasks": ("fold-laundry",)}, "fold-laundry"),
        ({"scenes": {"validation": 1}}, "validation"),
    ],
)
def test_an_impossible_plan_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        replace(PLAN, **change)


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("name", ["{job}.json", "{job}/dataset.json", "{job}/train.parquet"])
def test_a_job_whose_files_were_cut_is_repeated(made, tmp_path, name, share):
    out = tmp_path / "data"
    generate(PLAN, out, name="made", shard="1/2")
    store = JobStore(out, PLAN)
    job = next(job for job in PLAN.jobs() if (store.folder / job.name / "train.parquet").exists())
    path = store.folder / name.format(job=job.name)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert not store.has(job)
    generate(PLAN, out, name="made", shard="1/1")
    assert digests(out) == digests(made[0])
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_damaged_plan_is_named(tmp_path):
    store = JobStore(tmp_path / "data", PLAN)
    (store.folder / "plan.json").write_text("{")
    with pytest.raises(UserError, match=r"plan.json: damaged; remove the folder"):
        JobStore(tmp_path / "data", PLAN)


def test_two_processes_do_not_generate_the_same_shard(tmp_path):
    out = tmp_path / "data"
    store = JobStore(out, PLAN)
    with (
        writing(store.folder / "shard-1-of-2"),
        pytest.raises(UserError, match="shard-1-of-2: another process writes to it"),
    ):
        generate(PLAN, out, name="made", shard="1/2")
