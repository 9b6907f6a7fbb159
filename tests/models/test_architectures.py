"""The shipped sizes of published models: parameters, image tokens, and what they cannot do."""

import json

import pytest

from maniplvm.errors import UserError
from maniplvm.models import (
    ARCHITECTURES,
    build_meta_model,
    find_architecture,
    load_interface,
    load_model,
    write_architecture,
)

PUBLISHED = {
    "qwen2.5-vl-3b": 3_754_622_976,
    "qwen2.5-vl-7b": 8_292_166_656,
    "qwen3-vl-4b": 4_437_815_808,
    "qwen3-vl-8b": 8_767_123_696,
}
"""Number of parameters on the pages of the models on the Hugging Face Hub."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("architectures")
    return {name: write_architecture(root / name, name) for name in ARCHITECTURES}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_has_the_published_number_of_parameters(folders, name):
    parameters = build_meta_model(folders[name]).parameters()
    assert sum(each.numel() for each in parameters) == PUBLISHED[name]


@pytest.mark.parametrize(("name", "tokens"), [("qwen2.5-vl-7b", 23 * 17), ("qwen3-vl-8b", 20 * 15)])
def test_images_have_as_many_tokens_as_in_the_published_model(folders, name, tokens):
    assert load_interface(folders[name]).image_tokens((640, 480)) == tokens


def test_the_vocabulary_stays_that_of_the_published_model(folders):
    config = json.loads((folders["qwen2.5-vl-3b"] / "config.json").read_text())
    interface = load_interface(folders["qwen2.5-vl-3b"])
    assert config["text_config"]["vocab_size"] == 151_936 > len(interface.tokenizer)
    assert config["image_token_id"] == interface.tokenizer.convert_tokens_to_ids("<|image_pad|>")


def test_ids_of_the_hub_lead_to_their_architecture_and_others_to_none():
    assert find_architecture("Qwen/Qwen2.5-VL-3B-Instruct") is ARCHITECTURES["qwen2.5-vl-3b"]
    assert find_architecture("someone/finetuned-qwen") is None


def test_an_architecture_is_no_model_and_an_unknown_name_is_one_line(folders, tmp_path):
    with pytest.raises(UserError, match="no weights"):
        load_model(folders["qwen3-vl-4b"])
    with pytest.raises(UserError, match=r"choose from qwen2\.5-vl-3b"):
        write_architecture(tmp_path, "qwen9")
