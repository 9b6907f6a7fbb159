"""Interpolate the weights of a trained checkpoint and of the one where its training started.

The method is WiSE-FT (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). It keeps
most of what training improved, and more of the starting model's other abilities.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.files import replacing, writing
from maniplvm.models.checkpoint import open_checkpoint
from maniplvm.models.untrusted import read_json
from maniplvm.optional import safetensors

_WEIGHTS = "*.safetensors"
_RECORD = "interpolation.json"
_OLD_RECORD = "blend.json"  # with `share` in place of `alpha`


def interpolate_weights(
    start: str | Path, trained: str | Path, out: str | Path, *, alpha: float
) -> Path:
    """Write `(1 - alpha) * start + alpha * trained` as a checkpoint.

    The weights are computed in float32, one file at a time, and stored in the precision of
    `trained`. All other files are copied from `trained`.

    Args:
        start: Checkpoint where training started: a folder, an id on the Hub, or `embedded`.
        trained: Folder of a checkpoint whose weights have the same names and shapes.
        out: Folder that does not exist yet, or that holds the result of this very call.
        alpha: Interpolation coefficient, 0..1; 1 gives the trained weights.

    Returns:
        The folder `out`; its `interpolation.json` records the arguments.

    Raises:
        UserError: alpha out of range, missing checkpoints, weights that differ in name or shape,
            a folder that exists already, or another process writes it.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"alpha must lie in 0..1, got {alpha:g}")
    out = Path(out)
    record = {"start": str(start), "trained": str(trained), "alpha": alpha}
    if out.exists():
        if _read_record(out) != record:
            raise UserError(f"{out}: exists already; choose another --out")
        if _is_intact(out):
            return out
    first, second = open_checkpoint(start).folder, open_checkpoint(trained).folder
    base = _Weights(first, str(start))
    out.parent.mkdir(parents=True, exist_ok=True)
    with writing(out), replacing(out) as unfinished:
        not_copied = shutil.ignore_patterns(_WEIGHTS, _RECORD, _OLD_RECORD)
        shutil.copytree(second, unfinished, ignore=not_copied)
        written = set[str]()
        for path in sorted(second.glob(_WEIGHTS)):
            weights = dict(_interpolated(base, path, alpha, str(trained)))
            written |= set(weights)
            _write(weights, unfinished / path.name)
        if written != set(base.files):
            missing = sorted(set(base.files) - written)[0]
            raise UserError(
                f"{trained}: has no weight {missing}, which {start} has; "
                "interpolate two checkpoints of one model"
            )
        (unfinished / _RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")
    return out


def _read_record(folder: Path) -> dict[str, Any] | None:
    if (folder / _RECORD).is_file():
        return read_json(folder / _RECORD)
    if (folder / _OLD_RECORD).is_file():
        old = read_json(folder / _OLD_RECORD)
        return {("alpha" if name == "share" else name): value for name, value in old.items()}
    return None


def _is_intact(folder: Path) -> bool:
    """Whether no file of weights was cut; safetensors compares the size with the header."""
    try:
        return bool(_Weights(folder, str(folder)).files)
    except UserError:
        return False


class _Weights:
    """The files in which a checkpoint's weights are stored."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.files: dict[str, Path] = {}
        for path in sorted(folder.glob(_WEIGHTS)):
            with _opened(path) as file:
                self.files |= dict.fromkeys(file.keys(), path)

    def __getitem__(self, weight: str) -> Any:
        with _opened(self.files[weight]) as file:
            return file.get_tensor(weight)


def _interpolated(
    base: _Weights, path: Path, alpha: float, trained: str
) -> Iterator[tuple[str, Any]]:
    with _opened(path) as file:
        for name in file.keys():  # noqa: SIM118 - a file of safetensors is no mapping
            if name not in base.files:
                raise UserError(
                    f"{base.name}: has no weight {name}, which {trained} has; "
                    "interpolate two checkpoints of one model"
                )
            own, other = file.get_tensor(name), base[name]
            if own.shape != other.shape:
                raise UserError(
                    f"{trained}: weight {name} is {tuple(own.shape)}, in {base.name} "
                    f"{tuple(other.shape)}; interpolate two checkpoints of one model"
                )
            value = other.float() + alpha * (own.float() - other.float())
            if not bool(value.isfinite().all()):
                raise UserError(f"{trained}: weight {name} is not finite, here or in {base.name}")
            yield name, value.to(own.dtype) if own.is_floating_point() else own


def _opened(path: Path) -> Any:
    from safetensors import safe_open

    try:
        return safe_open(path, framework="pt")
    except (safetensors().SafetensorError, OSError) as error:
        raise UserError(f"{path}: cannot be read as safetensors ({error})") from error


def _write(weights: Mapping[str, Any], path: Path) -> None:
    from safetensors.torch import save_file

    save_file(dict(weights), path, metadata={"format": "pt"})
