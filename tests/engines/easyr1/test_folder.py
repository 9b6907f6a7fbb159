"""The folder of an EasyR1 run: rows, reward, configuration, command line."""

import io
import runpy
import subprocess

import pyarrow.parquet as parquet
import pytest
import yaml
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("trl")

from maniplvm.engines.easyr1.folder import export_recipe
from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.engines.verl.cluster import Cluster
from maniplvm.errors import UserError
from maniplvm.models import load_interface
from maniplvm.models.processor import smart_resize_of
from maniplvm.rewards import score_batch
from maniplvm.tasks import BoxTarget, Task, write_completion
from maniplvm.training.data.pool import open_pool
from maniplvm.training.data.rows import PromptRows, recipe_prompts
from tests.cli.images import png
from tests.engines.recipes import recipe, scene
from tests.evaluation.scenery import sample, stored

TWO = Cluster(gpus=2)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def folder(request, tmp_path_factory):
    return scene(tmp_path_factory.mktemp(request.param), request.param)


def exported(own, out, name="train.parquet", **options):
    export_recipe(own, out, TWO, **options)
    return parquet.read_table(out / name).to_pylist()


def test_prompts_images_and_targets_are_those_of_our_trainer_in_its_order(folder, tmp_path):
    own = recipe(folder, seed=5)
    rows = exported(own, tmp_path / "out")
    interface = load_interface(own.model.source)
    pool = open_pool(own)
    ours = PromptRows(pool, interface, recipe_prompts(own, interface), with_completion=False)
    assert len(rows) == 3 * 4
    for position, row in enumerate(rows):
        expected, each = ours.row(position), pool.at(position)
        assert row["prompt"] == "<image>" + expected["prompt"][0]["content"]
        (image,) = row["images"]
        assert image == {"bytes": each.image, "path": None}
        read, frame = read_ground_truth(row["answer"])
        assert (read.id, read.target, row["sample_id"]) == (each.id, each.target, each.id)
        assert frame.encode([[9.0, 9.0]]).tolist() == expected["frame"].encode([[9, 9]]).tolist()


def test_an_image_has_the_size_that_the_recipe_asks_for_after_the_stored_processor(tmp_path):
    folder = scene(tmp_path)
    own = recipe(folder, model={"min_pixels": 112 * 112, "max_pixels": 168 * 168})
    stored_processor = smart_resize_of(
        load_interface(str(folder / "model")).processor.image_processor
    )
    for row in exported(own, tmp_path / "out"):
        read, frame = read_ground_truth(row["answer"])
        image = Image.open(io.BytesIO(row["images"][0]["bytes"]))
        assert read.image_size == (64, 48)  # targets stay in pixels of the original
        assert stored_processor.size(image.size) == frame.view.seen
        assert frame.view.seen[0] * frame.view.seen[1] >= 112 * 112
    content = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    width, height = image.size
    assert content["data"]["max_pixels"] == width * height


def test_limits_that_the_stored_processor_would_undo_are_refused(tmp_path):
    folder = scene(tmp_path, "qwen3_vl")  # its smallest area is 256 x 256
    with pytest.raises(UserError, match="resize again; keep the limits between 65536 and"):
        export_recipe(recipe(folder, model={"max_pixels": 64 * 64}), tmp_path / "out", TWO)
    assert not (tmp_path / "out").exists()


def test_the_reward_file_has_the_documented_names_and_the_scores_of_the_recipe(folder, tmp_path):
    preset = {"name": "mine", "affordance": {"iou": {"weight": 3.0}}}
    own = recipe(folder, rewards={"preset": preset}, data={"task": "affordance"})
    (row, *_) = exported(own, tmp_path / "out")
    module = runpy.run_path(str(tmp_path / "out" / "reward.py"))
    assert module["REWARD_TYPE"] == "batch"
    each, frame = read_ground_truth(row["answer"])
    text = write_completion(each.target, frame, "the handle")
    inputs = [{"response": text, "response_length": 9, "ground_truth": row["answer"]}]
    (scored,) = module["compute_score"](inputs)
    expected = score_batch([text], [each], preset, [frame])[0].total
    assert scored["overall"] == pytest.approx(expected, abs=1e-12)
    assert scored["overall"] > 2


def test_run_sh_starts_easyr1_with_the_files_of_its_folder(folder, tmp_path):
    exported(recipe(folder), tmp_path / "out", "val.parquet", val_split="id_test")
    folder_bin = tmp_path / "bin"
    folder_bin.mkdir()
    program = folder_bin / "python3"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    variables = {"PATH": f"{folder_bin}:/usr/bin:/bin", "OUT": str(tmp_path / "run")}
    words = subprocess.run(
        ["bash", str(tmp_path / "out" / "run.sh"), "trainer.max_steps=1"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    out = tmp_path / "out"
    assert words == [
        *("-m", "verl.trainer.main", f"config={out}/config.yaml"),
        f"data.train_files={out}/train.parquet",
        f"data.val_files={out}/val.parquet",
        f"worker.reward.reward_function={out}/reward.py:compute_score",
        f"trainer.save_checkpoint_path={tmp_path}/run",
        "trainer.max_steps=1",
    ]


def test_the_same_seed_gives_the_same_folder_and_another_one_another_order(folder, tmp_path):
    first = exported(recipe(folder, seed=1), tmp_path / "a")
    assert exported(recipe(folder, seed=1), tmp_path / "b") == first
    for name in ("run.sh", "reward.py", "config.yaml", "README.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert exported(recipe(folder, seed=2), tmp_path / "c") != first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instruction": "press <image> now"}, "its prompt holds <image>, which EasyR1 would"),
        ({"instruction": "press <video> now"}, "its prompt holds <video>"),
        ({"image": None}, "has no image"),
        ({"image_size": (2000, 6), "image": png(2000, 6)}, "a 2000x6 image is too narrow"),
    ],
)
def test_a_sample_that_easyr1_cannot_use_is_one_line_with_its_id(tmp_path, changes, message):
    folder = scene(tmp_path)
    odd = sample(Task.AFFORDANCE, split="train", target=BoxTarget([1, 1, 5, 5]), **changes)
    stored(folder / "odd", [odd])
    own = recipe(folder, data={"path": str(folder / "odd"), "task": "affordance"})
    with pytest.raises(UserError, match=message) as raised:
        export_recipe(own, tmp_path / "out", TWO)
    assert "train/open/0/0/affordance" in str(raised.value)
    assert not (tmp_path / "out").exists()
