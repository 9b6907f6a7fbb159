"""Damaged and hostile checkpoints: refused with one line, or loaded with finite outputs."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.reliability.hostile.damage import Damage
from benchmarks.reliability.hostile.damage_cases import LOADED, REFUSED
from benchmarks.reliability.hostile.forks import Outcome, in_processes, output_fault, run_forked
from benchmarks.reliability.hostile.random_damage import random_damage
from benchmarks.reliability.result import PartResult, Settings
from PIL import Image

from maniplvm.cli import report_errors
from maniplvm.models.shipped import shipped_folder

RANDOM = 420
LIMIT_S = 150.0
MEMORY_MB = 1500
TOKENS = 6
_QUICK = ("template-nested", "hidden-size", "fifo-config", "offsets-overlap", "whole")


def run(settings: Settings) -> PartResult:
    """Load copies of the embedded checkpoint, damaged in every way and at random."""
    source = settings.folder / "whole"
    shutil.copytree(shipped_folder(), source)
    image = _image()
    _load(source, image)  # imports everything before processes are forked
    expected = run_forked(lambda: _load(source, image), LIMIT_S, MEMORY_MB, settings.folder).out
    work = partial(_try, source=source, folder=settings.folder, image=image, expected=expected)
    attempts = _attempts(settings)
    outcomes = in_processes(work, attempts, settings.jobs)
    result = PartResult()
    for name, (failure, _, _) in zip(attempts, outcomes, strict=True):
        result.record(None if failure is None else f"{name}: {failure}")
    kinds = Counter(kind for _, kind, _ in outcomes)
    result.details |= {
        "kinds": len(REFUSED) + len(LOADED),
        "refused": kinds["refused"],
        "loaded": kinds["loaded"],
        "slowest_s": round(max(seconds for _, _, seconds in outcomes), 1),
    }
    return result


def _attempts(settings: Settings) -> list[str]:
    if settings.quick:
        return list(_QUICK)
    start = random.Random(settings.seed).randrange(10**6)  # noqa: S311
    return [*REFUSED, *LOADED, *(f"random {start + number}" for number in range(RANDOM))]


def _damage(name: str) -> Damage:
    return (
        random_damage(int(name.split()[1]))
        if name.startswith("random")
        else (REFUSED | LOADED)[name]
    )


def _try(
    name: str, source: Path, folder: Path, image: bytes, expected: str
) -> tuple[str | None, str, float]:
    home = folder / f"copy-{os.getpid()}"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(source, home)
    _damage(name)(home)
    outcome = run_forked(lambda: _load(home, image), LIMIT_S, MEMORY_MB, folder)
    failure = _fault(name, outcome, expected)
    if (home / "executed").exists():
        failure = "code of the checkpoint was executed"
    shutil.rmtree(home)
    return failure, "loaded" if outcome.status == 0 else "refused", outcome.seconds


def _fault(name: str, outcome: Outcome, expected: str) -> str | None:
    fault = output_fault(outcome)
    if fault is not None:
        return fault
    if outcome.status == 2:
        last = outcome.err.strip().splitlines()[-1]
        if name in LOADED:
            return f"refused: {last[:300]}"
        return (
            None
            if last.startswith("maniplvm: ") and len(last) < 2000
            else f"not one line: {last!r}"
        )
    if outcome.status != 0:
        return f"status {outcome.status}: {outcome.err[-300:]!r}"
    if name in REFUSED:
        return f"loaded: {outcome.out[:200]!r}"
    if name in LOADED and outcome.out != expected:
        return f"another output: {outcome.out[:200]!r}"
    return None


def _image() -> bytes:
    import io

    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _load(folder: Path, image: bytes) -> None:
    """Load a checkpoint, complete one prompt, check its logits, and print the completion."""
    import torch

    from maniplvm.models import Decoding, ImageTextPrompt, encode_batch, generate, load_model

    torch.set_num_threads(1)
    with report_errors():
        loaded = load_model(folder, device="cpu", family="embedded")
        inputs = encode_batch(loaded, [ImageTextPrompt("Open the drawer. Box:", image)])
        (completion,) = generate(loaded, inputs, Decoding(max_new_tokens=TOKENS))
        if completion.tokens > TOKENS or not isinstance(completion.text, str):
            raise AssertionError(f"{completion.tokens} tokens")
        print(repr(completion.text))
