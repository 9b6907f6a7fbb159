"""The embedded model before it has learned anything: architecture, tokenizer and processor."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.models.checkpoint import quiet_unless_terminal
from maniplvm.models.families import CONFIG_KEY
from maniplvm.models.tokenizers import (
    stop_at_turn,
    text_token_ids,
    token_ids,
    train_tokenizer,
    write_processor,
)
from maniplvm.optional import torch, transformers

SIDE_PX = 160
"""An image's area is resized to the square of this."""
PATCH_PX, MERGE = 16, 2

COORDINATES = tuple(str(number) for number in range(100))
"""The family's frame, one token for each number."""
ANSWER_PIECES = (", ", "], [", "[[", "]]")
"""What stands between coordinates, one token each: half as many steps for a trace."""

_FAMILY = "embedded"
_PREFIX = "Qwen3VL"
_SINE_AMPLITUDE, _NUMBER_AMPLITUDE = 0.5, 0.15
_SLOWEST_SINE, _NUMBER_OCTAVES = 1.5, 24.0


@dataclass(frozen=True)
class Shape:
    """How large the model is.

    Attributes:
        vision_width: Of the vision tower.
        vision_depth: Its blocks.
        width: Of the language model.
        depth: Its blocks.
        heads: Attention heads, of both.
        vocabulary: Tokens that are learned from text.
    """

    vision_width: int = 160
    vision_depth: int = 4
    width: int = 160
    depth: int = 4
    heads: int = 4
    vocabulary: int = 640


def write_untrained(folder: Path, texts: Iterable[str], shape: Shape, seed: int) -> Path:
    """Write a complete checkpoint of class `Qwen3VLForConditionalGeneration`.

    Args:
        folder: Where to; created if it is missing.
        texts: What the tokenizer is trained on: prompts and completions.
        shape: How large.
        seed: Of the weights.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(texts, shape.vocabulary, (*COORDINATES[10:], *ANSWER_PIECES))
    tokenizer.save_pretrained(folder)
    settings = {
        "patch_size": PATCH_PX,
        "temporal_patch_size": 1,
        "merge_size": MERGE,
        "size": {"shortest_edge": SIDE_PX**2, "longest_edge": SIDE_PX**2},
    }
    write_processor(folder, _PREFIX, f"{_PREFIX}VideoProcessor", settings)
    with torch().random.fork_rng(devices=[]):
        torch().manual_seed(seed)
        model = getattr(transformers(), f"{_PREFIX}ForConditionalGeneration")(
            _config(tokenizer, shape)
        )
        _place_patches(model)
        _order_numbers(model, tokenizer)
    stop_at_turn(model, tokenizer)
    with quiet_unless_terminal():
        model.save_pretrained(folder)
    return folder


def _config(tokenizer: Any, shape: Shape) -> Any:
    head = shape.width // shape.heads
    spatial = head // 2 * 3 // 8  # most of the rotary angles tell row and column apart
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": shape.width,
        "intermediate_size": 3 * shape.width,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": head,
        "max_position_embeddings": 1024,
        "initializer_range": 0.06,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_interleaved": True,
            "mrope_section": [head // 2 - 2 * spatial, spatial, spatial],
        },
        **text_token_ids(tokenizer),
    }
    vision = {
        "depth": shape.vision_depth,
        "hidden_size": shape.vision_width,
        "intermediate_size": 3 * shape.vision_width,
        "num_heads": shape.heads,
        "patch_size": PATCH_PX,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 1,
        "initializer_range": 0.06,
        "out_hidden_size": shape.width,
        "num_position_embeddings": (SIDE_PX // PATCH_PX) ** 2,
        "deepstack_visual_indexes": [],
    }
    return getattr(transformers(), f"{_PREFIX}Config")(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=True,
        **token_ids(tokenizer),
        **{CONFIG_KEY: _FAMILY},
    )


def _place_patches(model: Any) -> None:
    """Start the vision tower's position table as waves along rows and columns."""
    library = torch()
    table = model.model.visual.pos_embed.weight
    side, waves = round(math.sqrt(len(table))), table.shape[1] // 4
    speeds = _SLOWEST_SINE * library.exp(-math.log(30.0) * library.arange(waves) / waves)
    rows, columns = library.meshgrid(
        library.arange(side).float(), library.arange(side).float(), indexing="ij"
    )
    angles = [axis.reshape(-1, 1) * speeds for axis in (rows, columns)]
    with library.no_grad():
        parts = [wave(angle) for angle in angles for wave in (library.sin, library.cos)]
        table.copy_(_SINE_AMPLITUDE * library.cat(parts, 1))


def _order_numbers(model: Any, tokenizer: Any) -> None:
    """Start the coordinates' embeddings so that near numbers are near, in shuffled dimensions."""
    library = torch()
    table = model.get_input_embeddings().weight
    waves = table.shape[1] // 2
    octaves = library.linspace(0, math.log(_NUMBER_OCTAVES), waves)
    place = library.arange(len(COORDINATES)).reshape(-1, 1) / len(COORDINATES)
    angles = place * math.pi * library.exp(octaves)
    shuffled = library.randperm(2 * waves)
    ids = tokenizer.convert_tokens_to_ids(list(COORDINATES))
    with library.no_grad():
        values = library.cat([library.sin(angles), library.cos(angles)], 1)[:, shuffled]
        table[ids] = _NUMBER_AMPLITUDE * values
