import json
import sys
from types import SimpleNamespace

import pytest
import torch
import transformers

from maniplvm.errors import UserError
from maniplvm.models import (
    TINY_FAMILIES,
    ImageTextPrompt,
    encode_batch,
    load_interface,
    load_model,
    write_tiny_checkpoint,
)
from maniplvm.models.loading import choose_device, choose_dtype
from tests.models.images import encoded, make_image

PROMPT = ImageTextPrompt("Where?", encoded(make_image((96, 64))))


def logits(loaded, prompts=(PROMPT,)):
    with torch.inference_mode():
        return loaded.model(**encode_batch(loaded, prompts)).logits


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_checkpoint_is_loaded_with_its_real_class_and_processor(checkpoint, family):
    loaded = load_model(checkpoint(family), device="cpu")
    name = loaded.processor.__class__.__name__.removesuffix("Processor")
    assert type(loaded.model) is getattr(transformers, f"{name}ForConditionalGeneration")
    assert isinstance(loaded.processor, getattr(transformers, f"{name}Processor"))
    assert loaded.family.name == loaded.prompt.family == loaded.frame_spec.name == family
    assert loaded.tokenizer is loaded.processor.tokenizer
    assert loaded.tokenizer.padding_side == "left"
    assert not loaded.model.training
    assert (loaded.device.type, loaded.dtype) == ("cpu", torch.float32)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_saved_and_loaded_again_a_model_is_the_same(checkpoint, tmp_path, family):
    first = load_model(checkpoint(family), device="cpu", max_pixels=100_000)
    first.save(tmp_path)
    second = load_model(tmp_path, device="cpu")
    for name, weights in first.model.state_dict().items():
        assert torch.equal(weights, second.model.state_dict()[name]), name
    assert torch.equal(logits(first), logits(second))
    assert second.frame_spec == first.frame_spec
    assert second.processor.chat_template == first.processor.chat_template
    assert second.tokenizer.get_vocab() == first.tokenizer.get_vocab()
    assert not list(tmp_path.glob("*.bin"))


def test_plain_transformers_loads_what_was_saved(checkpoint, tmp_path):
    first = load_model(checkpoint("qwen2_5_vl"), device="cpu")
    first.save(tmp_path)
    plain = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path)
    with torch.inference_mode():
        assert torch.equal(plain(**encode_batch(first, [PROMPT])).logits, logits(first))


def test_a_saved_model_stores_the_family_that_the_caller_gave(checkpoint, tmp_path):
    load_model(checkpoint("qwen3_vl"), family="embedded", device="cpu").save(tmp_path)
    again = load_interface(tmp_path)
    assert again.family.name == "embedded"
    assert again.frame_for((640, 480)).limits == (99, 99)
    saved = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert saved["model_type"] == "qwen3_vl"


def test_without_an_override_the_config_is_not_changed(checkpoint, tmp_path):
    load_model(checkpoint("qwen3_vl"), device="cpu").save(tmp_path)
    assert "maniplvm_family" not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_a_model_can_be_loaded_in_half_precision(checkpoint):
    loaded = load_model(checkpoint("qwen2_5_vl"), dtype="bfloat16", device="cpu")
    assert loaded.dtype == torch.bfloat16
    assert logits(loaded).isfinite().all()


@pytest.mark.parametrize("attn", ["eager", "sdpa"])
def test_the_chosen_attention_is_used(checkpoint, attn):
    loaded = load_model(checkpoint("qwen3_vl"), attn=attn, device="cpu")
    assert loaded.model.config._attn_implementation == attn


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int8"}, "dtype 'int8': unknown; choose from auto, bfloat16"),
        ({"device": "gpu"}, "device 'gpu': unknown; choose auto, cpu"),
        ({"device": "cuda:99"}, "PyTorch sees"),
        ({"attn": "fast"}, "attn 'fast': unknown; choose from sdpa"),
        ({"family": "gpt"}, "unknown model family 'gpt'"),
    ],
)
def test_bad_settings_are_refused_in_one_line(checkpoint, options, words):
    with pytest.raises(UserError) as caught:
        load_model(checkpoint("qwen3_vl"), **{"device": "cpu", **options})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_attention_that_is_not_installed_is_named(checkpoint):
    if transformers.utils.is_flash_attn_2_available():
        pytest.skip("flash attention is installed")
    with pytest.raises(UserError, match="attn 'flash_attention_2' cannot be used here"):
        load_model(checkpoint("qwen3_vl"), attn="flash_attention_2", device="cpu")


@pytest.mark.parametrize("package", ["torch", "transformers", "peft", "tokenizers"])
def test_an_error_about_a_missing_package_says_what_to_install(monkeypatch, package):
    from maniplvm import optional

    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"models need {package} .*maniplvm\[train\]"):
        getattr(optional, package)()


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_uses_bfloat16_if_it_supports_it(monkeypatch, supported, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert choose_dtype("auto", SimpleNamespace(type="cuda")) == dtype
    assert choose_dtype("auto", torch.device("cpu")) == torch.float32
    assert choose_dtype("float16", torch.device("cpu")) == torch.float16


def test_each_process_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device() == torch.device("cuda:3")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")


def test_the_same_seed_gives_the_same_tiny_checkpoint(tmp_path):
    first, again, other = (
        (write_tiny_checkpoint(tmp_path / name, "qwen3_vl", seed) / "model.safetensors")
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    files = list(first.parent.iterdir())
    assert sum(path.stat().st_size for path in files) < 700_000


def test_writing_a_tiny_checkpoint_does_not_change_the_global_random_state(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    write_tiny_checkpoint(tmp_path, "qwen2_vl")
    assert torch.equal(torch.rand(1), expected)


def test_a_tiny_checkpoint_of_an_unknown_family_is_refused(tmp_path):
    with pytest.raises(UserError, match="choose from qwen2_vl, qwen2_5_vl, qwen3_vl"):
        write_tiny_checkpoint(tmp_path, "gpt")
