"""How much memory training takes on each GPU, estimated without weights, data or GPU.

An estimate, to choose a card and a recipe by: what allocators, kernels and libraries add is a flat
guess (`OVERHEAD`), and nothing here was measured on a GPU. The weights' part is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maniplvm.models import count_parameters
from maniplvm.training.config.launch import Launch, Sharding
from maniplvm.training.dry_run.activations import (
    Keeping,
    Workload,
    activation_bytes,
    generation_bytes,
    logit_bytes,
)
from maniplvm.training.dry_run.shapes import Shapes, read_shapes

GIB = 1024**3

OVERHEAD = int(1.5 * GIB)
"""Context of the GPU, kernels, buffers of the libraries, and fragmentation: a guess."""

_ZERO3_LIVE = 10**9
"""Parameters that ZeRO-3 may hold whole at a time (`stage3_max_live_parameters`)."""

_STATE_BYTES = {
    "adamw_8bit": 2.0,
    "adamw_bnb_8bit": 2.0,
    "paged_adamw_8bit": 2.0,
    "adafactor": 0.1,
    "sgd": 0.0,
}
"""Bytes that an optimizer keeps for a learning parameter, where it is not two of its numbers."""


@dataclass(frozen=True)
class Training:
    """What of the trainer's settings decides about memory.

    Attributes:
        autocast: Whether blocks compute in 16 bits whatever the weights are (`bf16`, `fp16`).
        checkpointing: Whether activations are computed again (`gradient_checkpointing`).
        optimizer: `optim` of the trainer.
        reference: Whether a second, frozen model is held for the KL term.
        adapters: Linear layers with an adapter; empty where all weights learn.
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
        parts: What is held all the time, by name.
        update: What a forward and backward pass adds, by name.
        generation: What drawing completions adds, by name; empty if this process draws none.
    """

    parts: Mapping[str, int]
    update: Mapping[str, int]
    generation: Mapping[str, int]

    @property
    def peak(self) -> int:
        """What is held all the time and the larger of the two phases, which never coincide."""
        phases = (sum(self.update.values()), sum(self.generation.values()))
        return sum(self.parts.values()) + max(phases)

    def to_json(self) -> dict[str, Any]:
        """Plain values, in GiB with two decimals."""
        groups = {"held": self.parts, "update": self.update, "generation": self.generation}
        told = {
            name: {part: round(size / GIB, 2) for part, size in group.items()}
            for name, group in groups.items()
        }
        phases = {name: round(sum(group.values()) / GIB, 2) for name, group in groups.items()}
        return {**told, "phases": phases, "peak": round(self.peak / GIB, 2)}


def weight_bytes(model: Any) -> int:
    """Bytes of a model's parameters, shared ones once; a skeleton gives what the model will take."""
    return sum(each.numel() * each.element_size() for each in model.parameters())


def estimate_memory(
    skeleton: Any, work: Workload, training: Training, launch: Launch | None = None
) -> MemoryEstimate:
    """What each GPU of a run holds at its peak.

    Args:
        skeleton: As `models.build_meta_model` makes it: precision, adapters and frozen parts count.
        work: Of one process.
        training: Settings of the trainer.
        launch: How many processes there are and what they split; None is one process.
    """
    launch = launch or Launch()
    shapes = read_shapes(skeleton.config)
    tensors = list(skeleton.parameters())
    learning = [each for each in tensors if each.requires_grad]
    sizes = _Sizes(
        everything=weight_bytes(skeleton),
        elements=sum(each.numel() for each in tensors),
        learning=sum(each.numel() for each in learning),
        learning_bytes=sum(each.numel() * each.element_size() for each in learning),
        number=min(each.element_size() for each in tensors),  # adapters are wider than their base
    )
    held = _held(sizes, shapes, training, launch)
    counts = count_parameters(skeleton)
    compute = 2 if training.autocast else sizes.number
    keeping = Keeping(
        compute=compute,
        residual=max(compute, _computed(sizes, launch)),
        checkpointing=training.checkpointing,
        text_learns=not training.adapters,
        adapters=training.adapters,
        vision_learns=counts.vision_trainable > 0,
    )
    head_learns = not training.adapters
    update = {
        "activations": activation_bytes(shapes, work, keeping),
        "logits": logit_bytes(shapes, work, head_learns),
    }
    update |= _gathered_for_update(sizes, shapes, training, launch)
    generation = {}
    if work.generated_rows:
        cache, widest = generation_bytes(shapes, work, _computed(sizes, launch))
        generation = {"key-value cache": cache, "prefill": widest}
        if launch.sharding is Sharding.ZERO3:
            generation["gathered weights"] = sizes.everything
        elif launch.sharding is Sharding.FSDP2:
            generation["gathered weights"] = _largest_unit(shapes) * 2 * 2
    return MemoryEstimate(held, update, generation)


@dataclass(frozen=True)
class _Sizes:
    """Of all parameters and of those that learn; `number` is bytes of one of the base model."""

    everything: int
    elements: int
    learning: int
    learning_bytes: int
    number: int


def _held(sizes: _Sizes, shapes: Shapes, training: Training, launch: Launch) -> dict[str, int]:
    split = launch.processes if launch.sharding is not Sharding.NONE else 1
    share = launch.processes if launch.sharding.splits_weights else 1
    frozen_bytes = sizes.everything - sizes.learning_bytes
    weights, gradients = sizes.everything, sizes.learning_bytes
    states = _state_bytes(training.optimizer, sizes)
    if launch.sharding is Sharding.FSDP2 and training.autocast:
        weights, gradients = frozen_bytes + 4 * sizes.learning, 4 * sizes.learning
        states = _state_bytes(training.optimizer, sizes, 4)
    elif launch.sharding in (Sharding.ZERO2, Sharding.ZERO3):
        states = _state_bytes(training.optimizer, sizes, 4) + 4 * sizes.learning  # float32 masters
    held = {
        "weights": 0 if launch.offloads_weights else weights // share,
        "gradients": gradients // split,
        "optimizer": 0 if launch.offloads_optimizer else states // split,
    }
    if training.reference and not training.adapters:
        held["reference"] = 0 if launch.offloads_weights else sizes.everything // share
    elif training.reference:
        held["reference"] = sizes.learning_bytes // share
    if launch.processes > 1 and launch.sharding is Sharding.NONE:
        held["gradient buckets"] = gradients
    held["overhead"] = OVERHEAD
    return held


def _gathered_for_update(
    sizes: _Sizes, shapes: Shapes, training: Training, launch: Launch
) -> dict[str, int]:
    """Weights that are whole, or in a second precision, while a pass is under way."""
    if launch.sharding is Sharding.ZERO3:
        return {"gathered weights": min(sizes.elements, _ZERO3_LIVE) * 2}
    if launch.sharding is Sharding.FSDP2:
        head = shapes.vocabulary * shapes.text.width
        return {"gathered weights": 2 * _largest_unit(shapes) * 2 + head * 4}
    if training.autocast and sizes.number == 4:
        return {"16-bit copies": sizes.elements * 2}
    return {}


def _computed(sizes: _Sizes, launch: Launch) -> int:
    """Bytes of a number of the weights as blocks see them, autocast aside."""
    return 2 if launch.sharding is not Sharding.NONE else sizes.number


def _largest_unit(shapes: Shapes) -> int:
    """Parameters of one block of the language model, what FSDP gathers at a time."""
    text = shapes.text
    return text.width * (2 * text.attention + 2 * text.key_value + 3 * text.inner)


def _state_bytes(optimizer: str, sizes: _Sizes, number: int | None = None) -> int:
    """Two averages for every learning parameter in its own precision, unless the name says less."""
    if optimizer in _STATE_BYTES:
        return int(_STATE_BYTES[optimizer] * sizes.learning)
    return 2 * (sizes.learning_bytes if number is None else number * sizes.learning)
