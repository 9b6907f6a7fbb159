"""Blend a trained checkpoint with the one it started from: much is kept, little is forgotten.

The straight line between both sets of weights, as in WiSE-FT (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models").
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.files import replacing
from maniplvm.models.checkpoint import open_checkpoint
from maniplvm.optional import safetensors

_WEIGHTS = "*.safetensors"
_RECORD = "blend.json"


def blend(start: str | Path, trained: str | Path, share: float, out: str | Path) -> Path:
    """Write `(1 - share) * start + share * trained` as a checkpoint.

    Computed in float32, one file of weights after the other, and stored in the precision of
    `trained`, whose other files are copied.

    Args:
        start: Where training started: a folder, an id on the Hub, or `embedded`.
        trained: A folder with the same weights by name and shape.
        share: Of `trained`, in 0..1.
        out: A folder that does not exist yet, or holds this very blend.

    Returns:
        The folder `out`; `blend.json` in it says what it was made of.

    Raises:
        UserError: a bad share, no such checkpoints, weights that differ in name or shape, or a
            folder that exists already.
    """
    if not 0 <= share <= 1:
        raise UserError(f"--share {share:g}: needs to lie in 0..1, the share of {trained}")
    out = Path(out)
    record = json.dumps({"start": str(start), "trained": str(trained), "share": share}) + "\n"
    if out.exists():
        if (out / _RECORD).is_file() and (out / _RECORD).read_text(encoding="utf-8") == record:
            return out
        raise UserError(f"{out}: exists already; choose another --out")
    first, second = open_checkpoint(start).folder, open_checkpoint(trained).folder
    base = _Weights(first, str(start))
    with replacing(out) as unfinished:
        shutil.copytree(second, unfinished, ignore=shutil.ignore_patterns(_WEIGHTS))
        found = set[str]()
        for path in sorted(second.glob(_WEIGHTS)):
            mixed = dict(_mixed(base, path, share, str(trained)))
            found |= set(mixed)
            _write(mixed, unfinished / path.name)
        if found != set(base.files):
            missing = sorted(set(base.files) - found)[0]
            raise UserError(
                f"{trained}: has no weight {missing}, which {start} has; blend two alike"
            )
        (unfinished / _RECORD).write_text(record, encoding="utf-8")
    return out


class _Weights:
    """Where each weight of a checkpoint lies."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.files: dict[str, Path] = {}
        for path in sorted(folder.glob(_WEIGHTS)):
            with _opened(path) as file:
                self.files |= dict.fromkeys(file.keys(), path)

    def __getitem__(self, weight: str) -> Any:
        with _opened(self.files[weight]) as file:
            return file.get_tensor(weight)


def _mixed(base: _Weights, path: Path, share: float, trained: str) -> Iterator[tuple[str, Any]]:
    with _opened(path) as file:
        for name in file.keys():  # noqa: SIM118 - a file of safetensors is no mapping
            if name not in base.files:
                raise UserError(f"{base.name}: has no weight {name}, which {trained} has")
            own, other = file.get_tensor(name), base[name]
            if own.shape != other.shape:
                raise UserError(
                    f"{trained}: weight {name} is {tuple(own.shape)}, in {base.name} "
                    f"{tuple(other.shape)}; blend two checkpoints of one model"
                )
            mixed = other.float() + share * (own.float() - other.float())
            yield name, mixed.to(own.dtype) if own.is_floating_point() else own


def _opened(path: Path) -> Any:
    from safetensors import safe_open

    try:
        return safe_open(path, framework="pt")
    except (safetensors().SafetensorError, OSError) as error:
        raise UserError(f"{path}: cannot be read as safetensors ({error})") from error


def _write(weights: Mapping[str, Any], path: Path) -> None:
    from safetensors.torch import save_file

    save_file(dict(weights), path, metadata={"format": "pt"})
