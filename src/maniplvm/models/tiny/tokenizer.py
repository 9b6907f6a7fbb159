"""Tokenizer, chat template and processor files of a small checkpoint in the format of Qwen-VL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from maniplvm.optional import tokenizers, transformers

END_OF_TEXT, TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN, END_OF_TURN, VISION_START, VISION_END, IMAGE, VIDEO)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
"""Tags that are one token each. They are not special, so decoding keeps them."""

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
"""Chat template of the Qwen family, for images and text only."""


def train_tokenizer(texts: Iterable[str], size: int, whole: Iterable[str] = ()) -> Any:
    """Train a byte-level tokenizer with the special tokens of the Qwen family.

    Args:
        texts: Training texts.
        size: Largest number of tokens, without `TAGS` and `whole`.
        whole: Further strings that are one token each. All other digits are one token each.
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
    tokenizer.train_from_iterator(texts, trainer)
    added = [library.AddedToken(text, normalized=False, special=False) for text in (*TAGS, *whole)]
    tokenizer.add_tokens(added)
    return transformers().PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[TURN, VISION_START, VISION_END, IMAGE, VIDEO],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
    )


def write_processor(
    folder: Path, prefix: str, video_processor: str, settings: Mapping[str, Any]
) -> None:
    """Write `processor_config.json`, with the image and video settings of a processor.

    Args:
        folder: Folder of the checkpoint.
        prefix: Prefix of the class names in transformers.
        video_processor: Class name of the video processor.
        settings: Settings of both parts: patches, merging, smallest and largest area.
    """
    content = {
        "processor_class": f"{prefix}Processor",
        "image_processor": {"image_processor_type": "Qwen2VLImageProcessor", **settings},
        "video_processor": {"video_processor_type": video_processor, **settings},
    }
    text = json.dumps(content, indent=2) + "\n"
    (folder / "processor_config.json").write_text(text, encoding="utf-8")


def token_ids(tokenizer: Any) -> dict[str, int]:
    """The token ids in the config of a Qwen-VL model."""
    tokens = {
        "image_token_id": IMAGE,
        "video_token_id": VIDEO,
        "vision_start_token_id": VISION_START,
        "vision_end_token_id": VISION_END,
    }
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()}


def text_token_ids(tokenizer: Any) -> dict[str, int]:
    """The token ids in the config of a Qwen language model."""
    tokens = {
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": END_OF_TURN,
        "pad_token_id": END_OF_TEXT,
    }
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()}


def stop_at_end_of_turn(model: Any, tokenizer: Any) -> None:
    """Make `generate` stop at the end of the assistant's turn."""
    ids = text_token_ids(tokenizer)
    model.generation_config.eos_token_id = ids["eos_token_id"]
    model.generation_config.pad_token_id = ids["pad_token_id"]
