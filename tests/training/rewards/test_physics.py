"""Reward terms from simulation: the target does not matter, and GRPO runs on them alone."""

import gc
import json
from dataclasses import replace
from pathlib import Path

import pytest

from maniplvm.data import open_dataset, write_dataset
from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.rewards import resolve_preset, score_batch
from maniplvm.tasks import BoxTarget, TraceTarget, write_completion
from maniplvm.training import PhysicsSettings, build_recipe, train
from maniplvm.training.rewards.physics import PhysicsReward

pytest.importorskip("metaworld")

DATA = Path(__file__).parents[3] / "datasets" / "sim-small"
TASK = "plate-slide-side-v3"
FORMAT = {
    "name": "form",
    "affordance": {"format": {"weight": 0.2}},
    "trajectory": {"format": {"weight": 0.2}},
}
FRAME = FRAMES["qwen3_vl"]


@pytest.fixture(scope="module")
def pair():
    dataset = open_dataset(DATA)
    return [
        next(s for s in dataset.samples("adapt", task) if s.category == TASK)
        for task in ("affordance", "trajectory")
    ]


@pytest.fixture(scope="module")
def physics():
    return PhysicsReward(PhysicsSettings(progress=0.5, fit=0.5, workers=1, timeout=60))


def scored(physics, texts, samples):
    frames = [FRAME.bind(sample.image_size) for sample in samples]
    return physics.add_terms(score_batch(texts, samples, resolve_preset(FORMAT), frames), samples)


def written(target, sample):
    return write_completion(target, FRAME.bind(sample.image_size), "so")


def test_reference_answers_get_all_terms_and_wrong_or_unreadable_answers_none(physics, pair):
    box, trace = pair
    nonsense = TraceTarget([[1, 1], [3, 3], [5, 1]])
    texts = [
        written(box.target, box),
        written(BoxTarget([0, 0, 4, 4]), box),
        "no answer",
        written(trace.target, trace),
        written(nonsense, trace),
        "<think>a</think><answer>[[1,",
    ]
    samples = [box, box, box, trace, trace, trace]
    scores = scored(physics, texts, samples)
    assert [score.terms.get("touch") for score in scores[:3]] == [1, 0, 0]
    assert [score.terms.get("solved") for score in scores[3:]] == [1, 0, 0]
    assert scores[0].terms["fit"] > 0.3
    assert scores[2].total == scores[5].total == 0
    assert scores[3].total == pytest.approx(0.2 + 1 + 0.5)
    assert all(score.total == pytest.approx(sum(score.terms.values())) for score in scores)
    assert physics.lost == 0


def test_the_target_of_the_sample_does_not_matter(physics, pair):
    box, trace = pair
    texts = [written(box.target, box), written(trace.target, trace)]
    blind = [
        replace(box, target=BoxTarget([0, 0, 1, 1])),
        replace(trace, target=TraceTarget([[0, 0], [1, 1]])),
    ]
    with_labels = [score.total for score in scored(physics, texts, pair)]
    assert [score.total for score in scored(physics, texts, blind)] == with_labels


def test_an_answer_is_executed_only_once(physics, pair, monkeypatch):
    texts = [written(sample.target, sample) for sample in pair]
    first = scored(physics, texts, pair)
    monkeypatch.setattr(physics, "_open", lambda: pytest.fail("executed again"))
    assert [s.total for s in scored(physics, texts, pair)] == [s.total for s in first]


def test_a_task_whose_terms_weigh_nothing_is_not_execute(pair, monkeypatch):
    physics = PhysicsReward(PhysicsSettings(solved=2.0, touch=0.0, workers=1, timeout=60))
    tried = []
    real = physics._execute
    monkeypatch.setattr(physics, "_execute", lambda wanted: (tried.extend(wanted), real(wanted))[1])
    box, trace = scored(physics, [written(each.target, each) for each in pair], pair)
    assert box.terms == {"format": 0.2}
    assert trace.terms == {"format": 0.2, "solved": 2.0}
    assert [id for id, *_ in tried] == [pair[1].id]


def test_a_lost_worker_gives_no_reward_and_is_replaced_and_not_cached(pair):
    box = pair[0]
    physics = PhysicsReward(PhysicsSettings(workers=1, timeout=60))
    worker = physics._open()._workers[0]
    while not worker.ready:
        worker.receive()
    worker._process.kill()
    worker._process.join()
    text = [written(box.target, box)]
    (lost,) = scored(physics, text, [box])
    assert (lost.terms["touch"], physics.lost) == (0, 1)
    (again,) = scored(physics, text, [box])
    assert (again.terms["touch"], physics.lost) == (1, 0)


def test_samples_without_a_scene_are_refused_in_one_line(physics, pair):
    with pytest.raises(UserError, match="maniplvm simulate"):
        scored(physics, ["x"], [replace(pair[0], provenance={})])


@pytest.mark.parametrize(
    "bad", [{"solved": -1.0}, {"workers": 0}, {"timeout": 0.0}, {"solved": 0, "touch": 0}]
)
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(UserError, match=r"rewards\.physics"):
        PhysicsSettings(**bad)


def test_grpo_of_the_shipped_model_runs_two_steps_on_simulation_rewards_alone(pair, tmp_path):
    write_dataset(tmp_path / "data", pair, name="two")
    recipe = build_recipe(
        {
            "name": "physics",
            "model": {"source": "embedded"},
            "data": {"path": str(tmp_path / "data"), "split": "adapt"},
            "rewards": {"preset": FORMAT, "physics": {"fit": 0.5, "workers": 1}},
            "monitor": {"samples_every": 0},
            "trainer": {
                "max_steps": 2,
                "per_device_train_batch_size": 8,
                "num_generations": 4,
                "max_completion_length": 72,
                "learning_rate": 1e-4,
            },
        },
        "physics.yaml",
    )
    assert train(recipe, "grpo", tmp_path / "run")["finished"]
    gc.collect()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2]
    for line in log:
        names = {name for name in line if name.startswith("reward/")}
        assert names == {
            "reward/affordance/format",
            "reward/affordance/touch",
            "reward/affordance/fit",
            "reward/trajectory/format",
            "reward/trajectory/solved",
        }
        assert line["executions_lost"] == 0
    again = build_recipe(recipe.to_mapping(), "again")
    assert again.rewards == recipe.rewards
