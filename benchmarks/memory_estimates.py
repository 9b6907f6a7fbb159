"""Estimated memory on each GPU for every shipped recipe, and a check of the estimate on a CPU.

Nothing was measured on a GPU. The estimates need `config.json` only. They assume images of 640 x
480 pixels and 200 text tokens in a prompt. The check measures small models of the same classes.

Run: python benchmarks/memory_estimates.py --out results/memory.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from maniplvm.geometry import SmartResize
from maniplvm.models import write_architecture
from maniplvm.training import read_recipe
from maniplvm.training.config.launch import planned_launch
from maniplvm.training.dry_run.plan import plan_memory
from maniplvm.training.dry_run.token_lengths import TokenLengths

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the tests use the same measurement

from tests.training.measured_memory import measured_peak  # noqa: E402

IMAGE = (640, 480)
TEXT_TOKENS, ANSWER_TOKENS = 200, 120
FAMILIES = ("qwen2_5_vl", "qwen3_vl")
RESIZES = {
    "qwen2.5-vl-3b": SmartResize(factor=28, min_pixels=56 * 56, max_pixels=16384 * 28 * 28),
    "qwen3-vl-4b": SmartResize(factor=32, min_pixels=256 * 256, max_pixels=4096 * 4096),
}


def estimate(path: Path, models: Path) -> dict[str, Any]:
    """The estimate for a recipe with the launch that it names."""
    name = next(name for name in RESIZES if name in path.stem)
    recipe = read_recipe(path, [f"model.source={write_architecture(models / name, name)}"])
    resize = RESIZES[name]
    if recipe.model.max_pixels is not None:
        resize = SmartResize(resize.factor, resize.min_pixels, recipe.model.max_pixels)
    width, height = resize.size(IMAGE)
    image = width * height // resize.factor**2
    lengths = TokenLengths((image,), (image + TEXT_TOKENS,), (ANSWER_TOKENS,))
    launch = planned_launch(recipe.launch)
    memory = plan_memory(recipe, path.parent.name, lengths, launch)
    return {"launch": str(launch), "image_tokens": image, **memory.to_json()}


def check() -> dict[str, Any]:
    """Estimated over measured bytes of a forward and backward pass, for small models."""
    ratios = {}
    for family, checkpointing, adapters in product(FAMILIES, (False, True), (False, True)):
        measured, estimated = measured_peak(family, checkpointing, adapters)
        name = f"{family}{', checkpointing' * checkpointing}{', adapters' * adapters}"
        ratios[name] = round(estimated / measured, 3)
    return {"ratios": ratios, "lowest": min(ratios.values()), "highest": max(ratios.values())}


def main() -> None:
    """Estimate, check, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "memory.json")
    out = parser.parse_args().out
    # peft uses a name that transformers has deprecated
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing.", FutureWarning)
    with tempfile.TemporaryDirectory() as models:
        recipes = {
            method: {
                path.stem.replace(".", "-"): estimate(path, Path(models))
                for path in sorted((ROOT / "recipes" / method).glob("*qwen*.yaml"))
            }
            for method in ("grpo", "sft")
        }
    report = {
        "command": "python benchmarks/memory_estimates.py --out results/memory.json",
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        "seed": 0,
        "what": "GiB on each GPU, estimated; ratios: estimated over measured on a CPU",
        "picture": list(IMAGE),
        "text_tokens": TEXT_TOKENS,
        "recipes": recipes,
        "check": check(),
    }
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for method, found in recipes.items():
        for name, memory in found.items():
            print(f"{method}/{name}: {memory['peak']:.1f} GiB")
    print(f"estimated / measured: {report['check']['lowest']} to {report['check']['highest']}")


if __name__ == "__main__":
    main()
