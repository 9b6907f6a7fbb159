"""A model whose architecture has no family of its own."""

import pytest
import torch
import transformers

from maniplvm.errors import UserError
from maniplvm.models import (
    Decoding,
    ImageTextPrompt,
    encode_batch,
    generate,
    load_interface,
    load_model,
)
from maniplvm.models.tiny import tiny_tokenizer
from maniplvm.models.tiny.tokenizer import END_OF_TURN, IMAGE
from tests.models.images import encoded, make_image


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llava")
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**small, image_size=32, patch_size=16),
        text_config=transformers.LlamaConfig(**small, vocab_size=len(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.LlavaForConditionalGeneration(config).save_pretrained(folder)
    images = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    transformers.LlavaProcessor(
        images,
        tokenizer,
        patch_size=16,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token=IMAGE,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)
    return folder


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
