"""Writes evaluation and run folders. The answers are targets with random offsets."""

import json
import math

import numpy as np

from maniplvm.evaluation import Evaluation, Outcome, Prediction
from maniplvm.evaluation.protocols import MANIPLVM
from maniplvm.evaluation.scoring import score_samples
from maniplvm.evaluation.statistics.aggregation import aggregate
from maniplvm.rewards import resolve_preset
from maniplvm.tasks import Task

REFUSAL = "I cannot see what is meant in this image."


def disturbed(sample, error, rng):
    """A completion whose answer is off by about `error` of the diagonal; some cannot be read."""
    kind = rng.uniform()
    if kind < 0.25 * error:
        return REFUSAL
    if kind < 0.5 * error:
        return "<think>the part lies left</think><answer>somewhere near the handle</answer>"
    shift = rng.normal(0, error * sample.diagonal * rng.uniform(0.2, 1.5), 2)
    points = sample.target.points + shift
    points = points + rng.normal(0, error * sample.diagonal * 0.15, points.shape)
    if sample.task is Task.AFFORDANCE:
        low, high = points.min(axis=0), points.max(axis=0)
        answer = [*low.round(1).tolist(), *(np.maximum(high, low + 2)).round(1).tolist()]
    else:
        answer = points.round(1).tolist()
    part = sample.part or "the part"
    return f"<think>touch {part}</think><answer>{json.dumps(answer)}</answer>"


def write_evaluation(folder, samples, error, seed=0, draws=1, model="embedded", texts=None):
    """Write `evaluation.json` and `samples.jsonl`.

    Args:
        folder: Where to; it is made.
        samples: What was asked.
        error: How far answers are off, as a share of the diagonal: a number, or a function of the
            sample.
        seed: Of the disturbance.
        draws: Completions of each sample.
        model: What `evaluation.json` names.
        texts: Completions by id that replace the disturbed ones.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    predictions, outcomes = [], {}
    for sample in samples:
        off = error(sample) if callable(error) else error
        for draw in range(draws):
            text = (texts or {}).get(sample.id) or disturbed(sample, off, rng)
            predictions.append(Prediction(sample.id, text, draw=draw))
            if sample.task is Task.TRAJECTORY:
                done = bool(rng.uniform() < math.exp(-4 * off))
                reason = "solved" if done else rng.choice(["wrong_end", "never_touched"]).item()
                outcomes[sample.id, draw] = Outcome(done, reason)
    by_id = {sample.id: sample for sample in samples}
    scored = score_samples(predictions, by_id, MANIPLVM, resolve_preset("paper"), {}, outcomes)
    result = Evaluation(
        model=model,
        data="datasets/sim-small",
        protocol="maniplvm",
        decoding={"temperature": 0.0 if draws == 1 else 1.0, "draws": draws, "max_new_tokens": 128},
        selection={"splits": None, "task": None, "limit": None, "limit_seed": 0},
        wrong_instruction=None,
        preset="paper",
        command=("maniplvm", "evaluate", model, "--data", "datasets/sim-small", "--execute"),
        seed=0,
        versions={"maniplvm": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
        seconds=61.5,
        resumed=0,
        peak_rss_mb=1490.0,
        splits=aggregate(scored, MANIPLVM),
    )
    (folder / "evaluation.json").write_text(json.dumps(result.to_json()))
    (folder / "samples.jsonl").write_text("".join(line.to_line() for line in scored))
    return folder


def write_run(folder, *, name="quickstart", steps=200, seed=0, method="grpo", finished=True):
    """Write `run.json`, `log.jsonl` and `recipe.yaml` of a run with increasing rewards."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    lines = []
    for step in range(5, steps + 1, 5):
        share = 1 - math.exp(-step / 80)
        line = {
            "step": step,
            "seconds": 2.1 * step,
            "loss": 0.8 * (1 - share) + rng.normal(0, 0.05),
        }
        if method == "grpo":
            terms = {
                "reward/affordance/format": 0.99,
                "reward/affordance/iou": 0.5 + 0.15 * share,
                "reward/trajectory/format": 0.98,
                "reward/trajectory/dfd": 0.15 + 0.3 * share,
                "reward/trajectory/end": 0.2 + 0.35 * share,
            }
            terms = {key: value + rng.normal(0, 0.03) for key, value in terms.items()}
            line |= {"reward": sum(terms.values()) / 2, "reward_std": 0.2, **terms}
            line |= {
                "parse_rate": min(1.0, 0.97 + rng.normal(0, 0.01)),
                "format_rate": min(1.0, 0.96 + rng.normal(0, 0.01)),
                "completions/mean_length": 42 + rng.normal(0, 2),
                "frac_reward_zero_std": 0.1 * share,
                "entropy": 0.8 - 0.3 * share,
                "kl": 0.05 * share,
            }
        line |= {"grad_norm": 1.1, "learning_rate": 5e-5 * (1 - step / steps)}
        lines.append(json.dumps(line))
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    recipe = {"name": name, "seed": seed, "data": {"path": "datasets/sim-small", "split": "adapt"}}
    (folder / "recipe.yaml").write_text(
        f"name: {name}\nseed: {seed}\nmodel: {{source: embedded}}\n"
        "data: {path: datasets/sim-small, split: adapt, task: joint}\nrewards: {preset: dense}\n"
    )
    run = {
        "format": "maniplvm.run/1",
        "method": method,
        "name": name,
        "command": ["maniplvm", "train", method, f"recipes/{name}.yaml"],
        "seed": seed,
        "recipe": recipe,
        "versions": {"maniplvm": "0.1.0", "trl": "1.16.0"},
        "samples": 588,
        "steps": steps,
        "wall_seconds": 431.0,
        "peak_rss_mb": 2210.0,
        "finished": finished,
        "warnings": ["groups without signal rose above 30 % at step 150"] if finished else [],
    }
    (folder / "run.json").write_text(json.dumps(run))
    return folder
