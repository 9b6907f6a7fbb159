import pytest
import torch
from PIL import Image

from maniplvm.errors import UserError
from maniplvm.models import (
    TINY_FAMILIES,
    Decoding,
    ImageTextPrompt,
    build_inputs,
    chat_messages,
    encode_batch,
    generate,
    load_interface,
    load_model,
)
from tests.models.images import encoded, make_image

PROMPTS = [
    ImageTextPrompt(
        "Where must the gripper touch to open the small wooden drawer?",
        encoded(make_image((96, 64))),
    ),
    ImageTextPrompt("Box?", encoded(make_image((60, 150), seed=1), "JPEG")),
    ImageTextPrompt("<think> how? </think>", encoded(make_image((64, 64), seed=2), "WEBP")),
]


@pytest.fixture(scope="module")
def loaded(checkpoint):
    models = {}

    def get(family):
        if family not in models:
            models[family] = load_model(checkpoint(family), device="cpu")
        return models[family]

    return get


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_batch_is_padded_on_the_left_and_holds_every_image(loaded, family):
    model = loaded(family)
    batch = encode_batch(model, PROMPTS)
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    assert (batch["attention_mask"][:, -1] == 1).all()
    assert (batch["attention_mask"].diff(dim=1) >= 0).all()
    assert (batch["input_ids"][batch["attention_mask"] == 0] == model.tokenizer.pad_token_id).all()
    sizes = [(96, 64), (60, 150), (64, 64)]
    image_tokens = (batch["input_ids"] == model.model.config.image_token_id).sum(dim=1)
    assert image_tokens.tolist() == [model.image_tokens(size) for size in sizes]
    assert len(batch["pixel_values"]) == batch["image_grid_thw"].prod(dim=1).sum()


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_prompt_gets_the_same_logits_alone_and_in_a_batch(loaded, family):
    model = loaded(family)
    with torch.inference_mode():
        together = model.model(**encode_batch(model, PROMPTS)).logits[:, -1]
        alone = [model.model(**encode_batch(model, [each])).logits[0, -1] for each in PROMPTS]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_the_logits_depend_on_the_image(loaded, family):
    model = loaded(family)
    other = ImageTextPrompt(PROMPTS[0].text, encoded(make_image((96, 64), seed=9)))
    with torch.inference_mode():
        first, second = model.model(**encode_batch(model, [PROMPTS[0], other])).logits[:, -1]
    assert not torch.equal(first, second)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_generation_gives_one_completion_for_each_prompt(loaded, family):
    model = loaded(family)
    batch = encode_batch(model, PROMPTS)
    texts = [each.text for each in generate(model, batch, Decoding(max_new_tokens=6))]
    assert len(texts) == len(PROMPTS)
    assert texts == [each.text for each in generate(model, batch, Decoding(max_new_tokens=6))]
    assert not any("<|" in text or "Box?" in text for text in texts)


def test_decoding_keeps_the_tags_of_an_answer(loaded):
    tokenizer = loaded("qwen3_vl").tokenizer
    text = "<think>the mug</think><answer>[1, 2, 34, 5]</answer>"
    tokens = tokenizer(text)["input_ids"]
    assert tokenizer.decode(tokens, skip_special_tokens=True) == text
    assert tokens[0] == tokenizer.convert_tokens_to_ids("<think>")


def test_the_chat_is_rendered_with_the_image_before_the_text(loaded):
    model = loaded("qwen2_5_vl")
    batch = encode_batch(model, PROMPTS[1:2], system="Be brief.")
    text = model.tokenizer.decode(batch["input_ids"][0])
    text = text.replace("<|image_pad|>", "")
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|vision_end|>Box?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_images_of_any_mode_are_accepted(checkpoint):
    side = load_interface(checkpoint("qwen2_vl"))
    modes = ("L", "RGBA", "P", "1", "CMYK")
    images = [make_image((64, 64)).convert(mode) for mode in modes]
    batch = build_inputs(side, [chat_messages("Box?")] * len(images), images)
    assert len(batch["image_grid_thw"]) == len(images)
    assert batch["pixel_values"].isfinite().all()


def test_a_damaged_image_is_named(checkpoint):
    side = load_interface(checkpoint("qwen2_vl"))
    whole = PROMPTS[0].image
    for damaged in (b"", b"no image", whole[: len(whole) // 2]):
        with pytest.raises(UserError, match=r"prompt 1: the image is (empty|damaged)"):
            encode_batch(side, [PROMPTS[0], ImageTextPrompt("Box?", damaged)])


def test_a_batch_needs_a_prompt_and_each_chat_an_image(checkpoint):
    side = load_interface(checkpoint("qwen2_vl"))
    with pytest.raises(ValueError, match="0 chats"):
        encode_batch(side, [])
    with pytest.raises(ValueError, match="1 chats need as many images, got 2"):
        build_inputs(side, [chat_messages("Box?")], [Image.new("RGB", (64, 64))] * 2)
