import pytest
import torch

from maniplvm.errors import UserError
from maniplvm.models import (
    Decoding,
    ImageTextPrompt,
    VisionFeatureCache,
    encode_batch,
    generate,
    load_model,
)
from maniplvm.models.vision_feature_cache import MODEL_TYPES
from tests.models.images import encoded, make_image

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
SIZES = ((96, 64), (64, 128))
GREEDY = Decoding(max_new_tokens=8)
WARM = Decoding(temperature=1.0, max_new_tokens=8)


@pytest.fixture(params=FAMILIES)
def loaded(checkpoint, request):
    found = load_model(checkpoint(request.param), device="cpu", max_pixels=128 * 128)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for weights in found.model.parameters():
            if weights.dim() > 1:
                weights.normal_(std=0.2)  # large enough that completions depend on the image
    return found


def prompts_of(count=3):
    """Each image twice, in two sizes, each time with another text."""
    images = [encoded(make_image(SIZES[number % 2], number)) for number in range(count)]
    return [
        ImageTextPrompt("x" * (1 + 2 * number) + word, data)
        for word in ("where", "how to move")
        for number, data in enumerate(images)
    ]


@pytest.fixture
def tower_calls(loaded, monkeypatch):
    """Numbers of images that the vision tower encoded, one for each call."""
    counts = []
    backbone = loaded.model.base_model
    plain = backbone.get_image_features

    def counted(pixel_values, image_grid_thw=None, **options):
        counts.append(len(image_grid_thw))
        return plain(pixel_values, image_grid_thw, **options)

    monkeypatch.setattr(backbone, "get_image_features", counted)
    return counts


def test_greedy_completions_equal_those_without_the_cache(loaded):
    prompts = prompts_of()
    plain = generate(loaded, encode_batch(loaded, prompts), GREEDY)
    cache = VisionFeatureCache(loaded)
    assert generate(loaded, cache.encode(prompts), GREEDY) == plain
    again = generate(loaded, cache.encode(prompts), GREEDY)
    assert again == plain, "from cached features"
    assert len({each.text for each in plain}) > 1


def test_features_equal_those_without_the_cache_deepstack_included(loaded):
    prompts = prompts_of()
    plain = encode_batch(loaded, prompts)
    with torch.inference_mode():
        whole = loaded.model.base_model.get_image_features(
            plain["pixel_values"], plain["image_grid_thw"], return_dict=True
        )
    found = VisionFeatureCache(loaded).encode(prompts)["mm_encoder_outputs"]["image"]
    torch.testing.assert_close(torch.cat(found.pooler_output), torch.cat(whole.pooler_output))
    layers = getattr(whole, "deepstack_features", [])
    assert bool(layers) == (loaded.family.name == "qwen3_vl")
    for own, other in zip(getattr(found, "deepstack_features", []), layers, strict=True):
        torch.testing.assert_close(torch.cat(own), torch.cat(other))


def test_sampled_completions_equal_those_without_the_cache(loaded):
    prompts = [prompt for prompt in prompts_of(2) for _ in range(3)]
    seeds = [(7, number) for number in range(len(prompts))]
    plain = generate(loaded, encode_batch(loaded, prompts), WARM, seeds)
    found = generate(loaded, VisionFeatureCache(loaded).encode(prompts), WARM, seeds)
    assert found == plain
    assert len({each.text for each in found[:3]}) > 1


def test_each_image_is_encoded_once(loaded, tower_calls):
    prompts = prompts_of()
    cache = VisionFeatureCache(loaded)
    cache.encode(prompts[:4])
    cache.encode(prompts[4:])
    cache.encode(prompts)
    assert tower_calls == [3]


def test_generate_does_not_encode_the_images_again(loaded, tower_calls):
    generate(loaded, VisionFeatureCache(loaded).encode(prompts_of()), GREEDY)
    assert tower_calls == [3]


def test_images_beyond_the_budget_are_encoded_again(loaded, tower_calls):
    cache = VisionFeatureCache(loaded, budget=1)
    prompts = prompts_of()
    first, again = cache.encode(prompts), cache.encode(prompts)
    assert tower_calls == [3, 3]
    one, two = (
        torch.cat(each["mm_encoder_outputs"]["image"].pooler_output) for each in (first, again)
    )
    assert torch.equal(one, two)


def test_an_unsupported_architecture_is_encoded_without_the_cache(loaded, monkeypatch):
    monkeypatch.setattr(loaded.model.config, "model_type", "another_vl")
    cache = VisionFeatureCache(loaded)
    found, plain = cache.encode(prompts_of()), encode_batch(loaded, prompts_of())
    assert not cache.is_supported
    assert found.keys() == plain.keys()
    assert all(torch.equal(found[name], plain[name]) for name in plain)


def test_the_processor_is_restored(loaded):
    before = loaded.processor.image_processor
    VisionFeatureCache(loaded).encode(prompts_of())
    assert loaded.processor.image_processor is before


def test_an_image_that_cannot_be_read_is_reported_with_its_number(loaded):
    with pytest.raises(UserError, match=r"prompt 1: the image is (empty|damaged)"):
        VisionFeatureCache(loaded).encode([prompts_of()[0], ImageTextPrompt("x", b"no image")])


def test_every_tested_family_is_supported():
    assert set(FAMILIES) < set(MODEL_TYPES)
