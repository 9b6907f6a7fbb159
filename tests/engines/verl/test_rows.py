"""Rows of verl's data files."""

import io

import pyarrow.parquet as parquet
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("trl")

from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.engines.verl.cluster import Cluster
from maniplvm.engines.verl.folder import TRAIN, VAL, export_recipe
from maniplvm.engines.verl.rows import IMAGE
from maniplvm.errors import UserError
from maniplvm.models import load_interface
from maniplvm.tasks import BoxTarget, Task
from maniplvm.training.data.pool import open_pool
from maniplvm.training.data.rows import PromptRows, recipe_prompts
from tests.cli.images import png
from tests.engines.recipes import recipe, scene
from tests.evaluation.scenery import sample, stored

TWO = Cluster(gpus=2)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def folder(request, tmp_path_factory):
    return scene(tmp_path_factory.mktemp(request.param), request.param)


def exported(own, out, name=TRAIN, **options):
    export_recipe(own, out, TWO, **options)
    return parquet.read_table(out / name).to_pylist()


def test_prompts_images_and_targets_are_those_of_our_trainer_in_its_order(folder, tmp_path):
    own = recipe(folder, seed=5)
    rows = exported(own, tmp_path / "out")
    interface = load_interface(own.model.source)
    pool = open_pool(own)
    ours = PromptRows(pool, interface, recipe_prompts(own, interface), with_completion=False)
    assert len(rows) == 3 * 4  # 2 GPUs x 4 rows x 2 steps make 4 prompts of 4 completions
    for position, row in enumerate(rows):
        expected, each = ours.row(position), pool.at(position)
        (turn,) = row["prompt"]
        assert turn == {"role": "user", "content": IMAGE + expected["prompt"][0]["content"]}
        (image,) = row["images"]
        assert image["bytes"] == each.image
        decoded = Image.open(io.BytesIO(image["bytes"])).convert("RGB")
        assert decoded.tobytes() == expected["image"].tobytes()
        read, frame = read_ground_truth(row["reward_model"]["ground_truth"])
        assert (read.id, read.target) == (each.id, each.target)
        assert frame.encode([[9.0, 9.0]]).tolist() == expected["frame"].encode([[9, 9]]).tolist()
        assert row["data_source"] == f"maniplvm/{each.task}"
        assert row["ability"] == each.task
        assert row["extra_info"] == {"split": "train", "index": position, "id": each.id}


def test_the_row_holds_the_limits_of_the_recipes_processor(tmp_path):
    own = recipe(scene(tmp_path), model={"max_pixels": 112 * 112, "min_pixels": 64 * 64})
    for row in exported(own, tmp_path / "out"):
        (image,) = row["images"]
        assert (image["min_pixels"], image["max_pixels"]) == (64 * 64, 112 * 112)
        _, frame = read_ground_truth(row["reward_model"]["ground_truth"])
        assert frame.view.seen[0] * frame.view.seen[1] >= 64 * 64


def test_limits_that_the_stored_processor_would_undo_are_refused(tmp_path):
    folder = scene(tmp_path, "qwen3_vl")  # its smallest area is 256 x 256
    with pytest.raises(UserError, match="resize again; keep the limits between 65536 and"):
        export_recipe(recipe(folder, model={"max_pixels": 64 * 64}), tmp_path / "out", TWO)
    assert not (tmp_path / "out").exists()


def test_the_validation_rows_are_the_samples_of_the_split_in_stored_order(folder, tmp_path):
    own = recipe(folder, data={"task": "affordance"})
    rows = exported(own, tmp_path / "out", VAL, val_split="id_test")
    ids = [row["extra_info"]["id"] for row in rows]
    assert ids == [
        f"id_test/{c}/{s}/{v}/affordance" for c in ("open", "close") for s in (0, 1) for v in (0, 1)
    ]
    assert {row["extra_info"]["split"] for row in rows} == {"val"}


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_order(folder, tmp_path):
    first = exported(recipe(folder, seed=1), tmp_path / "a")
    assert exported(recipe(folder, seed=1), tmp_path / "b") == first
    for name in ("run.sh", "reward.py", "README.md"):
        assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()
    assert exported(recipe(folder, seed=2), tmp_path / "c") != first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instruction": "press <image> now"}, "its prompt holds <image>"),
        ({"instruction": "press <audio> now"}, "its prompt holds <audio>"),
        ({"image": None}, "has no image"),
        ({"image_size": (2000, 6), "image": png(2000, 6)}, "a 2000x6 image is too narrow"),
        ({"image_size": (800, 10), "image": png(800, 10)}, "another size than the processor does"),
    ],
)
def test_a_sample_that_verl_cannot_use_is_one_line_with_its_id(tmp_path, changes, message):
    folder = scene(tmp_path)
    odd = sample(Task.AFFORDANCE, split="train", target=BoxTarget([1, 1, 5, 5]), **changes)
    stored(folder / "odd", [odd])
    own = recipe(folder, data={"path": str(folder / "odd"), "task": "affordance"})
    with pytest.raises(UserError, match=message) as raised:
        export_recipe(own, tmp_path / "out", TWO)
    assert "train/open/0/0/affordance" in str(raised.value)
    assert not (tmp_path / "out").exists()
