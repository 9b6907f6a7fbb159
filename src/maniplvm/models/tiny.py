"""Tiny checkpoints of the real model classes, with random weights: for tests and benchmarks.

They are complete (weights, tokenizer, processor, chat template) and load like any other model,
but they know nothing: what they write is noise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.models._packages import quiet_unless_terminal, tokenizers, torch, transformers
from maniplvm.tasks import PROMPTS, Task

END_OF_TEXT, TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN, END_OF_TURN, VISION_START, VISION_END, IMAGE, VIDEO)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
"""One token each, and not special: decoding must keep them."""

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}
{{ '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- elif part['type'] == 'text' -%}
{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- endif -%}
"""
"""The chat form of the Qwen family, pictures and text only."""

_WIDTH, _DEPTH, _HEADS = 32, 2, 4


@dataclass(frozen=True)
class _Architecture:
    """What distinguishes one family's classes.

    Attributes:
        prefix: Of the class names in transformers.
        video_processor: Its class name, which a stock processor looks for.
        patch_size: Side of a patch [px].
        min_pixels: As in the published checkpoints [px squared].
        max_pixels: As in the published checkpoints [px squared].
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
    """Write a complete checkpoint of a family's real class, a few hundred kB large.

    Args:
        folder: Where to; created if it is missing.
        family: One of `TINY_FAMILIES`.
        seed: Of the weights; the same seed gives the same bytes.

    Returns:
        The folder.

    Raises:
        UserError: an unknown family; the valid ones are listed.
    """
    if family not in _ARCHITECTURES:
        raise UserError(f"unknown family {family!r}; choose from {', '.join(TINY_FAMILIES)}")
    folder = Path(folder)
    architecture = _ARCHITECTURES[family]
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder)
    _write_processor(folder, architecture)
    model = _random_model(architecture, tokenizer, seed)
    with quiet_unless_terminal():
        model.save_pretrained(folder)
    return folder


def tiny_tokenizer(size: int = 512) -> Any:
    """A byte-level tokenizer trained on the prompts, with the marks of the Qwen family.

    Args:
        size: Tokens at most, the `TAGS` not counted.
    """
    library = tokenizers()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence(
        [
            library.pre_tokenizers.Digits(individual_digits=True),
            library.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_tokens([library.AddedToken(tag, normalized=False, special=False) for tag in TAGS])
    return transformers().PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[TURN, VISION_START, VISION_END, IMAGE, VIDEO],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
    )


def _corpus() -> Iterator[str]:
    for style in PROMPTS.values():
        for task in Task:
            frame = FRAMES[style.family].bind((640, 480))
            yield f"user\n{style.ask('pick up the red mug', task, frame)}\nassistant\n"


def _write_processor(folder: Path, architecture: _Architecture) -> None:
    """Picture and video settings in the one file from which every processor is built."""
    shared = {
        "patch_size": architecture.patch_size,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "size": {
            "shortest_edge": architecture.min_pixels,
            "longest_edge": architecture.max_pixels,
        },
    }
    content = {
        "processor_class": f"{architecture.prefix}Processor",
        "image_processor": {"image_processor_type": "Qwen2VLImageProcessor", **shared},
        "video_processor": {"video_processor_type": architecture.video_processor, **shared},
    }
    text = json.dumps(content, indent=2) + "\n"
    (folder / "processor_config.json").write_text(text, encoding="utf-8")


def _random_model(architecture: _Architecture, tokenizer: Any, seed: int) -> Any:
    library = transformers()
    identity = tokenizer.convert_tokens_to_ids
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
        "bos_token_id": identity(END_OF_TEXT),
        "eos_token_id": identity(END_OF_TURN),
        "pad_token_id": identity(END_OF_TEXT),
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
        image_token_id=identity(IMAGE),
        video_token_id=identity(VIDEO),
        vision_start_token_id=identity(VISION_START),
        vision_end_token_id=identity(VISION_END),
        tie_word_embeddings=True,
    )
    with torch().random.fork_rng(devices=[]):
        torch().manual_seed(seed)
        model = getattr(library, f"{architecture.prefix}ForConditionalGeneration")(config)
    model.generation_config.eos_token_id = identity(END_OF_TURN)
    model.generation_config.pad_token_id = identity(END_OF_TEXT)
    return model
