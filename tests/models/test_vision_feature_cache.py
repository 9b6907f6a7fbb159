import pytest
import torch

from maniplvm.errors import UserError
from maniplvm.models import Question, VisionFeatureCache, encode_batch, generate_replies, load_model
from maniplvm.models.generation import Decoding
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
                weights.normal_(std=0.2)  # so large that what is seen decides what is said
    return found


def asked(count=3):
    """Every image twice, in two sizes, each time with another question."""
    images = [encoded(make_image(SIZES[number % 2], number)) for number in range(count)]
    return [
        Question("x" * (1 + 2 * number) + word, data)
        for word in ("where", "how to move")
        for number, data in enumerate(images)
    ]


@pytest.fixture
def towered(loaded, monkeypatch):
    """How many images went through the vision tower, call by call."""
    counts = []
    backbone = loaded.model.base_model
    plain = backbone.get_image_features

    def counted(pixel_values, image_grid_thw=None, **options):
        counts.append(len(image_grid_thw))
        return plain(pixel_values, image_grid_thw, **options)

    monkeypatch.setattr(backbone, "get_image_features", counted)
    return counts


def test_greedy_replies_are_the_plain_ones_token_for_token(loaded):
    questions = asked()
    plain = generate_replies(loaded, encode_batch(loaded, questions), GREEDY)
    memory = VisionFeatureCache(loaded)
    assert generate_replies(loaded, memory.encode(questions), GREEDY) == plain
    again = generate_replies(loaded, memory.encode(questions), GREEDY)
    assert again == plain, "from features that were kept"
    assert len({reply.text for reply in plain}) > 1


def test_features_are_those_of_the_plain_way_deepstack_included(loaded):
    questions = asked()
    plain = encode_batch(loaded, questions)
    with torch.inference_mode():
        whole = loaded.model.base_model.get_image_features(
            plain["pixel_values"], plain["image_grid_thw"], return_dict=True
        )
    found = VisionFeatureCache(loaded).encode(questions)["mm_encoder_outputs"]["image"]
    torch.testing.assert_close(torch.cat(found.pooler_output), torch.cat(whole.pooler_output))
    layers = getattr(whole, "deepstack_features", [])
    assert bool(layers) == (loaded.family.name == "qwen3_vl")
    for own, other in zip(getattr(found, "deepstack_features", []), layers, strict=True):
        torch.testing.assert_close(torch.cat(own), torch.cat(other))


def test_several_draws_are_the_plain_ones(loaded):
    questions = [question for question in asked(2) for _ in range(3)]
    keys = [(7, number) for number in range(len(questions))]
    plain = generate_replies(loaded, encode_batch(loaded, questions), WARM, keys)
    found = generate_replies(loaded, VisionFeatureCache(loaded).encode(questions), WARM, keys)
    assert found == plain
    assert len({reply.text for reply in found[:3]}) > 1


def test_each_image_goes_through_the_tower_once(loaded, towered):
    questions = asked()
    memory = VisionFeatureCache(loaded)
    memory.encode(questions[:4])
    memory.encode(questions[4:])
    memory.encode(questions)
    assert towered == [3]


def test_generate_does_not_run_the_tower_again(loaded, towered):
    generate_replies(loaded, VisionFeatureCache(loaded).encode(asked()), GREEDY)
    assert towered == [3]


def test_images_beyond_the_budget_are_encoded_again(loaded, towered):
    memory = VisionFeatureCache(loaded, budget=1)
    questions = asked()
    first, again = memory.encode(questions), memory.encode(questions)
    assert towered == [3, 3]
    one, two = (
        torch.cat(each["mm_encoder_outputs"]["image"].pooler_output) for each in (first, again)
    )
    assert torch.equal(one, two)


def test_an_unknown_class_is_asked_in_the_plain_way(loaded, monkeypatch):
    monkeypatch.setattr(loaded.model.config, "model_type", "another_vl")
    memory = VisionFeatureCache(loaded)
    found, plain = memory.encode(asked()), encode_batch(loaded, asked())
    assert not memory.helps
    assert found.keys() == plain.keys()
    assert all(torch.equal(found[name], plain[name]) for name in plain)


def test_the_processor_is_left_as_it_was(loaded):
    before = loaded.processor.image_processor
    VisionFeatureCache(loaded).encode(asked())
    assert loaded.processor.image_processor is before


def test_an_image_that_cannot_be_read_is_counted(loaded):
    with pytest.raises(UserError, match="question 1: its image cannot be read"):
        VisionFeatureCache(loaded).encode([asked()[0], Question("x", b"no image")])


def test_every_tiny_family_is_covered():
    assert set(FAMILIES) < set(MODEL_TYPES)
