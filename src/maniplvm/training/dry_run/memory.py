"""Estimates the memory of training on each GPU without weights, data or a GPU.

The estimate helps to choose a GPU and a recipe. The part of the weights is exact. The overhead of
allocators, kernels and libraries is a constant guess (`OVERHEAD`). Nothing was measured on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maniplvm.models import count_parameters
from maniplvm.training.config.launch import Launch, Sharding
from maniplvm.training.dry_run.activations import (
    ActivationPolicy,
    Workload,
    activation_bytes,
    generation_bytes,
    logit_bytes,
)
from maniplvm.training.dry_run.shapes import ModelShape, read_shape

GIB = 1024**3

OVERHEAD = int(1.5 * GIB)
"""Bytes of CUDA context, kernels, library buffers and fragmentation: a guess."""

_ZERO3_LIVE = 10**9
"""Parameters that ZeRO-3 may hold unsharded at a time (`stage3_max_live_parameters`)."""

_STATE_BYTES = {
    "adamw_8bit": 2.0,
    "adamw_bnb_8bit": 2.0,
    "paged_adamw_8bit": 2.0,
    "adafactor": 0.1,
    "sgd": 0.0,
}
"""Bytes of optimizer state for a trained parameter, for optimizers that keep less than Adam."""


@dataclass(frozen=True)
class MemorySettings:
    """Settings of the trainer that decide how much memory it needs.

    Attributes:
        autocast: Whether blocks compute in 16 bits (`bf16` or `fp16`).
        checkpointing: Whether activations are recomputed (`activation_checkpointing`).
        optimizer: The optimizer (`optim`).
        reference: Whether a second, frozen model is held for the KL term (`beta`).
        adapters: Linear layers with an adapter; empty if all weights are trained.
    """

    autocast: bool = True
    checkpointing: bool = True
    optimizer: str = "adamw_torch_fused"
    reference: bool = False
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one GPU.

    Attributes:
        parts: Bytes that are held all the time, by name.
        update: Bytes that a forward and backward pass adds, by name.
        generation: Bytes that generation adds, by name; empty if this process generates nothing.
    """

    parts: Mapping[str, int]
    update: Mapping[str, int]
    generation: Mapping[str, int]

    @property
    def peak(self) -> int:
        """Bytes held all the time plus the larger of the two phases, which never overlap."""
        phases = (sum(self.update.values()), sum(self.generation.values()))
        return sum(self.parts.values()) + max(phases)

    def to_json(self) -> dict[str, Any]:
        """JSON values in GiB with two decimals."""
        groups = {"held": self.parts, "update": self.update, "generation": self.generation}
        rounded = {
            name: {part: round(size / GIB, 2) for part, size in group.items()}
            for name, group in groups.items()
        }
        phases = {name: round(sum(group.values()) / GIB, 2) for name, group in groups.items()}
        return {**rounded, "phases": phases, "peak": round(self.peak / GIB, 2)}


def weight_bytes(model: Any) -> int:
    """Bytes of a model's parameters, shared ones counted once; a model without weights will do."""
    return sum(each.numel() * each.element_size() for each in model.parameters())


def estimate_memory(
    meta_model: Any, work: Workload, settings: MemorySettings, launch: Launch | None = None
) -> MemoryEstimate:
    """The memory of each GPU of a run.

    Args:
        meta_model: The model without weights, from `models.build_meta_model`.
        work: The batch and sequence sizes of one process.
        settings: The settings of the trainer.
        launch: The processes and their sharding; None is one process.
    """
    launch = launch or Launch()
    shape = read_shape(meta_model.config)
    tensors = list(meta_model.parameters())
    trained = [each for each in tensors if each.requires_grad]
    sizes = _Sizes(
        everything=weight_bytes(meta_model),
        elements=sum(each.numel() for each in tensors),
        trained=sum(each.numel() for each in trained),
        trained_bytes=sum(each.numel() * each.element_size() for each in trained),
        number=min(each.element_size() for each in tensors),  # adapters are wider than their base
    )
    held = _held(sizes, shape, settings, launch)
    counts = count_parameters(meta_model)
    compute = 2 if settings.autocast else sizes.number
    policy = ActivationPolicy(
        compute=compute,
        residual=max(compute, _computed(sizes, launch)),
        checkpointing=settings.checkpointing,
        text_trains=not settings.adapters,
        adapters=settings.adapters,
        vision_trains=counts.vision_trainable > 0,
    )
    head_trains = not settings.adapters
    update = {
        "activations": activation_bytes(shape, work, policy),
        "logits": logit_bytes(shape, work, head_trains),
    }
    update |= _gathered_for_update(sizes, shape, settings, launch)
    generation = {}
    if work.generated_rows:
        cache, widest = generation_bytes(shape, work, _computed(sizes, launch))
        generation = {"key-value cache": cache, "prefill": widest}
        if launch.sharding is Sharding.ZERO3:
            generation["gathered weights"] = sizes.everything
        elif launch.sharding is Sharding.FSDP2:
            generation["gathered weights"] = _largest_unit(shape) * 2 * 2
    return MemoryEstimate(held, update, generation)


@dataclass(frozen=True)
class _Sizes:
    """Bytes and counts of all and of trained parameters; `number` is the size of a base weight."""

    everything: int
    elements: int
    trained: int
    trained_bytes: int
    number: int


def _held(
    sizes: _Sizes, shape: ModelShape, settings: MemorySettings, launch: Launch
) -> dict[str, int]:
    split = launch.processes if launch.sharding is not Sharding.NONE else 1
    share = launch.processes if launch.sharding.splits_weights else 1
    frozen_bytes = sizes.everything - sizes.trained_bytes
    weights, gradients = sizes.everything, sizes.trained_bytes
    states = _state_bytes(settings.optimizer, sizes)
    if launch.sharding is Sharding.FSDP2 and settings.autocast:
        weights, gradients = frozen_bytes + 4 * sizes.trained, 4 * sizes.trained
        states = _state_bytes(settings.optimizer, sizes, 4)
    elif launch.sharding in (Sharding.ZERO2, Sharding.ZERO3):
        states = _state_bytes(settings.optimizer, sizes, 4) + 4 * sizes.trained  # float32 masters
    held = {
        "weights": 0 if launch.offloads_weights else weights // share,
        "gradients": gradients // split,
        "optimizer": 0 if launch.offloads_optimizer else states // split,
    }
    if settings.reference and not settings.adapters:
        held["reference"] = 0 if launch.offloads_weights else sizes.everything // share
    elif settings.reference:
        held["reference"] = sizes.trained_bytes // share
    if launch.processes > 1 and launch.sharding is Sharding.NONE:
        held["gradient buckets"] = gradients
    held["overhead"] = OVERHEAD
    return held


def _gathered_for_update(
    sizes: _Sizes, shape: ModelShape, settings: MemorySettings, launch: Launch
) -> dict[str, int]:
    """Weights that are unsharded, or in a second precision, during a forward and backward pass."""
    if launch.sharding is Sharding.ZERO3:
        return {"gathered weights": min(sizes.elements, _ZERO3_LIVE) * 2}
    if launch.sharding is Sharding.FSDP2:
        head = shape.vocabulary * shape.text.width
        return {"gathered weights": 2 * _largest_unit(shape) * 2 + head * 4}
    if settings.autocast and sizes.number == 4:
        return {"16-bit copies": sizes.elements * 2}
    return {}


def _computed(sizes: _Sizes, launch: Launch) -> int:
    """Bytes of a weight inside the blocks, without autocast."""
    return 2 if launch.sharding is not Sharding.NONE else sizes.number


def _largest_unit(shape: ModelShape) -> int:
    """Parameters of one block of the language model, which FSDP gathers at a time."""
    text = shape.text
    return text.width * (2 * text.attention + 2 * text.key_value + 3 * text.inner)


def _state_bytes(optimizer: str, sizes: _Sizes, number: int | None = None) -> int:
    """Two averages for every trained parameter in its own precision, as Adam keeps."""
    if optimizer in _STATE_BYTES:
        return int(_STATE_BYTES[optimizer] * sizes.trained)
    return 2 * (sizes.trained_bytes if number is None else number * sizes.trained)
