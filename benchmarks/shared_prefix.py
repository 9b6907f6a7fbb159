"""What sharing the prompt of a group saves, side by side with stock TRL.

Run by `make bench-grpo`. Tiny Qwen2.5-VL and Qwen3-VL with random weights, one prompt of `G`
completions a step; A B A B in one run, median of the ratios. Every rollout goes to the full
length; completions are then cut to lengths between half and all of it, the same on both sides.
With `--gpu`: the shape of Qwen2.5-VL-3B in bfloat16 with an image of 640x480, without TRL; a step
is then rollout and policy pass. Writes results/shared_prefix.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import transformers

from maniplvm.models import load_model
from shared_prefix_contestants import Bare, Contestant, by_trl, lengths_of
from shared_prefix_memory import peak_bytes
from shared_prefix_shapes import Size, ideal_ratio, random_model

CPU_SIZES = (
    Size(126, 80, 8, (8, 8)),
    Size(318, 120, 8, (16, 16)),
    Size(462, 120, 8, (20, 20)),
    Size(462, 120, 16, (20, 20)),
)
GPU_SIZES = (Size(453, 120, 8, (23, 17)), Size(453, 120, 16, (23, 17)))
PARTS = ("rollout", "policy_pass", "reference_pass", "step")


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call [s]; a step tells its own."""
    _settle()
    start = time.perf_counter()
    told = work()
    _settle()
    return told if isinstance(told, float) else time.perf_counter() - start


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def alternate(
    plain: Contestant, shared: Contestant, part: str, rounds: int
) -> tuple[float, dict[str, float]]:
    """Median of the ratios of one part, and both fastest times [s]."""
    works = [getattr(each, part) for each in (plain, shared)]
    works[1]()  # whatever is set up at first use is set up now, for both
    pairs = [tuple(seconds(work) for work in works) for _ in range(rounds)]
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    times = {"plain": min(a for a, _ in pairs), "shared": min(b for _, b in pairs)}
    return ratio, {name: round(value, 4) for name, value in times.items()}


def measure(
    name: str,
    size: Size,
    contestants: dict[str, Contestant],
    ideal: float,
    rounds: int,
) -> dict[str, Any]:
    """One row of the table."""
    plain, shared = contestants["tuned"], contestants["shared"]
    first, second = plain.gradients(), shared.gradients()
    row: dict[str, Any] = {
        "model": name,
        "prompt_tokens": size.prompt,
        "completion_tokens": size.completion,
        "group": size.group,
        "ideal_ratio": round(ideal, 3),
        "max_logprob_diff": float((first[0] - second[0]).abs().max()),
        "grad_rel_diff": float((first[1] - second[1]).norm() / first[1].norm()),
    }
    del first, second
    usual, fewer = peak_bytes(plain.policy_pass), peak_bytes(shared.policy_pass)
    row["memory_ratio"] = None if usual is None or fewer is None else round(fewer / usual, 3)
    row["memory_mb"] = [each and round(each / 2**20, 1) for each in (usual, fewer)]
    row["seconds"] = {}
    for part in PARTS:
        ratio, times = alternate(plain, shared, part, rounds if size.group < 16 else min(rounds, 2))
        row["step_ratio_tuned" if part == "step" else f"{part}_ratio"] = round(ratio, 3)
        row["seconds"][part] = times
    row["step_ratio_default"] = None
    if "default" in contestants:
        slow = seconds(contestants["default"].step)
        row["seconds"]["step"]["default"] = round(slow, 4)
        row["step_ratio_default"] = round(slow / seconds(shared.step), 3)
    row["share_of_ideal"] = round(row["policy_pass_ratio"] / ideal, 3)
    return row


def on_cpu(rounds: int, sizes: tuple[Size, ...], folder: Path) -> list[dict[str, Any]]:
    """The rows of the tiny models, side by side with TRL."""
    rows = []
    for family in ("qwen2_5_vl", "qwen3_vl"):
        checkpoint = folder / family
        random_model(checkpoint, family)
        for size in sizes:
            sides = {
                kind: by_trl(kind, load_model(checkpoint, device="cpu"), size, folder / "trl")
                for kind in ("tuned", "shared", "default")
            }
            ideal = ideal_ratio(load_model(checkpoint, device="cpu"), size, lengths_of(size))
            rows.append(measure(f"tiny {family}", size, sides, ideal, rounds))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def on_gpu(rounds: int, folder: Path) -> list[dict[str, Any]]:
    """The rows of the real shape, without TRL."""
    loaded = random_model(folder / "real", "qwen2_5_vl", real=True)
    rows = []
    for size in GPU_SIZES:
        sides: dict[str, Contestant] = {
            name: Bare(loaded, size, name == "shared") for name in ("tuned", "shared")
        }
        ideal = ideal_ratio(loaded, size, lengths_of(size))
        rows.append(measure("qwen2_5_vl 3B shape, bfloat16", size, sides, ideal, rounds))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "torch": torch.__version__}
    found["transformers"] = transformers.__version__
    try:
        found["trl"] = version("trl")
    except PackageNotFoundError:
        found["trl"] = "none"
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/shared_prefix.json"))
    parser.add_argument("--rounds", type=int, default=3, help="two at most for groups of 16")
    parser.add_argument("--gpu", action="store_true", help="the real shape, on a GPU")
    parser.add_argument("--sizes", type=int, default=len(CPU_SIZES), help="only the first ones")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of libraries about each other
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.gpu:
            rows = on_gpu(arguments.rounds, Path(folder))
        else:
            rows = on_cpu(arguments.rounds, CPU_SIZES[: arguments.sizes], Path(folder))
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    where = "gpu" if arguments.gpu else "cpu"
    report = {
        "what": "stock TRL over shared prefix, medians of ratios of wall time, A B A B in one run; "
        "tuned: float32 without checkpoints; default: TRL's bfloat16 and checkpoints, once a row",
        "command": "python benchmarks/shared_prefix.py",
        "seed": 0,
        "versions": versions(),
        "rows": [row for row in known.get("rows", []) if row["where"] != where]
        + [{**row, "where": where} for row in rows],
        "runs": {
            **known.get("runs", {}),
            where: {
                "rounds": arguments.rounds,
                "seconds": round(time.perf_counter() - start),
                "threads": torch.get_num_threads(),
                "device": torch.cuda.get_device_name() if arguments.gpu else "CPU",
                "versions": versions(),
            },
        },
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
