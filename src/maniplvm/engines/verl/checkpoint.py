"""A checkpoint of verl as a plain folder of transformers, without verl and without pickled code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.engines.verl.shards import Shards, has_shards
from maniplvm.errors import UserError
from maniplvm.files import replacing, unwritable
from maniplvm.models import build_meta_model, load_interface
from maniplvm.models.checkpoint import open_checkpoint, read_json
from maniplvm.models.families import CONFIG_KEY
from maniplvm.optional import torch

DTYPES = ("bfloat16", "float16", "float32")
"""Valid precisions of the written weights."""

_ACTOR, _HUGGINGFACE, _LATEST = "actor", "huggingface", "latest_checkpointed_iteration.txt"
_LORA_META = "lora_train_meta.json"
_COPIED = ("*.json", "*.txt", "*.jinja", "*.model")
_FILE_BYTES = 4 * 2**30
"""Largest size of one weight file [bytes]; one file is in memory at a time."""
_BASE, _LORA_A, _LORA_B = ".base_layer.", ".lora_A.default.weight", ".lora_B.default.weight"
_PEFT = "base_model.model."


@dataclass(frozen=True)
class Imported:
    """A written model.

    Attributes:
        folder: Its folder.
        source: The folder of the shards.
        ranks: Number of training ranks.
        weights: Number of weights.
        adapters: Number of weights into which an adapter was merged.
    """

    folder: Path
    source: Path
    ranks: int
    weights: int
    adapters: int


def import_checkpoint(
    source: str | Path,
    out: str | Path,
    *,
    family: str | None = None,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    dtype: str | None = None,
) -> Imported:
    """Write a verl checkpoint as a model that `load_model` and transformers can load.

    Trained adapters (LoRA) are merged. The weights keep the names that the model has in memory.

    Args:
        source: The folder of a verl run, of one `global_step_N`, or of its `actor`.
        out: The folder of the model, which must be new or empty. It is complete or absent.
        family: The model's family, as in the recipe; stored for later commands.
        min_pixels: The recipe's smallest image area [px squared], stored with the processor.
        max_pixels: The recipe's largest image area [px squared].
        dtype: One of `DTYPES`; None keeps the precision of training.

    Raises:
        UserError: no complete checkpoint, a file that holds other objects than tensors, or
            weights that do not belong to the model.
    """
    out = Path(out)
    if dtype is not None and dtype not in DTYPES:
        raise UserError(f"--dtype {dtype}: choose from {', '.join(DTYPES)}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out}: exists already; choose another --out")
    folder = find_actor(Path(source))
    described = folder / _HUGGINGFACE
    open_checkpoint(described, weights=False)  # a bad config.json is one clear line
    interface = load_interface(
        described, family=family, min_pixels=min_pixels, max_pixels=max_pixels
    )
    shards = Shards(folder)
    plan = _Plan(shards, folder)
    plan.check(build_meta_model(described, dtype="float32"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as unfinished:
            unfinished.mkdir()
            for pattern in _COPIED:
                for path in described.glob(pattern):
                    shutil.copy(path, unfinished)
            interface.processor.save_pretrained(unfinished)
            _write_config(unfinished / "config.json", family, dtype)
            _write_weights(unfinished, plan.weights(dtype))
    except OSError as error:
        raise unwritable(out, error) from error
    return Imported(out, folder, len(shards), len(plan.names), len(plan.adapted))


def find_actor(source: Path) -> Path:
    """The folder with the model's shards, below a verl run or one of its checkpoints.

    Raises:
        UserError: there is none.
    """
    latest = source / _LATEST
    if latest.is_file():
        step = latest.read_text(encoding="utf-8").strip()
        source = source / f"global_step_{step}" if step.isdecimal() else source
    for folder in (source, source / _ACTOR):
        if has_shards(folder):
            return folder
    steps = sorted(path.name for path in source.glob("global_step_*"))
    found = f"; choose one of {', '.join(steps)}" if steps else ""
    raise UserError(
        f"{source}: no checkpoint of verl here (actor/model_world_size_N_rank_R.pt){found}"
    )


class _Plan:
    """The whole weights under the names of the model, with adapters merged."""

    def __init__(self, shards: Shards, folder: Path) -> None:
        self._shards = shards
        self._folder = folder
        stored = set(shards.names)
        self.adapted = {name[: -len(_LORA_A)] for name in stored if name.endswith(_LORA_A)}
        self._scale = _lora_scale(folder) if self.adapted else 0.0
        self.names = {
            name.removeprefix(_PEFT).replace(_BASE, "."): name
            for name in shards.names
            if not name.endswith((_LORA_A, _LORA_B))
        }
        if not self.names:
            raise UserError(f"{folder}: holds only adapters; set save_contents to whole models")

    def check(self, model: Any) -> None:
        """Compare names with those of the model that `config.json` describes."""
        expected = set(model.state_dict())
        tied = set(getattr(model, "all_tied_weights_keys", None) or ())
        missing, unknown = expected - set(self.names) - tied, set(self.names) - expected
        if missing or unknown:
            name = min(missing or unknown)
            problem = "is missing" if missing else "is not part of the model"
            raise UserError(f"{self._folder}: weight {name} {problem}; the files do not fit")

    def weights(self, dtype: str | None) -> Iterator[tuple[str, Any]]:
        """The weights by name, one at a time."""
        for name, stored in self.names.items():
            weight = self._shards.weight(stored)
            layer = stored.removesuffix(_BASE + "weight")
            if layer != stored and layer in self.adapted:
                down = self._shards.weight(layer + _LORA_A).float()
                up = self._shards.weight(layer + _LORA_B).float()
                weight = (weight.float() + self._scale * (up @ down)).to(weight.dtype)
            if dtype is not None and weight.is_floating_point():
                weight = weight.to(getattr(torch(), dtype))
            yield name, weight


def _lora_scale(folder: Path) -> float:
    path = folder / _LORA_META
    meta = read_json(path) if path.is_file() else {}
    rank, alpha = meta.get("r"), meta.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float) or rank < 1:
        raise UserError(f"{path}: the rank and alpha of the adapters are missing")
    return alpha / rank


def _write_config(path: Path, family: str | None, dtype: str | None) -> None:
    settings = read_json(path)
    if family is not None:
        settings[CONFIG_KEY] = family
    if dtype is not None:
        settings["dtype"] = dtype
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _write_weights(folder: Path, weights: Iterator[tuple[str, Any]]) -> None:
    """Write safetensors files of at most `_FILE_BYTES`, with an index if there are several."""
    from safetensors.torch import save_file

    place, total, number = dict[str, str](), 0, 0
    for group in _groups(weights):
        number += 1
        name = f"model-{number:05d}.safetensors"
        save_file(dict(group), folder / name, metadata={"format": "pt"})
        place |= dict.fromkeys(group, name)
        total += sum(weight.nbytes for weight in group.values())
    if number == 1:
        (folder / "model-00001.safetensors").rename(folder / "model.safetensors")
        return
    index = {"metadata": {"total_size": total}, "weight_map": place}
    text = json.dumps(index, indent=2) + "\n"
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def _groups(weights: Iterator[tuple[str, Any]]) -> Iterator[Mapping[str, Any]]:
    group, size = dict[str, Any](), 0
    for name, weight in weights:
        if group and size + weight.nbytes > _FILE_BYTES:
            yield group
            group, size = {}, 0
        group[name] = weight
        size += weight.nbytes
    if group:
        yield group
