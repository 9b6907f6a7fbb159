"""A tiny Qwen2.5-VL with random weights, wide enough to learn a little."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from maniplvm.models import write_tiny_checkpoint

WIDTH, HEADS = 96, 4


def write_policy(folder: Path, seed: int) -> None:
    """Write the checkpoint: the files of `write_tiny_checkpoint` with a wider model."""
    write_tiny_checkpoint(folder, "qwen2_5_vl")
    config = transformers.AutoConfig.from_pretrained(folder)
    text, vision = config.text_config, config.vision_config
    head = WIDTH // HEADS
    text.hidden_size, text.intermediate_size = WIDTH, 2 * WIDTH
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = HEADS, HEADS // 2, head
    text.rope_parameters["mrope_section"] = [head // 2 - 2 * (head // 8), head // 8, head // 8]
    vision.hidden_size, vision.intermediate_size = WIDTH, 2 * WIDTH
    vision.out_hidden_size, vision.num_heads = WIDTH, HEADS
    stops = transformers.GenerationConfig.from_pretrained(folder)
    torch.manual_seed(seed)
    model = transformers.AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    model.generation_config = stops
    model.save_pretrained(folder)
