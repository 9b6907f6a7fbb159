"""Architecture, tokenizer and processor of the embedded model, with untrained weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.models.checkpoint import quiet_unless_terminal
from maniplvm.models.families import CONFIG_KEY
from maniplvm.models.tiny.tokenizer import (
    stop_at_end_of_turn,
    text_token_ids,
    token_ids,
    train_tokenizer,
    write_processor,
)
from maniplvm.optional import torch, transformers

SIDE_PX = 160
"""Square root of the area to which an image is resized [px]."""
PATCH_PX, MERGE = 16, 2

COORDINATES = tuple(str(number) for number in range(100))
"""Numbers of the family's coordinate frame, one token each."""
ANSWER_PIECES = (", ", "], [", "[[", "]]")
"""Strings between coordinates, one token each. They halve the number of tokens of a trace."""

_FAMILY = "embedded"
_PREFIX = "Qwen3VL"
_SINE_AMPLITUDE, _NUMBER_AMPLITUDE = 0.5, 0.15
_SLOWEST_SINE, _NUMBER_OCTAVES = 1.5, 24.0


@dataclass(frozen=True)
class ModelShape:
    """Size of the model.

    Attributes:
        vision_width: Width of the vision tower.
        vision_depth: Number of blocks of the vision tower.
        width: Width of the language model.
        depth: Number of blocks of the language model.
        heads: Number of attention heads, in both.
        vocabulary: Number of tokens that the tokenizer learns from texts.
    """

    vision_width: int = 160
    vision_depth: int = 4
    width: int = 160
    depth: int = 4
    heads: int = 4
    vocabulary: int = 640


def write_untrained_checkpoint(
    folder: Path, texts: Iterable[str], shape: ModelShape, seed: int
) -> Path:
    """Write a complete checkpoint of class `Qwen3VLForConditionalGeneration`.

    Args:
        folder: Target folder; created if it is missing.
        texts: Prompts and completions on which the tokenizer is trained.
        shape: Size of the model.
        seed: Seed of the weights.

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
        _initialize_positions(model)
        _initialize_coordinates(model, tokenizer)
    stop_at_end_of_turn(model, tokenizer)
    with quiet_unless_terminal():
        model.save_pretrained(folder)
    return folder


def _config(tokenizer: Any, shape: ModelShape) -> Any:
    head = shape.width // shape.heads
    spatial = head // 2 * 3 // 8  # most rotary angles encode row and column
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


def _initialize_positions(model: Any) -> None:
    """Initialize the vision tower's position embeddings as sines along rows and columns."""
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


def _initialize_coordinates(model: Any, tokenizer: Any) -> None:
    """Initialize the embeddings of coordinates so that near numbers have near embeddings."""
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
