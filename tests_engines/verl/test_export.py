"""The real verl reads our settings and rows, and scores completions with our reward."""

import json
import subprocess

import pytest
from tests.engines.recipes import recipe, scene

from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.engines.verl.cluster import Cluster
from maniplvm.engines.verl.folder import export_recipe
from maniplvm.models import build_inputs, chat_messages, load_interface
from maniplvm.models.processor import smart_resize_of
from maniplvm.rewards import score_batch
from maniplvm.tasks import write_completion
from maniplvm.training.data.pool import open_pool
from maniplvm.training.data.rows import PromptRows, recipe_prompts
from tests_engines.isolation import REPOSITORY
from tests_engines.verl.launch import verl_environment

CASES = {
    "qwen2_5_vl": {},
    "qwen3_vl": {},
    "limited": {"min_pixels": 80 * 80, "max_pixels": 112 * 112},
}
PRESET = "dense"


def completion(position, each, frame):
    """Right, wrong, incomplete and empty completions in turn."""
    right = write_completion(each.target, frame, "the handle")
    cut = right[: len(right) // 2]
    return (right, cut, right.replace("1", "2"), "the handle", right + right)[position % 5]


@pytest.fixture(scope="module", params=CASES)
def read(request, tmp_path_factory, verl_python):
    """What verl read and scored, beside what our trainer reads."""
    folder = tmp_path_factory.mktemp(request.param)
    family = "qwen2_5_vl" if request.param == "limited" else request.param
    own = recipe(scene(folder, family), model=CASES[request.param], rewards={"preset": PRESET})
    export_recipe(own, folder / "out", Cluster(gpus=2))
    interface = load_interface(own.model.source, **own.model.interface_arguments())
    pool = open_pool(own)
    ours = PromptRows(pool, interface, recipe_prompts(own, interface), with_completion=False)
    count = 3 * 4
    texts = [
        completion(i, pool.at(i), interface.frame_for(pool.at(i).image_size)) for i in range(count)
    ]
    (folder / "texts.json").write_text(json.dumps(texts))
    environment = verl_environment(verl_python, HF_HOME=str(folder / "hf"))
    options = {"cwd": REPOSITORY, "env": environment, "check": True, "timeout": 300}
    config = subprocess.run(
        ["bash", folder / "out" / "run.sh", "trainer.device=cpu", "--cfg", "job", "--resolve"],
        **options,
        stdout=subprocess.PIPE,
    ).stdout
    (folder / "config.yaml").write_bytes(config)
    words = [folder / "config.yaml", folder / "texts.json", folder / "read.json"]
    subprocess.run([verl_python, "-m", "tests_engines.verl.read_export", *words], **options)
    rows = [ours.row(position) for position in range(count)]
    return json.loads((folder / "read.json").read_text()), interface, rows, texts


def test_prompts_and_image_sizes_are_those_of_our_trainer(read):
    found, interface, rows, _ = read
    assert len(found["prompts"]) == len(rows)
    for prompt, row in zip(found["prompts"], rows, strict=True):
        text = row["prompt"][0]["content"]
        inputs = build_inputs(interface, [chat_messages(text)], [row["image"]])
        assert prompt["ids"] == inputs["input_ids"][0].tolist()
        assert prompt["grid"] == inputs["image_grid_thw"].tolist()
        seen = smart_resize_of(interface.processor.image_processor).size(row["image"].size)
        assert tuple(prompt["image_size"]) == seen
        _, frame = read_ground_truth(prompt["ground_truth"])
        assert frame.encode([[9, 9]]).tolist() == row["frame"].encode([[9, 9]]).tolist()


def test_the_reward_worker_gives_the_scores_of_our_trainer(read):
    found, _, _, texts = read
    truths = [read_ground_truth(prompt["ground_truth"]) for prompt in found["prompts"]]
    assert [reward["text"] for reward in found["rewards"]] == texts
    expected = score_batch(
        texts, [sample for sample, _ in truths], PRESET, [frame for _, frame in truths]
    )
    assert len({round(score.total, 6) for score in expected}) >= 3
    for reward, score in zip(found["rewards"], expected, strict=True):
        assert abs(reward["reward_score"] - score.total) <= 1e-12
        extra = reward["reward_extra_info"]
        assert extra["parse_rate"] == score.answer.parsed
        assert extra["format_rate"] == score.answer.well_formed
