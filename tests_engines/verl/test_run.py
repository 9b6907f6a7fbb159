"""A short GRPO run on the real verl: Ray, two FSDP2 ranks, and its checkpoint as a model."""

import json

import torch
from tests.engines.recipes import recipe

from maniplvm.engines.ground_truth import read_ground_truth
from maniplvm.engines.verl.checkpoint import import_checkpoint
from maniplvm.engines.verl.cluster import Cluster
from maniplvm.engines.verl.folder import export_recipe
from maniplvm.models import load_model
from maniplvm.rewards import score_batch
from tests_engines.verl.launch import run_verl

PRESET = "dense"
FLOAT32 = 2**-23
"""verl keeps rewards in float32 tensors; what its reward worker returns is exact."""


def test_a_run_ends_well_and_its_checkpoint_is_the_trained_model(
    taught, tmp_path, verl_python, isolated
):
    own = recipe(
        taught,
        {"max_steps": 2, "max_completion_length": 56, "learning_rate": 1e-3, "save_steps": 2},
        model={"source": str(taught / "sft" / "model")},
        data={"task": "affordance"},
        rewards={"preset": PRESET},
    )
    export_recipe(own, tmp_path / "export", Cluster(gpus=2))
    out, log = tmp_path / "run", tmp_path / "log"
    ended = run_verl(tmp_path / "export", out, log, python=verl_python, ranks=2, timeout=900)
    assert ended.status == 0, log.read_text()[-3000:]
    records = [
        json.loads(line)
        for step in (1, 2)
        for line in (out / "completions" / f"{step}.jsonl").read_text().splitlines()
    ]
    assert len(records) == 2 * 16
    truths = [read_ground_truth(record["gts"]) for record in records]
    expected = score_batch(
        [record["output"] for record in records],
        [sample for sample, _ in truths],
        PRESET,
        [frame for _, frame in truths],
    )
    for record, score in zip(records, expected, strict=True):
        assert abs(record["score"] - score.total) <= FLOAT32 * max(1, score.total)
    assert len({score.total for score in expected}) > 1
    imported = import_checkpoint(out, tmp_path / "model")
    assert imported.ranks == 2
    before = load_model(own.model.source, device="cpu").model.state_dict()
    after = load_model(tmp_path / "model", device="cpu").model.state_dict()
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.isfinite(weight).all() for weight in after.values())
    assert max((before[name] - after[name]).abs().max() for name in before) < 0.01
