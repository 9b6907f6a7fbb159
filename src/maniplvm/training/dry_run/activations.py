"""Memory of a forward and backward pass, and of generation, from shapes and lengths alone.

Counts of what PyTorch keeps for the backward pass of a transformer block, as Korthikanti et al.
(2022) do for GPT, here for the blocks of the Qwen family with fused attention (no `T x T` scores).
"""

from __future__ import annotations

from dataclasses import dataclass

from maniplvm.training.dry_run.shapes import Shapes, Stack

_HEAD_TOKENS, _HEAD_ENTRIES = 4096, 32768
"""Tile of the logits that TRL's fused head holds at once (`trl.kernels`)."""

_FLOAT32 = 4

_AT_WORK = 1.5
"""A checkpointed block at work, as a multiple of what it keeps: its gradients come on top. Measured
1.2 for a block that learns and 1.7 for one with adapters (`results/memory.json`)."""


@dataclass(frozen=True)
class Workload:
    """What one process computes at a time.

    Attributes:
        rows: Sequences in one forward and backward pass.
        prompt_tokens: Of a sequence, image tokens included.
        completion_tokens: Of a sequence.
        image_tokens: Of the images of a sequence.
        completions_per_row: Completions that share a row's prompt; 1 unless the prefix is shared.
        generated_rows: Sequences generated at a time in this process; 0 if it generates none.
    """

    rows: int
    prompt_tokens: int
    completion_tokens: int
    image_tokens: int
    completions_per_row: int = 1
    generated_rows: int = 0

    @property
    def row_tokens(self) -> int:
        """Tokens of one row."""
        return self.prompt_tokens + self.completions_per_row * self.completion_tokens

    @property
    def tokens(self) -> int:
        """Tokens of one pass."""
        return self.rows * self.row_tokens


@dataclass(frozen=True)
class Keeping:
    """What a pass keeps for its backward half.

    Attributes:
        compute: Bytes of a number in the blocks.
        residual: Bytes of a number between them: larger under autocast, where weights are float32.
        checkpointing: Whether a block's insides are computed again instead of kept.
        text_learns: Whether the language model's own weights learn.
        adapters: Linear layers with an adapter, by the last part of their names.
        vision_learns: Whether the vision tower's weights learn.
    """

    compute: int = 2
    residual: int = 2
    checkpointing: bool = True
    text_learns: bool = True
    adapters: tuple[str, ...] = ()
    vision_learns: bool = True


def activation_bytes(shapes: Shapes, work: Workload, keeping: Keeping) -> int:
    """Bytes held when the backward pass begins, the logits aside.

    Args:
        shapes: Of the model.
        work: Of one process.
        keeping: What is kept and in which precision.
    """
    parts = [_of_stack(shapes.text, work.tokens, keeping, keeping.text_learns, keeping.adapters)]
    if work.completions_per_row > 1:
        mask = work.rows * work.row_tokens**2 * keeping.compute  # as sdpa adds it to the scores
        parts.append((mask, 0))
    if shapes.vision is not None:
        patches = work.rows * work.image_tokens * shapes.merge
        # transformers lets gradients into the tower where adapters meet checkpointing
        carries = keeping.vision_learns or (bool(keeping.adapters) and keeping.checkpointing)
        tower = _of_stack(shapes.vision, patches, keeping, keeping.vision_learns, ())
        passing = patches * (3 * shapes.vision.inner + 4 * shapes.vision.width) * keeping.compute
        parts.append(tower if carries else (0, passing))
    return sum(kept for kept, _ in parts) + max(passing for _, passing in parts)


def logit_bytes(shapes: Shapes, work: Workload, head_learns: bool) -> int:
    """Bytes of the tile of logits and its gradient in TRL's fused head [all float32].

    Args:
        shapes: Of the model.
        work: Of one process; only completion tokens are scored.
        head_learns: Whether the head's weights learn: their gradient is summed in float32.
    """
    scored = work.rows * work.completions_per_row * work.completion_tokens
    entries = min(shapes.vocabulary, _HEAD_ENTRIES)
    tile = 2 * min(scored, _HEAD_TOKENS) * entries * _FLOAT32
    gradient = shapes.vocabulary * shapes.text.width * _FLOAT32 if head_learns else 0
    return tile + gradient


def generation_bytes(shapes: Shapes, work: Workload, number: int) -> tuple[int, int]:
    """Bytes of the key-value cache, and of the widest other tensors, while completions are drawn.

    Args:
        shapes: Of the model.
        work: Of one process.
        number: Bytes of a number in the cache.
    """
    rows, text = work.generated_rows, shapes.text
    length = work.prompt_tokens + work.completion_tokens
    cache = 2 * rows * length * text.depth * text.key_value * number
    prefill = rows * work.prompt_tokens * (3 * text.inner + 2 * text.width) * number
    patches = rows * work.image_tokens * shapes.merge
    tower = 0
    if shapes.vision is not None:
        tower = patches * (3 * shapes.vision.inner + 4 * shapes.vision.width) * number
    sampling = 3 * rows * shapes.vocabulary * _FLOAT32
    return cache, max(prefill, tower, sampling)


def _of_stack(
    stack: Stack, tokens: int, keeping: Keeping, learns: bool, adapters: tuple[str, ...]
) -> tuple[int, int]:
    """Bytes that are kept until the backward pass, and bytes of one block at work."""
    inside = tokens * _block_bytes(stack, keeping, learns, adapters)
    if not keeping.checkpointing:
        return stack.depth * inside, 0
    inputs = stack.depth * tokens * stack.width * keeping.residual
    return inputs, int(_AT_WORK * inside)


def _block_bytes(stack: Stack, keeping: Keeping, learns: bool, adapters: tuple[str, ...]) -> int:
    """Bytes that one block keeps for one token."""
    number = keeping.compute
    norm = stack.width * (_FLOAT32 if stack.wide_norms else keeping.residual)
    if learns:
        norm += (
            stack.width * (2 if stack.wide_norms else 1) * number
        )  # scaled, and what linears read
    # queries and their output; keys and values, which attention repeats for every query head
    heads = 4 * stack.attention * number
    output = stack.attention * number if learns else 0
    feed = (3 if stack.gated else 1) * stack.inner * number
    if learns:
        feed += stack.inner * number
    return 2 * norm + heads + output + feed + _adapter_bytes(stack, adapters)


def _adapter_bytes(stack: Stack, adapters: tuple[str, ...]) -> int:
    """What the adapters keep: their inputs, which peft turns into float32 for each of them."""
    inputs = {"o_proj": stack.attention, "down_proj": stack.inner}
    return sum(inputs.get(name, stack.width) for name in adapters) * _FLOAT32
