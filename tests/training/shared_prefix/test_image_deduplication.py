import numpy as np
import pytest
import torch

from maniplvm.models import build_inputs, chat_messages
from maniplvm.training.shared_prefix.image_deduplication import (
    deduplicate_preprocessing,
    deduplicate_vision_tower,
    distinct_images,
)
from tests.models.images import make_image

SIZES = ((160, 120), (320, 200), (160, 120))


def test_equal_images_are_preprocessed_once_with_the_same_output(loaded):
    model = loaded("qwen2_5_vl")
    images = [make_image(size, seed) for seed, size in enumerate(SIZES)]
    many = [image.copy() for image in images for _ in range(3)]
    chats = [chat_messages("push")] * len(many)
    expected = build_inputs(model, chats, many)
    inner, call_sizes = model.processor.image_processor, []

    class Counting:
        def __call__(self, images, **options):
            call_sizes.append(len(images))
            return inner(images, **options)

        def __getattr__(self, name):
            return getattr(inner, name)

    model.processor.image_processor = Counting()
    with deduplicate_preprocessing(model.processor):
        first = build_inputs(model, chats, many)
        second = build_inputs(model, chats, many)
    assert call_sizes == [3]
    for found in (first, second):
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert isinstance(model.processor.image_processor, Counting)


def test_other_inputs_than_pil_images_are_passed_to_the_processor(loaded):
    processor = loaded("qwen2_5_vl").processor
    pixels = np.zeros((120, 160, 3), dtype=np.uint8)
    expected = processor.image_processor([pixels], return_tensors="pt")
    with deduplicate_preprocessing(processor):
        found = processor.image_processor([pixels], return_tensors="pt")
    assert torch.equal(found["pixel_values"], expected["pixel_values"])


def test_images_are_distinct_by_content_and_grid():
    rows = torch.arange(32.0).view(16, 2)
    pixels = torch.cat([rows[:4], rows[:4], rows[4:8], rows[:4].flip(0), rows[:4]])
    grid = torch.tensor([[1, 2, 2], [1, 2, 2], [1, 2, 2], [1, 2, 2], [1, 4, 1]])
    assert distinct_images(pixels, grid) == ([0, 2, 3, 4], [0, 0, 1, 2, 3])


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_the_vision_tower_computes_equal_images_of_different_prompts_once(loaded, family):
    model = loaded(family)
    shared, other = make_image((160, 120), 1), make_image((320, 200), 2)
    chats = [chat_messages(text) for text in ("push", "open the drawer", "pull")]
    inputs = build_inputs(model, chats, [shared, other, shared])
    patches = []
    tower = model.model.model.visual
    tower.patch_embed.register_forward_pre_hook(lambda _, args: patches.append(len(args[0])))
    with torch.no_grad():
        expected = model.model(**inputs).logits
        with deduplicate_vision_tower(model.model):
            found = model.model(**inputs).logits
    assert torch.allclose(found, expected, atol=1e-5)
    sizes = inputs["image_grid_thw"].prod(-1).tolist()
    assert patches == [sum(sizes), sizes[0] + sizes[1]]
