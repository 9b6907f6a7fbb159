"""Memory of a forward and backward pass, and of generation, from sizes and lengths alone.

Counts the tensors that PyTorch keeps for the backward pass of a transformer block. Korthikanti et
al. (2022) do this for GPT. Here the blocks are those of Qwen with fused attention (no `T x T`
scores).
"""

from __future__ import annotations

from dataclasses import dataclass

from maniplvm.training.dry_run.shapes import ModelShape, TransformerShape

_HEAD_TOKENS, _HEAD_ENTRIES = 4096, 32768
"""Tile of the logits that TRL's fused language model head computes at once (`trl.kernels`)."""

_FLOAT32 = 4

_RECOMPUTED_BLOCK = 1.5
"""Memory of a checkpointed block in its backward pass, gradients included, as a multiple of its
activations. Measured: 1.2 for a trained block, 1.7 for one with adapters (`results/memory.json`)."""


@dataclass(frozen=True)
class Workload:
    """Batch and sequence sizes of one process.

    Attributes:
        rows: Sequences in one forward and backward pass.
        prompt_tokens: Prompt tokens of a sequence, image tokens included.
        completion_tokens: Completion tokens of a sequence.
        image_tokens: Image tokens of a sequence.
        completions_per_row: Completions that share a row's prompt; 1 without a shared prefix.
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
        """Tokens of one forward pass."""
        return self.rows * self.row_tokens


@dataclass(frozen=True)
class ActivationPolicy:
    """Which activations are kept for the backward pass, and in which precision.

    Attributes:
        compute: Bytes of a number inside the blocks.
        residual: Bytes of a number between blocks; larger under autocast with float32 weights.
        checkpointing: Whether activations inside a block are recomputed instead of kept.
        text_trains: Whether the weights of the language model are trained.
        adapters: Linear layers with an adapter, by the last part of their names.
        vision_trains: Whether the weights of the vision encoder are trained.
    """

    compute: int = 2
    residual: int = 2
    checkpointing: bool = True
    text_trains: bool = True
    adapters: tuple[str, ...] = ()
    vision_trains: bool = True


def activation_bytes(shape: ModelShape, work: Workload, policy: ActivationPolicy) -> int:
    """Bytes of activations when the backward pass begins, without the logits.

    Args:
        shape: The sizes of the model.
        work: The batch and sequence sizes of one process.
        policy: Which activations are kept, and in which precision.
    """
    text = _stack_bytes(shape.text, work.tokens, policy, policy.text_trains, policy.adapters)
    copies = _prompt_copies(shape.text, work, policy)
    parts = [(text[0] + copies[0], text[1] + copies[1])]
    if shape.vision is not None:
        patches = work.rows * work.image_tokens * shape.merge
        # with adapters and checkpointing, transformers computes gradients in the vision encoder too
        has_gradients = policy.vision_trains or (bool(policy.adapters) and policy.checkpointing)
        encoder = _stack_bytes(shape.vision, patches, policy, policy.vision_trains, ())
        passing = patches * (3 * shape.vision.inner + 4 * shape.vision.width) * policy.compute
        parts.append(encoder if has_gradients else (0, passing))
    return sum(kept for kept, _ in parts) + max(passing for _, passing in parts)


def logit_bytes(shape: ModelShape, work: Workload, head_trains: bool) -> int:
    """Bytes of the tile of logits and its gradient in TRL's fused head [all float32].

    Args:
        shape: The sizes of the model.
        work: The batch and sequence sizes of one process; only completion tokens have logits.
        head_trains: Whether the head is trained; its gradient is then accumulated in float32.
    """
    scored = work.rows * work.completions_per_row * work.completion_tokens
    entries = min(shape.vocabulary, _HEAD_ENTRIES)
    tile = 2 * min(scored, _HEAD_TOKENS) * entries * _FLOAT32
    gradient = shape.vocabulary * shape.text.width * _FLOAT32 if head_trains else 0
    return tile + gradient


def generation_bytes(shape: ModelShape, work: Workload, number: int) -> tuple[int, int]:
    """Bytes of the key-value cache, and of the largest other tensors, during generation.

    Args:
        shape: The sizes of the model.
        work: The batch and sequence sizes of one process.
        number: Bytes of a number in the cache.
    """
    rows, text = work.generated_rows, shape.text
    length = work.prompt_tokens + work.completion_tokens
    cache = 2 * rows * length * text.depth * text.key_value * number
    prefill = rows * work.prompt_tokens * (3 * text.inner + 2 * text.width) * number
    patches = rows * work.image_tokens * shape.merge
    encoder = 0
    if shape.vision is not None:
        encoder = patches * (3 * shape.vision.inner + 4 * shape.vision.width) * number
    sampling = 3 * rows * shape.vocabulary * _FLOAT32
    return cache, max(prefill, encoder, sampling)


def _stack_bytes(
    stack: TransformerShape,
    tokens: int,
    policy: ActivationPolicy,
    trains: bool,
    adapters: tuple[str, ...],
) -> tuple[int, int]:
    """Bytes kept until the backward pass, and bytes of one block in its backward pass."""
    inside = tokens * _block_bytes(stack, policy, trains, adapters)
    if not policy.checkpointing:
        return stack.depth * inside, 0
    inputs = stack.depth * tokens * stack.width * policy.residual
    return inputs, int(_RECOMPUTED_BLOCK * inside)


def _prompt_copies(
    stack: TransformerShape, work: Workload, policy: ActivationPolicy
) -> tuple[int, int]:
    """Keys and values of a shared prompt, which attention repeats for every completion."""
    if work.completions_per_row == 1:
        return 0, 0
    tokens = work.rows * work.completions_per_row * work.prompt_tokens
    inside = 2 * tokens * stack.attention * policy.compute
    if not policy.checkpointing:
        return stack.depth * inside, 0
    return 0, int(_RECOMPUTED_BLOCK * inside)


def _block_bytes(
    stack: TransformerShape, policy: ActivationPolicy, trains: bool, adapters: tuple[str, ...]
) -> int:
    """Bytes that one block keeps for one token."""
    number = policy.compute
    norm = stack.width * (_FLOAT32 if stack.wide_norms else policy.residual)
    if trains:
        # the scaled output, and the input of the linear layers
        norm += stack.width * (2 if stack.wide_norms else 1) * number
    # queries and output, then keys and values, which attention repeats for every query head
    heads = 4 * stack.attention * number
    output = stack.attention * number if trains else 0
    feed = (3 if stack.gated else 1) * stack.inner * number
    if trains:
        feed += stack.inner * number
    return 2 * norm + heads + output + feed + _adapter_bytes(stack, adapters)


def _adapter_bytes(stack: TransformerShape, adapters: tuple[str, ...]) -> int:
    """Bytes that the adapters keep: peft converts the input of each adapter to float32."""
    inputs = {"o_proj": stack.attention, "down_proj": stack.inner}
    return sum(inputs.get(name, stack.width) for name in adapters) * _FLOAT32
