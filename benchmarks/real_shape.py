"""GRPO with models of the published shapes and random weights, on a CPU: memory and time.

For each shape, three parts run one after another, each in a process of its own:

- `build` writes a checkpoint in bfloat16 with random weights. Shapes and vocabulary are the
  published ones; tokenizer and processor are those of the tiny checkpoints. Nothing is downloaded.
- `train` runs the shipped LoRA recipe for two steps with short completions, through
  `maniplvm.training.train`. It records the largest memory beside the estimate of the dry run.
- `policy_pass` computes the log-probabilities of one group and their gradients, with and without
  shared prefix, at prompt 453 and completion 64, for one group (`--group`).

A part that is in the results file is skipped. A process above `--limit-gib` is ended, and the
command fails. Times on a shared machine are comparable within one part only.

Run by `make real-shape`: python benchmarks/real_shape.py --out results/real_shape.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

from maniplvm.files import write_json
from maniplvm.models import build_meta_model, write_architecture
from watched_process import GIB, Recorder, Watched, available_bytes, run_watched

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {
    "qwen2_5-vl-3b": ("qwen2.5-vl-3b", "recipes/grpo/qwen2.5-vl-3b-joint-lora.yaml"),
    "qwen3-vl-4b": ("qwen3-vl-4b", "recipes/grpo/qwen3-vl-4b-joint-lora.yaml"),
}
"""By name in the results: the architecture, and the recipe."""

SEED = 0
PROMPT, COMPLETION = 453, 64
IMAGES = {"qwen2_5-vl-3b": (23, 17), "qwen3-vl-4b": (20, 15)}
"""Image tokens `(columns, rows)` of an image of 640 x 480 pixels."""

STEPS, SHORT = 2, 16
CHANGES = (
    "data.path=datasets/sim-small",
    "data.split=adapt",
    "model.device=cpu",
    f"trainer.max_steps={STEPS}",
    f"trainer.max_completion_length={SHORT}",
    "trainer.gradient_accumulation_steps=1",
    "trainer.steps_per_generation=1",
    "trainer.activation_checkpointing=true",  # as on a GPU; the default on a CPU is off
)
TIMED = {
    "rollout": "_generate_single_turn",
    "log_probabilities": "_get_per_token_logps_and_entropies",
    "step": "training_step",
}
"""Methods of the trainer whose time and memory are recorded, by part."""


def build(_: Recorder, folder: str, architecture: str) -> int:
    """Write the checkpoint; returns its number of parameters."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    write_architecture(folder, architecture)
    torch.manual_seed(SEED)
    config = AutoConfig.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="1GB")  # one shard is copied at a time
    return sum(each.numel() for each in model.parameters())


def train_recipe(
    recorder: Recorder, folder: str, recipe: str, out: str, changes: tuple[str, ...] = CHANGES
) -> dict[str, Any]:
    """Run the recipe; returns the estimate of the dry run and the record of the run."""
    os.chdir(ROOT)
    warnings.simplefilter("ignore")  # deprecation warnings of libraries about each other
    from maniplvm.training import read_recipe, train
    from maniplvm.training.dry_run.check import check
    from maniplvm.training.loop import run
    from maniplvm.training.shared_prefix import SharedPrefixTrainer

    settings = read_recipe(recipe, [f"model.source={folder}", *changes])
    plan = check(settings, "grpo", out=out)
    patched: Any = SharedPrefixTrainer
    for name, method in TIMED.items():
        setattr(patched, method, _timed(recorder, name, getattr(patched, method)))
    for name, function in (("load", "load_model"), ("save", "save_trained")):
        setattr(run, function, _timed(recorder, name, getattr(run, function)))
    with recorder.interval("run"):
        record = train(settings, "grpo", out)
    longest = {name: max(getattr(plan.lengths, name)) for name in ("image", "prompt")}
    kept = ("steps", "shared_prefix", "parameters")
    return {
        "estimate": plan.memory.to_json(),
        "longest_tokens": longest,
        **{name: record[name] for name in kept},
    }


def policy_pass(recorder: Recorder, folder: str, name: str, group: int) -> dict[str, Any]:
    """One pass of each implementation; returns the largest difference of a log-probability."""
    import torch

    from maniplvm.models import LoraSettings, load_model
    from shared_prefix_implementations import WithoutTrainer
    from shared_prefix_models import Size

    warnings.simplefilter("ignore")
    lora = LoraSettings(rank=32, alpha=64)
    loaded = load_model(folder, dtype="bfloat16", device="cpu", lora=lora, freeze_vision=True)
    loaded.model.train()
    loaded.model.gradient_checkpointing_enable({"use_reentrant": False})
    loaded.model.enable_input_require_grads()
    size = Size(PROMPT, COMPLETION, group, IMAGES[name])
    scores = {}
    for kind in ("shared", "plain"):
        implementation = WithoutTrainer(loaded, size, kind == "shared")
        with recorder.interval(kind), torch.autocast("cpu", torch.bfloat16):
            found = implementation.logprobs()
            found.sum().backward()
        loaded.model.zero_grad(set_to_none=True)
        scores[kind] = found.detach().float()
    return {"max_logprob_diff": float((scores["shared"] - scores["plain"]).abs().max())}


def _timed(recorder: Recorder, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        with recorder.interval(name):
            return function(*arguments, **options)

    return timed


def measure(part: str, name: str, work: Path, limit: int, group: int) -> dict[str, Any]:
    """The results of one part of one shape."""
    architecture, recipe = SHAPES[name]
    folder = work / name
    if part == "build":
        shutil.rmtree(folder, ignore_errors=True)
        watched = run_watched(build, str(folder), architecture, limit=limit)
        return {"parameters": watched.value}
    if part == "train":
        out = work / f"{name}-run"
        shutil.rmtree(out, ignore_errors=True)
        watched = run_watched(train_recipe, str(folder), recipe, str(out), limit=limit)
        shutil.rmtree(out)
        return _training(watched, recipe)
    watched = run_watched(policy_pass, str(folder), name, group, limit=limit)
    seconds = {kind: watched.seconds(kind)[0] for kind in ("plain", "shared")}
    return {
        "prompt_tokens": PROMPT,
        "completion_tokens": COMPLETION,
        "group": group,
        "activation_checkpointing": True,
        "seconds": seconds,
        "ratio": round(seconds["plain"] / seconds["shared"], 2),
        "peak_gib": {kind: _gib(watched.peak_in(kind)) for kind in seconds},
        **watched.value,
    }


def _training(watched: Watched, recipe: str) -> dict[str, Any]:
    parts = ("load", *TIMED, "save")
    held = max(watched.peak_in(part) for part in TIMED)
    estimated = watched.value["estimate"]["peak"]
    return {
        "recipe": recipe,
        "changes": list(CHANGES),
        **watched.value,
        "seconds": {part: watched.seconds(part) for part in parts},
        "peak_gib": {part: _gib(watched.peak_in(part)) for part in parts},
        "measured_gib": _gib(held),
        "estimated_gib": estimated,
        "estimated_over_measured": round(estimated * GIB / held, 3),
    }


def _gib(size: int) -> float:
    return round(size / GIB, 2)


def needed_bytes(architecture: str, work: Path) -> int:
    """Memory without which no part of a shape is started [bytes]: the weights and 4 GiB."""
    folder = write_architecture(work / f"{architecture}-sizes", architecture)
    return 2 * sum(each.numel() for each in build_meta_model(folder).parameters()) + 4 * GIB


def main() -> int:
    """Measure what is missing; the exit status is 1 if a part failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "real_shape.json")
    parser.add_argument("--shapes", nargs="+", choices=tuple(SHAPES), default=tuple(SHAPES))
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "real-shape")
    parser.add_argument("--group", type=int, default=8, help="completions of the policy pass")
    parser.add_argument("--limit-gib", type=float, default=21.0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    shapes: dict[str, Any] = known.get("shapes", {})
    for name in options.shapes:
        found = shapes.setdefault(name, {})
        if all(part in found for part in ("build", "train", "policy_pass")):
            print(f"{name}: measured before; skipped", flush=True)
            continue
        needed = needed_bytes(SHAPES[name][0], options.work)
        if available_bytes() < needed:
            print(f"{name}: needs {needed / GIB:.1f} GiB of free memory", file=sys.stderr)
            return 1
        for part in ("build", "train", "policy_pass"):
            has_weights = any((options.work / name).glob("*.safetensors"))
            if part in found and (part != "build" or has_weights):
                continue
            try:
                limit = int(options.limit_gib * GIB)
                found[part] = measure(part, name, options.work, limit, options.group)
            except (MemoryError, RuntimeError) as error:
                print(f"{name}, {part}: {error}", file=sys.stderr)
                return 1
            write_json(options.out, _report(shapes))
            print(f"{name}, {part}: {json.dumps(found[part])}", flush=True)
        shutil.rmtree(options.work / name)
    return 0


def _report(shapes: dict[str, Any]) -> dict[str, Any]:
    packages = ("torch", "transformers", "trl", "peft", "accelerate")
    return {
        "what": "GRPO with published shapes and random weights on a CPU; memory is resident "
        "memory in GiB, times are seconds on a shared machine",
        "command": "python benchmarks/real_shape.py --out results/real_shape.json",
        "seed": SEED,
        "versions": {name: version(name) for name in packages},
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
        "shapes": shapes,
    }


if __name__ == "__main__":
    sys.exit(main())
