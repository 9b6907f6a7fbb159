"""Weights that FSDP divided over ranks, as whole tensors. Files are loaded without pickled code."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.optional import torch

_NAME = re.compile(r"model_world_size_(\d+)_rank_(\d+)\.pt")


class Shards:
    """The model files of one verl checkpoint, opened and not yet read.

    Args:
        folder: The folder with `model_world_size_N_rank_R.pt`, one file a rank.

    Attributes:
        names: Names of the weights.

    Raises:
        UserError: files are missing or damaged, hold other objects than tensors, or differ in
            their weights.
    """

    def __init__(self, folder: Path) -> None:
        self._ranks = [_load(path) for path in _rank_files(folder)]
        self._folder = folder
        self.names = tuple(self._ranks[0])
        for rank, weights in enumerate(self._ranks):
            if differing := self._ranks[0].keys() ^ weights.keys():
                raise UserError(
                    f"{folder}: ranks 0 and {rank} differ in the weight {min(differing)}; the "
                    "checkpoint is damaged"
                )

    def __len__(self) -> int:
        """The number of ranks."""
        return len(self._ranks)

    def weight(self, name: str) -> Any:
        """One whole weight on the CPU, a `torch.Tensor` in the precision of training.

        Raises:
            UserError: it is placed in an unknown way, differs between ranks that should hold the
                same, has another shape than its parts say, or is not finite.
        """
        tensors = [weights[name] for weights in self._ranks]
        where = f"{self._folder}: weight {name}"
        whole = (
            _distributed(tensors, where) if _is_distributed(tensors[0]) else _same(tensors, where)
        )
        if whole.is_floating_point() and not bool(whole.isfinite().all()):
            raise UserError(f"{where} is not finite; use an earlier checkpoint")
        return whole

    def weights(self) -> Iterator[tuple[str, Any]]:
        """All weights by name, one at a time."""
        return ((name, self.weight(name)) for name in self.names)


def has_shards(folder: Path) -> bool:
    """Whether a folder holds model files of verl."""
    return folder.is_dir() and any(_NAME.fullmatch(path.name) for path in folder.iterdir())


def _rank_files(folder: Path) -> list[Path]:
    found = [match for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    sizes = sorted({int(match[1]) for match in found})
    if len(sizes) != 1:
        raise UserError(
            f"{folder}: files of {' and '.join(map(str, sizes))} ranks; keep those of one run"
        )
    paths = [folder / f"model_world_size_{sizes[0]}_rank_{rank}.pt" for rank in range(sizes[0])]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} of {sizes[0]} files are missing, such as {missing[0]}; copy "
            "the files of all machines into one folder"
        )
    return paths


def _load(path: Path) -> dict[str, Any]:
    from torch.distributed import tensor  # noqa: F401 - lets torch load the parts of a DTensor

    library = torch()
    logging.getLogger("torch.distributed.device_mesh").addFilter(_is_no_mesh_warning)
    try:
        content = library.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UserError(
            f"{path}: cannot be read as tensors only ({_first_sentence(error)}); it is damaged, or "
            "it would run code when it is loaded"
        ) from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: expected a mapping of weights")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, library.Tensor):
            raise UserError(f"{path}: {name!r:.80} is no tensor with a name")
    return content


def _is_no_mesh_warning(record: logging.LogRecord) -> bool:
    """Leaves out the warning that a mesh is read before process groups exist: none are needed."""
    return "before the PGs were created" not in record.getMessage()


def _first_sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split(". ")[0] if lines else type(error).__name__


def _is_distributed(tensor: Any) -> bool:
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def _same(tensors: Sequence[Any], where: str) -> Any:
    """A tensor that every rank holds as a whole, such as a buffer."""
    first = tensors[0]
    for rank, other in enumerate(tensors[1:], start=1):
        if _is_distributed(other) or other.shape != first.shape or not bool((other == first).all()):
            raise UserError(
                f"{where} differs between ranks 0 and {rank}; the checkpoint is damaged"
            )
    return first.clone(memory_format=torch().contiguous_format)  # tied weights share memory


def _distributed(tensors: Sequence[Any], where: str) -> Any:
    """The whole of a `DTensor` from the parts of all ranks."""
    first = tensors[0]
    if any(not _is_distributed(t) or t.placements != first.placements for t in tensors):
        raise UserError(f"{where} is placed differently by its ranks; the checkpoint is damaged")
    mesh = first.device_mesh.mesh
    if sorted(mesh.flatten().tolist()) != list(range(len(tensors))):
        raise UserError(f"{where}: its device mesh does not hold the {len(tensors)} ranks")
    whole = _joined([t.to_local() for t in tensors], mesh, first.placements, where)
    if whole.shape != first.shape:
        raise UserError(
            f"{where}: its parts make {tuple(whole.shape)}, not {tuple(first.shape)}; the "
            "checkpoint is damaged"
        )
    return whole.contiguous()


def _joined(parts: Sequence[Any], mesh: Any, placements: Sequence[Any], where: str) -> Any:
    """Join the parts along the dimensions of the mesh, the first one outermost.

    Args:
        parts: The local tensor of every rank.
        mesh: The ranks, an integer tensor with one dimension for each placement.
        placements: How each dimension of the mesh divides the tensor.
        where: The weight, for messages.
    """
    from torch.distributed.tensor.placement_types import Replicate, Shard

    if not placements:
        return parts[int(mesh)]
    placement, rest = placements[0], placements[1:]
    if type(placement) is Replicate:
        return _joined(parts, mesh[0], rest, where)
    if type(placement) is not Shard:
        raise UserError(f"{where} is placed as {placement}; only FSDP shards can be joined")
    inner = [_joined(parts, row, rest, where) for row in mesh]
    return torch().cat(inner, dim=placement.dim)
