"""A short GRPO run on the real ms-swift, from an exported recipe."""

import json

import torch
from tests.engines.recipes import recipe

from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.engines.ms_swift.arguments import Machines
from maniplvm.engines.ms_swift.folder import export_recipe
from maniplvm.models import load_model
from maniplvm.rewards import score_batch
from tests_engines.ms_swift.launch import run_swift

PRESET = "dense"


def test_a_run_ends_well_with_our_rewards_and_a_plain_model(
    taught, tmp_path, swift_python, isolated
):
    own = recipe(
        taught,
        {
            "max_steps": 2,
            "max_completion_length": 56,
            "learning_rate": 1e-3,
            "save_steps": 2,
            "gradient_accumulation_steps": 1,
        },
        model={"source": str(taught / "sft" / "model")},
        data={"task": "affordance"},
        rewards={"preset": PRESET},
    )
    export_recipe(own, tmp_path / "export", Machines())
    out, log, record = tmp_path / "run", tmp_path / "log", tmp_path / "rewards.jsonl"
    ended = run_swift(
        *(tmp_path / "export", out, log, record, own.model.source),
        python=swift_python,
        timeout=600,
    )
    assert ended.status == 0, log.read_text()[-3000:]
    calls = [json.loads(line) for line in record.read_text().splitlines()]
    texts = [text for call in calls for text in call["texts"]]
    truths = [read_ground_truth(truth) for call in calls for truth in call["truths"]]
    values = [value for call in calls for value in call["values"]]
    assert len(texts) == 2 * 4
    expected = score_batch(
        texts, [sample for sample, _ in truths], PRESET, [frame for _, frame in truths]
    )
    assert len({score.total for score in expected}) > 1
    for value, score in zip(values, expected, strict=True):
        assert abs(value - score.total) <= 1e-12
    before = load_model(own.model.source, device="cpu").model.state_dict()
    after = load_model(out / "checkpoint-2", device="cpu").model.state_dict()
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.isfinite(weight).all() for weight in after.values())
