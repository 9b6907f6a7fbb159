"""Models with random weights for the shared-prefix benchmark, and their number of multiplications."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText

from maniplvm.models import (
    LoadedModel,
    load_interface,
    load_model,
    write_architecture,
    write_tiny_checkpoint,
)

TINY = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 32,
}
TINY_VISION = {
    "depth": 4,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_heads": 4,
    "out_hidden_size": 256,
}


@dataclass(frozen=True)
class Size:
    """One row of the table.

    Attributes:
        prompt: Length of a prompt with its image tokens [tokens].
        completion: Length of the longest completion [tokens].
        group: Number of completions of a prompt.
        image: `(columns, rows)` of image tokens.
    """

    prompt: int
    completion: int
    group: int
    image: tuple[int, int]


def random_model(folder: Path, family: str) -> LoadedModel:
    """Write and load a small model with random weights and the code of its family.

    Args:
        folder: The folder for its checkpoint.
        family: `qwen2_5_vl` or `qwen3_vl`.
    """
    write_tiny_checkpoint(folder, family)
    config: Any = AutoConfig.from_pretrained(folder)
    for part, settings in ((config.text_config, TINY), (config.vision_config, TINY_VISION)):
        for name, value in settings.items():
            setattr(part, name, value)
    half = TINY["head_dim"] // 2
    spatial = half * 3 // 8
    config.text_config.rope_parameters["mrope_section"] = [half - 2 * spatial, spatial, spatial]
    layers = TINY["num_hidden_layers"]
    config.text_config.layer_types = ["full_attention"] * layers
    config.text_config.max_window_layers = layers
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    return load_model(folder)


def published_shape(folder: Path, architecture: str, device: str) -> LoadedModel:
    """Build a model of a published shape with random weights in bfloat16, without saving it.

    Args:
        folder: The folder for its config, tokenizer and processor.
        architecture: One of `ARCHITECTURES`.
        device: The device on which the weights are made.
    """
    interface = load_interface(write_architecture(folder, architecture))
    config = AutoConfig.from_pretrained(folder)
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    return LoadedModel(**vars(interface), model=model.eval())


def text_and_image(loaded: LoadedModel, size: Size, seed: int) -> tuple[str, Image.Image]:
    """A text and an image whose prompt has exactly `size.prompt` tokens."""
    block = loaded.model.config.vision_config
    side = block.patch_size * block.spatial_merge_size
    shape = (size.image[0] * side, size.image[1] * side)
    noise = torch.randint(0, 255, (shape[1], shape[0], 3), generator=torch.manual_seed(seed))
    image = Image.fromarray(noise.to(torch.uint8).numpy())
    text = "7" * (size.prompt - prompt_tokens(loaded, "", image))
    assert prompt_tokens(loaded, text, image) == size.prompt
    return text, image


def prompt_tokens(loaded: LoadedModel, text: str, image: Image.Image) -> int:
    """Length of a prompt with its image tokens [tokens]."""
    content = [{"type": "image"}, {"type": "text", "text": text}]
    chat = [{"role": "user", "content": content}]
    written = loaded.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return len(loaded.processor(text=[written], images=[[image]])["input_ids"][0])


def ideal_ratio(loaded: LoadedModel, size: Size, lengths: list[int]) -> float:
    """Ratio of multiplications: repeated prompts over shared prompts.

    Linear layers count per token, attention per pair of tokens that attend to each other, the LM
    head per predicted token, and the vision tower per image. Repeated prompts also count padding.
    """
    config = loaded.model.config
    text, vision = config.text_config, config.vision_config
    heads = text.num_attention_heads * head_width(text)
    keys = 2 * text.num_key_value_heads * head_width(text)
    layer = text.hidden_size * (2 * heads + keys + 3 * text.intermediate_size)
    linear, pair = text.num_hidden_layers * layer, 2 * text.num_hidden_layers * heads
    head = text.hidden_size * text.vocab_size
    merge = vision.spatial_merge_size**2
    patches = size.image[0] * size.image[1] * merge
    gates = 3 if loaded.model.config.model_type == "qwen2_5_vl" else 2
    block = vision.hidden_size * (4 * vision.hidden_size + gates * vision.intermediate_size)
    wide = merge * vision.hidden_size
    merger = wide * (wide + vision.out_hidden_size) / merge
    tower = patches * (vision.depth * block + merger)
    tower += (
        2 * vision.depth * vision.hidden_size * patches**2 * _attended_fraction(loaded, patches)
    )

    width = max(lengths)
    row = size.prompt + width
    plain = size.group * (linear * row + pair * row * (row + 1) / 2 + head * row + tower)
    tokens = size.prompt + sum(lengths)
    pairs = size.prompt * (size.prompt + 1) / 2
    pairs += sum(size.prompt * n + n * (n + 1) / 2 for n in lengths)
    return plain / (linear * tokens + pair * pairs + head * sum(lengths) + tower)


def head_width(text: Any) -> int:
    """Width of an attention head; Qwen2.5-VL derives it where the config has none."""
    return getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads


def _attended_fraction(loaded: LoadedModel, patches: int) -> float:
    """Fraction of all pairs of patches in the attention of the vision tower."""
    vision = loaded.model.config.vision_config
    whole = getattr(vision, "fullatt_block_indexes", None)
    if whole is None:
        return 1.0
    window = (vision.window_size // vision.patch_size) ** 2
    full = len([block for block in whole if block < vision.depth])
    return (full + (vision.depth - full) * min(1.0, window / patches)) / vision.depth
