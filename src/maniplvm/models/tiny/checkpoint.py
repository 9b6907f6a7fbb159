"""Write tiny checkpoints of the real model classes with random weights, for tests and benchmarks.

They are complete (weights, tokenizer, processor, chat template) and load like any other model.
Their completions are random tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.models.checkpoint import quiet_unless_terminal
from maniplvm.models.tiny.tokenizer import (
    stop_at_end_of_turn,
    text_token_ids,
    token_ids,
    train_tokenizer,
    write_processor,
)
from maniplvm.optional import torch, transformers
from maniplvm.tasks import PROMPTS, Task

_WIDTH, _DEPTH, _HEADS = 32, 2, 4


@dataclass(frozen=True)
class _Architecture:
    """Settings in which the model classes of the families differ.

    Attributes:
        prefix: Prefix of the class names in transformers.
        video_processor: Class name of the video processor.
        patch_size: Side of a patch [px].
        min_pixels: Smallest area of a resized image, as in the published checkpoints [px squared].
        max_pixels: Largest area of a resized image, as in the published checkpoints [px squared].
        vision: Settings of the vision tower besides the shared ones.
        rope: Settings of the rotary embedding besides the shared ones.
    """

    prefix: str
    video_processor: str
    patch_size: int
    min_pixels: int
    max_pixels: int
    vision: dict[str, Any]
    rope: dict[str, Any]


_ARCHITECTURES = {
    "qwen2_vl": _Architecture(
        "Qwen2VL",
        "Qwen2VLVideoProcessor",
        14,
        56 * 56,
        28 * 28 * 16384,
        {"embed_dim": _WIDTH, "hidden_size": _WIDTH, "mlp_ratio": 2},
        {},
    ),
    "qwen2_5_vl": _Architecture(
        "Qwen2_5_VL",
        "Qwen2VLVideoProcessor",
        14,
        56 * 56,
        28 * 28 * 16384,
        {
            "hidden_size": _WIDTH,
            "intermediate_size": 2 * _WIDTH,
            "out_hidden_size": _WIDTH,
            "window_size": 112,
            "fullatt_block_indexes": [1],
        },
        {},
    ),
    "qwen3_vl": _Architecture(
        "Qwen3VL",
        "Qwen3VLVideoProcessor",
        16,
        256 * 256,
        4096 * 4096,
        {
            "hidden_size": _WIDTH,
            "intermediate_size": 2 * _WIDTH,
            "out_hidden_size": _WIDTH,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        {"mrope_interleaved": True},
    ),
}

TINY_FAMILIES = tuple(_ARCHITECTURES)
"""The families that `write_tiny_checkpoint` can build."""


def write_tiny_checkpoint(folder: str | Path, family: str, seed: int = 0) -> Path:
    """Write a complete checkpoint of a family's real model class, a few hundred kB large.

    Args:
        folder: Target folder; created if it is missing.
        family: One of `TINY_FAMILIES`.
        seed: Seed of the weights; the same seed gives the same bytes.

    Returns:
        The folder.

    Raises:
        UserError: an unknown family; the message lists the valid ones.
    """
    folder = Path(folder)
    tokenizer = write_tiny_interface(folder, family)
    model = _random_model(_ARCHITECTURES[family], tokenizer, seed)
    with quiet_unless_terminal():
        model.save_pretrained(folder)
    return folder


def write_tiny_interface(folder: Path, family: str) -> Any:
    """Write what a checkpoint of a family holds besides config and weights: tokenizer and processor.

    The processor has the patch and image sizes of the published checkpoints.

    Args:
        folder: Target folder; created if it is missing.
        family: One of `TINY_FAMILIES`.

    Returns:
        The tokenizer.

    Raises:
        UserError: an unknown family; the message lists the valid ones.
    """
    if family not in _ARCHITECTURES:
        raise UserError(f"unknown family {family!r}; choose from {', '.join(TINY_FAMILIES)}")
    architecture = _ARCHITECTURES[family]
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": architecture.min_pixels, "longest_edge": architecture.max_pixels}
    settings = {
        "patch_size": architecture.patch_size,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "size": size,
    }
    write_processor(folder, architecture.prefix, architecture.video_processor, settings)
    return tokenizer


def tiny_tokenizer(size: int = 512) -> Any:
    """Train a tokenizer on the prompts of all families.

    Args:
        size: Largest number of tokens, without the tags.
    """
    return train_tokenizer(_corpus(), size)


def _corpus() -> Iterator[str]:
    for style in PROMPTS.values():
        for task in (Task.AFFORDANCE, Task.TRAJECTORY):
            frame = FRAMES[style.family].bind((640, 480))
            yield f"user\n{style.format('pick up the red mug', task, frame)}\nassistant\n"


def _random_model(architecture: _Architecture, tokenizer: Any, seed: int) -> Any:
    library = transformers()
    head = _WIDTH // _HEADS
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": _DEPTH,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _HEADS // 2,
        "head_dim": head,
        "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [head // 2 - 2, 1, 1],
            **architecture.rope,
        },
        **text_token_ids(tokenizer),
    }
    vision = {
        "depth": _DEPTH,
        "num_heads": _HEADS,
        "patch_size": architecture.patch_size,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        **architecture.vision,
    }
    config = getattr(library, f"{architecture.prefix}Config")(
        text_config=text,
        vision_config=vision,
        **token_ids(tokenizer),
        tie_word_embeddings=True,
    )
    with torch().random.fork_rng(devices=[]):
        torch().manual_seed(seed)
        model = getattr(library, f"{architecture.prefix}ForConditionalGeneration")(config)
    stop_at_end_of_turn(model, tokenizer)
    return model
