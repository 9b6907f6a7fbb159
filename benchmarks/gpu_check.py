"""What only a GPU can show, in at most nine minutes: speed and memory of a step at a published shape.

Needs one GPU of about 80 GB, no network, and the installed torch and transformers. Weights are
random. The parts, each skipped with a reason where it cannot run:

- `policy`: policy pass and rollout with a shared prefix against repeated prompts, in bfloat16, for
  groups of 8 and 16, with and without gradient checkpointing (SDPA): time, memory, difference.
- `attention`: attention of one packed row alone, forward and backward: the attention of the shared
  prefix, SDPA with a mask, and FlexAttention. On a CPU only the forward pass of FlexAttention.
- `lora`: two steps of the shipped LoRA recipe through the trainer; needs TRL.
- `quickstart`: three steps of the quickstart recipe with the embedded model; needs TRL.

`--shape tiny` runs the same code with a tiny model on a CPU. The file is written after each part.
The exit status is 1 if a part failed.

Run: python benchmarks/gpu_check.py --out results/gpu_check.json
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import math
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import transformers

from attention_implementations import compare_attention
from maniplvm.files import write_json
from maniplvm.models import LoadedModel, load_model, write_tiny_checkpoint
from shared_prefix import alternate, peak_bytes, versions
from shared_prefix_implementations import WithoutTrainer, lengths_of
from shared_prefix_models import Size, ideal_ratio, published_shape

ROOT = Path(__file__).resolve().parents[1]
LORA = "recipes/grpo/qwen2.5-vl-3b-joint-lora.yaml"
QUICKSTART = "recipes/grpo/embedded.yaml"
SHAPES = {
    "3b": (Size(453, 120, 8, (23, 17)), Size(453, 120, 16, (23, 17))),
    "tiny": (Size(60, 8, 2, (4, 4)), Size(60, 8, 4, (4, 4))),
}
"""By name: the lengths to measure. `(columns, rows)` of image tokens are those of 640 x 480 px."""


@dataclass(frozen=True)
class Check:
    """One run of this file.

    Attributes:
        shape: `3b` or `tiny`.
        device: `cuda` or `cpu`.
        rounds: Number of times that each pair is measured.
        folder: Folder for checkpoints and runs.
    """

    shape: str
    device: str
    rounds: int
    folder: Path

    def model(self) -> LoadedModel:
        """The model with random weights, ready to train."""
        folder = self.folder / "model"
        if self.shape == "3b":
            return published_shape(folder, "qwen2.5-vl-3b", self.device)
        write_tiny_checkpoint(folder, "qwen2_5_vl")
        return load_model(folder, dtype="bfloat16", device=self.device)


def policy(check: Check) -> list[dict[str, Any]]:
    """Shared prefix against repeated prompts, one row for each group size and kind of memory."""
    loaded = check.model()
    loaded.model.train()
    rows = []
    for size in SHAPES[check.shape]:
        plain, shared = (WithoutTrainer(loaded, size, kind) for kind in (False, True))
        with torch.no_grad():
            difference = float((plain.logprobs() - shared.logprobs()).abs().max())
        for checkpointing in (True, False):
            if checkpointing:
                loaded.model.gradient_checkpointing_enable({"use_reentrant": False})
            else:
                loaded.model.gradient_checkpointing_disable()
            rows.append(
                {
                    **_lengths(size),
                    "gradient_checkpointing": checkpointing,
                    "max_logprob_diff": difference,
                    "ideal_ratio": round(ideal_ratio(loaded, size, lengths_of(size)), 3),
                    **_policy_passes(loaded, plain, shared, check.rounds),
                }
            )
        loaded.model.eval()
        ratio, times = alternate(plain, shared, "rollout", 1)
        rows[-1] |= {"rollout_ratio": round(ratio, 3), "rollout_seconds": times}
        loaded.model.train()
    return rows


def _policy_passes(
    loaded: LoadedModel, plain: WithoutTrainer, shared: WithoutTrainer, rounds: int
) -> dict[str, Any]:
    try:
        ratio, times = alternate(plain, shared, "policy_pass", rounds)
        memory = [peak_bytes(each.policy_pass) for each in (plain, shared)]
    except torch.OutOfMemoryError as error:  # a result too: repeated prompts may not fit
        loaded.model.zero_grad(set_to_none=True)
        return {"out_of_memory": str(error).splitlines()[0]}
    return {
        "policy_pass_ratio": round(ratio, 3),
        "policy_pass_seconds": times,
        "policy_pass_mb": [each and round(each / 2**20, 1) for each in memory],
    }


def attention(check: Check) -> list[dict[str, Any]]:
    """Attention of one packed row by three implementations, one row for each group size."""
    loaded = check.model()
    return [
        {**_lengths(size), **compare_attention(loaded, size, check.rounds)}
        for size in SHAPES[check.shape]
    ]


def lora(check: Check) -> dict[str, Any]:
    """Two steps of the shipped LoRA recipe, with short data; the second one is the figure."""
    folder = check.folder / "model"
    check.model().model.save_pretrained(folder)
    _free()
    tokens = SHAPES[check.shape][0].completion
    return _train(
        check,
        LORA,
        [
            f"model.source={folder}",
            "data.path=datasets/sim-small",
            "data.split=adapt",
            f"trainer.max_completion_length={tokens}",
            "trainer.gradient_accumulation_steps=1",
            "trainer.steps_per_generation=1",
            "trainer.max_steps=2",
        ],
    )


def quickstart(check: Check) -> dict[str, Any]:
    """Three steps of the quickstart recipe."""
    changes = ["trainer.max_steps=3", "trainer.lr_scheduler_kwargs={num_decay_steps: 1}"]
    if check.shape == "tiny":
        changes += ["trainer.per_device_train_batch_size=8", "trainer.max_completion_length=16"]
    return _train(check, QUICKSTART, changes)


def _train(check: Check, recipe: str, changes: Sequence[str]) -> dict[str, Any]:
    from maniplvm.training import read_recipe, train
    from maniplvm.training.dry_run.check import check as dry_run

    os.chdir(ROOT)
    own = [f"model.device={check.device}", "monitor.samples_every=0", "trainer.save_steps=1000"]
    settings = read_recipe(recipe, [*changes, *own])
    out = check.folder / settings.name
    estimate = dry_run(settings, "grpo", out=out).memory
    if check.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    train(settings, "grpo", out)
    total = time.perf_counter() - start
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    ends = [json.loads(line)["seconds"] for line in lines]
    steps = [round(after - before, 3) for before, after in pairwise(ends)]
    peak = torch.cuda.max_memory_allocated() if check.device == "cuda" else None
    return {
        "recipe": recipe,
        "changes": [each for each in changes if not each.startswith("model.source=")],
        "seconds_of_later_steps": steps,
        "seconds_with_load": round(total, 1),
        "peak_gib": peak and round(peak / 2**30, 2),
        "estimate_gib": estimate.to_json(),
    }


def _lengths(size: Size) -> dict[str, int]:
    return {
        "prompt_tokens": size.prompt,
        "completion_tokens": size.completion,
        "group": size.group,
    }


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


PARTS: dict[str, Callable[[Check], Any]] = {
    "policy": policy,
    "attention": attention,
    "lora": lora,
    "quickstart": quickstart,
}


def run_parts(check: Check, names: Sequence[str], limit: float, out: Path) -> int:
    """Run the parts within a time limit; returns the number of those that failed."""
    end = time.monotonic() + limit

    def stop(*_: Any) -> None:
        raise TimeoutError(f"the limit of {limit:.0f} s was reached")

    before = signal.signal(signal.SIGALRM, stop)
    found: dict[str, Any] = {}
    failed = 0
    for name in names:
        start, left = time.monotonic(), end - time.monotonic()
        if left < 1:
            found[name] = {"skipped": f"no time was left of {limit:.0f} s"}
        elif name in ("lora", "quickstart") and importlib.util.find_spec("trl") is None:
            found[name] = {"skipped": "TRL is not installed"}
        else:
            signal.alarm(math.ceil(left))
            try:
                found[name] = {"result": PARTS[name](check)}
            except Exception as error:  # the next parts still tell something about the GPU
                traceback.print_exc()
                found[name] = {"failed": f"{type(error).__name__}: {error}"}
                failed += 1
            finally:
                signal.alarm(0)
            _free()
        found[name]["seconds"] = round(time.monotonic() - start, 1)
        write_json(out, _report(check, found))
        print(f"{name}: {json.dumps(found[name])}", flush=True)
    signal.signal(signal.SIGALRM, before)
    return failed


def _report(check: Check, found: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": "shared prefix, attention and steps of the trainer on one device; random weights",
        "command": f"python benchmarks/gpu_check.py --shape {check.shape}",
        "seed": 0,
        "versions": versions(),
        "device": torch.cuda.get_device_name() if check.device == "cuda" else "CPU",
        "shape": check.shape,
        "rounds": check.rounds,
        "parts": found,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", choices=tuple(SHAPES), default="3b")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit-seconds", type=float, default=530.0)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "gpu_check.json")
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.shape == "3b" and device == "cpu":
        parser.error("--shape 3b needs a GPU, and PyTorch sees none; use --shape tiny")
    warnings.simplefilter("ignore")  # deprecation warnings of libraries about each other
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        check = Check(options.shape, device, options.rounds, Path(folder))
        failed = run_parts(check, options.parts, options.limit_seconds, options.out)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
