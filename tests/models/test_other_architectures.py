"""A model whose architecture has no family of its own."""

import pytest

from maniplvm.errors import UserError
from maniplvm.models import (
    Decoding,
    ImageTextPrompt,
    encode_batch,
    generate,
    load_interface,
    load_model,
)
from maniplvm.models.tiny.tokenizer import END_OF_TURN
from tests.models.images import encoded, make_image
from tests.models.llava import write_llava


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return write_llava(tmp_path_factory.mktemp("llava"))


def test_it_is_loaded_with_the_family_that_the_caller_gives(llava):
    with pytest.raises(UserError, match="no family is known for model type 'llava'"):
        load_interface(llava)
    loaded = load_model(llava, family="robopoint", freeze_vision=True, device="cpu")
    assert loaded.frame_for((640, 480)).limits == (1, 1)
    assert 0 < loaded.parameters.vision < loaded.parameters.total
    assert loaded.parameters.vision_trainable == 0


def test_it_generates_for_a_batch(llava):
    loaded = load_model(llava, family="robopoint", device="cpu")
    assert loaded.tokenizer.pad_token == END_OF_TURN
    prompts = [
        ImageTextPrompt("Where is the drawer?", encoded(make_image((64, 48)))),
        ImageTextPrompt("Box?", encoded(make_image((40, 90)))),
    ]
    batch = encode_batch(loaded, prompts)
    image_tokens = (batch["input_ids"] == loaded.model.config.image_token_id).sum(dim=1)
    assert image_tokens.tolist() == [loaded.image_tokens((64, 48)), loaded.image_tokens((40, 90))]
    assert len(generate(loaded, batch, Decoding(max_new_tokens=2))) == 2


def test_limits_of_the_area_and_families_in_resized_pixels_are_refused(llava):
    with pytest.raises(UserError, match="no min_pixels and max_pixels"):
        load_interface(llava, family="robopoint", max_pixels=1000)
    with pytest.raises(UserError, match="does not resize as its processor does"):
        load_interface(llava, family="qwen2_5_vl")
