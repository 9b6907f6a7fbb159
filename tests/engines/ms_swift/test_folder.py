"""The folder of an ms-swift run: rows, plug-in, command line."""

import hashlib
import io
import json
import runpy
import shlex
import subprocess
import sys
import types

import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("trl")

from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.engines.ms_swift.arguments import Machines
from maniplvm.engines.ms_swift.folder import export_recipe
from maniplvm.engines.ms_swift.reward import TOTAL, reward_names
from maniplvm.errors import UserError
from maniplvm.models import load_interface
from maniplvm.rewards import score_batch
from maniplvm.tasks import BoxTarget, Task, write_completion
from maniplvm.training.data.pool import open_pool
from maniplvm.training.data.rows import PromptRows, recipe_prompts
from tests.cli.images import png
from tests.engines.recipes import recipe, scene
from tests.evaluation.scenery import sample, stored


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def folder(request, tmp_path_factory):
    return scene(tmp_path_factory.mktemp(request.param), request.param)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def arguments(run):
    """The words of the command in `run.sh`, by argument."""
    text = run.read_text().partition("exec swift rlhf \\\n")[2].partition("${LAST:+")[0]
    found = {}
    for line in text.replace("\\\n", "\n").splitlines():
        name, *words = shlex.split(line) or [""]
        found[name.removeprefix("--")] = words
    return found


def test_prompts_images_and_targets_are_those_of_our_trainer_in_its_order(folder, tmp_path):
    own = recipe(folder, seed=5)
    written = export_recipe(own, tmp_path / "out", Machines())
    rows = lines(tmp_path / "out" / "train.jsonl")
    interface = load_interface(own.model.source)
    pool = open_pool(own)
    ours = PromptRows(pool, interface, recipe_prompts(own, interface), with_completion=False)
    assert len(rows) == written.prompts == 3 * 2  # steps x (4 rows x 2 accumulated / 4 completions)
    for position, row in enumerate(rows):
        expected, each = ours.row(position), pool.at(position)
        (turn,) = row["messages"]
        assert turn == {"role": "user", "content": "<image>" + expected["prompt"][0]["content"]}
        (name,) = row["images"]
        stored_bytes = (tmp_path / "out" / name).read_bytes()
        assert stored_bytes == each.image
        assert name == f"images/{hashlib.sha256(each.image).hexdigest()[:24]}.png"
        decoded = Image.open(io.BytesIO(stored_bytes)).convert("RGB")
        assert decoded.tobytes() == expected["image"].tobytes()
        read, frame = read_ground_truth(row["ground_truth"])
        assert (read.id, read.target, row["sample_id"]) == (each.id, each.target, each.id)
        assert frame.encode([[9.0, 9.0]]).tolist() == expected["frame"].encode([[9, 9]]).tolist()


def test_the_row_holds_the_limits_of_the_recipes_processor(tmp_path):
    own = recipe(scene(tmp_path), model={"max_pixels": 112 * 112, "min_pixels": 64 * 64})
    export_recipe(own, tmp_path / "out", Machines())
    for row in lines(tmp_path / "out" / "train.jsonl"):
        limits = {"min_pixels": 64 * 64, "max_pixels": 112 * 112}
        assert row["chat_template_kwargs"] == limits


def test_the_plug_in_registers_the_reward_of_the_recipe(folder, tmp_path, monkeypatch):
    preset = {"name": "mine", "affordance": {"iou": {"weight": 3.0}}}
    own = recipe(folder, rewards={"preset": preset}, data={"task": "affordance"})
    export_recipe(own, tmp_path / "out", Machines())
    rewards = types.ModuleType("swift.rewards")
    rewards.ORM, rewards.orms = type("ORM", (), {"__init__": lambda self, args=None: None}), {}
    monkeypatch.setitem(sys.modules, "swift", types.ModuleType("swift"))
    monkeypatch.setitem(sys.modules, "swift.rewards", rewards)
    runpy.run_path(str(tmp_path / "out" / "plugin.py"))
    row = lines(tmp_path / "out" / "train.jsonl")[0]
    each, frame = read_ground_truth(row["ground_truth"])
    text = write_completion(each.target, frame, "the handle")
    (value,) = rewards.orms[TOTAL](args=None)([text], ground_truth=[row["ground_truth"]])
    assert value == pytest.approx(score_batch([text], [each], preset, [frame])[0].total, abs=1e-12)
    assert value > 2
    asked = arguments(tmp_path / "out" / "run.sh")["reward_funcs"]
    assert set(asked) <= set(rewards.orms)
    assert tuple(asked) == reward_names(preset, [Task.AFFORDANCE])


def test_run_sh_starts_swift_with_the_files_of_its_folder_and_resumes(folder, tmp_path):
    own = recipe(folder)
    export_recipe(own, tmp_path / "out", Machines(gpus=8, nodes=2), val_split="id_test")
    folder_bin = tmp_path / "bin"
    folder_bin.mkdir()
    program = folder_bin / "swift"
    program.write_text(
        '#!/bin/sh\necho "$NPROC_PER_NODE/$NNODES/$NODE_RANK"\nprintf "%s\\n" "$@"\n'
    )
    program.chmod(0o755)
    variables = {
        **{"PATH": f"{folder_bin}:/usr/bin:/bin", "OUT": str(tmp_path / "run")},
        **{"NODE_RANK": "1", "MASTER_ADDR": "there"},
    }
    command = ["bash", str(tmp_path / "out" / "run.sh"), "--beta", "0.5"]
    options = {"env": variables, "capture_output": True, "text": True, "check": True}
    first = subprocess.run(command, **options).stdout.splitlines()
    assert first[:2] == ["8/2/1", "rlhf"]
    for name, path in (("dataset", "train.jsonl"), ("val_dataset", "val.jsonl")):
        assert first[first.index(f"--{name}") + 1] == str(tmp_path / "out" / path)
    assert first[-2:] == ["--beta", "0.5"]
    assert "--resume_from_checkpoint" not in first
    for step in (5, 40, 300):
        (tmp_path / "run" / f"checkpoint-{step}").mkdir(parents=True)
    again = subprocess.run(command, **options).stdout.splitlines()
    place = again.index("--resume_from_checkpoint")
    assert again[place + 1] == str(tmp_path / "run" / "checkpoint-300")


def test_the_same_seed_gives_the_same_folder_and_another_one_another_order(folder, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        export_recipe(recipe(folder, seed=seed), tmp_path / name, Machines())
    for path in sorted((tmp_path / "a").rglob("*")):
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.is_dir() or path.read_bytes() == other.read_bytes()
    assert (tmp_path / "a/train.jsonl").read_text() != (tmp_path / "c/train.jsonl").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instruction": "press <image> now"}, "its prompt holds <image>, which ms-swift would"),
        ({"instruction": "press <bbox> now"}, "its prompt holds <bbox>"),
        ({"image": None}, "has no image"),
        ({"image_size": (2000, 6), "image": png(2000, 6)}, "a 2000x6 image is too narrow"),
        ({"image_size": (800, 10), "image": png(800, 10)}, "another size than the processor does"),
    ],
)
def test_a_sample_that_ms_swift_cannot_use_is_one_line_with_its_id(tmp_path, changes, message):
    folder = scene(tmp_path)
    odd = sample(Task.AFFORDANCE, split="train", target=BoxTarget([1, 1, 5, 5]), **changes)
    stored(folder / "odd", [odd])
    own = recipe(folder, data={"path": str(folder / "odd"), "task": "affordance"})
    with pytest.raises(UserError, match=message) as raised:
        export_recipe(own, tmp_path / "out", Machines())
    assert "train/open/0/0/affordance" in str(raised.value)
    assert not (tmp_path / "out").exists()
