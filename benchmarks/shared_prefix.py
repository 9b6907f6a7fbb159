"""Time and memory of GRPO with a shared prefix, compared with stock TRL.

Run by `make bench-grpo`. Tiny Qwen2.5-VL and Qwen3-VL with random weights train on one prompt with
`G` completions per step. The two implementations alternate in one run, and the median of the ratios
is reported. Every rollout samples the full length. The completions are then truncated to lengths
between half and all of it, equally for both implementations. With `--gpu` the model has the shape of
Qwen2.5-VL-3B in bfloat16 with an image of 640x480. TRL is not used, and a step is rollout and policy
pass. Writes results/shared_prefix.json.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
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
from shared_prefix_implementations import (
    Implementation,
    WithoutTrainer,
    lengths_of,
    with_trainer,
)
from shared_prefix_models import Size, ideal_ratio, published_shape, random_model

CPU_SIZES = (
    Size(126, 80, 8, (8, 8)),
    Size(318, 120, 8, (16, 16)),
    Size(462, 120, 8, (20, 20)),
    Size(462, 120, 16, (20, 20)),
)
GPU_SIZES = (Size(453, 120, 8, (23, 17)), Size(453, 120, 16, (23, 17)))
PARTS = ("rollout", "policy_pass", "reference_pass", "step")
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call [s], or the time that the call returns."""
    _synchronize()
    start = time.perf_counter()
    reported = work()
    _synchronize()
    return reported if isinstance(reported, float) else time.perf_counter() - start


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def alternate(
    plain: Implementation, shared: Implementation, part: str, rounds: int
) -> tuple[float, dict[str, float]]:
    """Median of the time ratios of one part, and the fastest time of each implementation [s]."""
    works = [getattr(each, part) for each in (plain, shared)]
    works[1]()  # warm-up
    pairs = [tuple(seconds(work) for work in works) for _ in range(rounds)]
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    times = {"plain": min(a for a, _ in pairs), "shared": min(b for _, b in pairs)}
    return ratio, {name: round(value, 4) for name, value in times.items()}


def peak_bytes(work: Callable[[], Any]) -> int | None:
    """Peak memory of one call above the level before it [bytes], or None if it is unknown.

    Args:
        work: A function that was called before, so that its caches are already allocated.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    if not _RESET.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)
    _RESET.write_text("5")  # resets the peak resident size VmHWM
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"{_STATUS} has no {name}")


def measure(
    name: str,
    size: Size,
    implementations: dict[str, Implementation],
    ideal: float,
    rounds: int,
) -> dict[str, Any]:
    """One row of the table."""
    plain, shared = implementations["tuned"], implementations["shared"]
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
    plain_bytes, shared_bytes = peak_bytes(plain.policy_pass), peak_bytes(shared.policy_pass)
    row["memory_ratio"] = (
        None
        if plain_bytes is None or shared_bytes is None
        else round(shared_bytes / plain_bytes, 3)
    )
    row["memory_mb"] = [each and round(each / 2**20, 1) for each in (plain_bytes, shared_bytes)]
    row["seconds"] = {}
    for part in PARTS:
        ratio, times = alternate(plain, shared, part, rounds if size.group < 16 else min(rounds, 2))
        row["step_ratio_tuned" if part == "step" else f"{part}_ratio"] = round(ratio, 3)
        row["seconds"][part] = times
    row["step_ratio_default"] = None
    if "default" in implementations:
        slow = seconds(implementations["default"].step)
        row["seconds"]["step"]["default"] = round(slow, 4)
        row["step_ratio_default"] = round(slow / seconds(shared.step), 3)
    row["share_of_ideal"] = round(row["policy_pass_ratio"] / ideal, 3)
    return row


def on_cpu(rounds: int, sizes: tuple[Size, ...], folder: Path) -> list[dict[str, Any]]:
    """Measure the tiny models, with TRL's trainer."""
    rows = []
    for family in ("qwen2_5_vl", "qwen3_vl"):
        checkpoint = folder / family
        random_model(checkpoint, family)
        for size in sizes:
            implementations = {
                kind: with_trainer(kind, load_model(checkpoint, device="cpu"), size, folder / "trl")
                for kind in ("tuned", "shared", "default")
            }
            ideal = ideal_ratio(load_model(checkpoint, device="cpu"), size, lengths_of(size))
            rows.append(measure(f"tiny {family}", size, implementations, ideal, rounds))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def on_gpu(rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Measure the shape of Qwen2.5-VL-3B, without TRL."""
    loaded = published_shape(folder / "real", "qwen2.5-vl-3b", "cuda")
    rows = []
    for size in GPU_SIZES:
        implementations: dict[str, Implementation] = {
            name: WithoutTrainer(loaded, size, name == "shared") for name in ("tuned", "shared")
        }
        ideal = ideal_ratio(loaded, size, lengths_of(size))
        rows.append(measure("qwen2_5_vl 3B shape, bfloat16", size, implementations, ideal, rounds))
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
    """Run the benchmark and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/shared_prefix.json"))
    parser.add_argument(
        "--rounds", type=int, default=3, help="number of rounds; at most 2 for groups of 16"
    )
    parser.add_argument(
        "--gpu", action="store_true", help="measure the shape of Qwen2.5-VL-3B on a GPU"
    )
    parser.add_argument(
        "--sizes", type=int, default=len(CPU_SIZES), help="number of sizes to measure"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # deprecation warnings of libraries about each other
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
