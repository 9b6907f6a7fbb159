from dataclasses import replace

import torch
from transformers import AutoModelForImageTextToText

from maniplvm.models import ImageTextPrompt, encode_batch, load_model, write_tiny_checkpoint
from maniplvm.models.vision_attention import batch_equal_images
from tests.models.images import encoded, make_image


def logits(loaded, sizes):
    prompts = [ImageTextPrompt("touch?", encoded(make_image(size))) for size in sizes]
    with torch.no_grad():
        return loaded.model(**encode_batch(loaded, prompts)).logits


def test_batched_attention_gives_the_original_logits_for_equal_and_unequal_images(tmp_path):
    loaded = load_model(write_tiny_checkpoint(tmp_path, "qwen3_vl"), device="cpu")
    batches = [[(300, 300)] * 3, [(300, 300), (320, 280)], [(256, 256)]]
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    original = [logits(replace(loaded, model=plain), sizes) for sizes in batches]
    assert batch_equal_images(loaded.model) == 2  # loading did it, and again changes nothing
    for sizes, expected in zip(batches, original, strict=True):
        torch.testing.assert_close(logits(loaded, sizes), expected, atol=1e-5, rtol=1e-4)


def test_other_vision_towers_are_not_changed(tmp_path):
    loaded = load_model(write_tiny_checkpoint(tmp_path, "qwen2_5_vl"), device="cpu")
    assert batch_equal_images(loaded.model) == 0
