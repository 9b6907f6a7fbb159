"""Hostile checkpoints and recipes: refused with one line, or loaded with finite outputs."""

from __future__ import annotations

import io
import os
import random
import shutil
from collections import Counter
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.reliability.hostile.adapters import LOADED_ADAPTERS, REFUSED_ADAPTERS
from benchmarks.reliability.hostile.damage import Damage
from benchmarks.reliability.hostile.damage_cases import LOADED, REFUSED
from benchmarks.reliability.hostile.forks import Outcome, in_processes, output_fault, run_forked
from benchmarks.reliability.hostile.random_damage import random_damage
from benchmarks.reliability.hostile.recipes import RECIPES, recipe_fault
from benchmarks.reliability.result import PartResult, Settings
from PIL import Image

from maniplvm.cli import exit_status
from maniplvm.cli.failures import Signals
from maniplvm.models.shipped import shipped_folder

RANDOM = 420
LIMIT_S = 150.0
MEMORY_MB = 1500
TOKENS = 6
_REFUSED = REFUSED | REFUSED_ADAPTERS
_LOADED = LOADED | LOADED_ADAPTERS
_QUICK = ("template-nested", "hidden-size", "fifo-config", "offsets-overlap", "whole")


def run(settings: Settings) -> PartResult:
    """Load copies of the embedded checkpoint, damaged in every way and at random; read recipes."""
    source = settings.folder / "whole"
    shutil.copytree(shipped_folder(), source)
    image = _image()
    import maniplvm.cli.app  # noqa: F401 - everything is imported before processes are forked

    with redirect_stdout(io.StringIO()):
        _write_adapter(source, settings.folder / "adapter")
        _complete(source, image, settings.folder / "adapter")
    expected = run_forked(lambda: _load(source, image), LIMIT_S, MEMORY_MB, settings.folder).out
    work = partial(_try, source=source, folder=settings.folder, image=image, expected=expected)
    attempts = _attempts(settings)
    outcomes = in_processes(work, attempts, settings.jobs)
    result = PartResult()
    for name, (failure, _, _) in zip(attempts, outcomes, strict=True):
        result.record(None if failure is None else f"{name}: {failure}")
    names = list(RECIPES)[4:10] if settings.quick else list(RECIPES)
    faults = in_processes(partial(recipe_fault, folder=settings.folder), names, settings.jobs)
    for name, fault in zip(names, faults, strict=True):
        result.record(None if fault is None else f"{name}: {fault}")
    kinds = Counter(kind for _, kind, _ in outcomes)
    result.details |= {
        "kinds": len(_REFUSED | _LOADED),
        "recipes": len(names),
        "refused": kinds["refused"],
        "loaded": kinds["loaded"],
        "slowest_s": round(max(seconds for _, _, seconds in outcomes), 1),
    }
    return result


def _attempts(settings: Settings) -> list[str]:
    if settings.quick:
        return list(_QUICK)
    start = random.Random(settings.seed).randrange(10**6)  # noqa: S311
    return [*_REFUSED, *_LOADED, *(f"random {start + number}" for number in range(RANDOM))]


def _damage(name: str) -> Damage:
    return (
        random_damage(int(name.split()[1]))
        if name.startswith("random")
        else (_REFUSED | _LOADED)[name]
    )


def _try(
    name: str, source: Path, folder: Path, image: bytes, expected: str
) -> tuple[str | None, str, float]:
    home = folder / f"copy-{os.getpid()}"
    shutil.rmtree(home, ignore_errors=True)
    is_adapter = name.startswith("adapter")
    shutil.copytree(folder / "adapter" if is_adapter else source, home)
    _damage(name)(home)

    def load() -> None:
        _load(source, image, home) if is_adapter else _load(home, image)

    outcome = run_forked(load, LIMIT_S, MEMORY_MB, folder)
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
        if name in _LOADED:
            return f"refused: {last[:300]}"
        return (
            None
            if last.startswith("maniplvm: ") and len(last) < 2000
            else f"not one line: {last!r}"
        )
    if outcome.status != 0:
        return f"status {outcome.status}: {outcome.err[-300:]!r}"
    if name in _REFUSED:
        return f"loaded: {outcome.out[:200]!r}"
    if name in _LOADED and outcome.out != expected:
        return f"another output: {outcome.out[:200]!r}"
    return None


def _image() -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _write_adapter(source: Path, folder: Path) -> None:
    """Save an adapter that changes nothing."""
    from maniplvm.models import LoraSettings, load_model

    adapted = load_model(source, device="cpu", family="embedded", lora=LoraSettings(rank=2))
    adapted.model.save_pretrained(folder)


def _load(folder: Path, image: bytes, adapter: Path | None = None) -> None:
    """Load a checkpoint and complete one prompt, with the exit status of a command.

    Raises:
        SystemExit: always.
    """
    import torch

    torch.set_num_threads(1)
    raise SystemExit(exit_status(lambda: _complete(folder, image, adapter), Signals()))


def _complete(folder: Path, image: bytes, adapter: Path | None) -> None:
    """Load a checkpoint, complete one prompt, check its length, and print the completion."""
    from maniplvm.models import Decoding, ImageTextPrompt, encode_batch, generate, load_model

    loaded = load_model(folder, device="cpu", family="embedded", adapter=adapter)
    inputs = encode_batch(loaded, [ImageTextPrompt("Open the drawer. Box:", image)])
    (completion,) = generate(loaded, inputs, Decoding(max_new_tokens=TOKENS))
    if completion.tokens > TOKENS or not isinstance(completion.text, str):
        raise AssertionError(f"{completion.tokens} tokens")
    print(repr(completion.text))
