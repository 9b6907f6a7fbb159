import json

import pytest
import torch
import transformers

from maniplvm.errors import UserError
from maniplvm.models import (
    TINY_FAMILIES,
    ImageTextPrompt,
    LoraSettings,
    count_parameters,
    encode_batch,
    load_model,
)
from maniplvm.models.parameters import ParameterCount, vision_tower
from tests.models.images import encoded, make_image

# peft asks transformers for a name that transformers has given up; both are pinned.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)

PROMPT = ImageTextPrompt("Where?", encoded(make_image((96, 64))))


def logits(loaded):
    with torch.inference_mode():
        return loaded.model(**encode_batch(loaded, [PROMPT])).logits


def after_a_step(loaded):
    """Names of the parameters that one optimizer step changes."""
    before = {name: weights.detach().clone() for name, weights in loaded.model.named_parameters()}
    inputs = encode_batch(loaded, [PROMPT])
    trainable = [weights for weights in loaded.model.parameters() if weights.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=1.0)
    loaded.model(**inputs, labels=inputs["input_ids"]).loss.backward()
    optimizer.step()
    return {
        name
        for name, weights in loaded.model.named_parameters()
        if not torch.equal(weights, before[name])
    }


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_only_the_adapters_of_the_language_model_are_trained(checkpoint, family):
    loaded = load_model(checkpoint(family), lora=LoraSettings(rank=4), device="cpu")
    changed = after_a_step(loaded)
    assert changed
    assert all(".language_model." in name and ".lora_" in name for name in changed)
    count = loaded.parameters
    assert count.vision_trainable == 0
    adapters = sum(w.numel() for n, w in loaded.model.named_parameters() if ".lora_" in n)
    assert count.trainable == adapters > 0


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_frozen_vision_tower_is_not_changed_and_the_rest_is_trained(checkpoint, family):
    loaded = load_model(checkpoint(family), freeze_vision=True, device="cpu")
    changed = after_a_step(loaded)
    assert changed
    assert not any(".visual." in name for name in changed)
    assert loaded.parameters.vision_trainable == 0
    assert loaded.parameters.trainable == loaded.parameters.total - loaded.parameters.vision


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_without_freezing_the_vision_tower_learns_too(checkpoint, family):
    loaded = load_model(checkpoint(family), device="cpu")
    assert any(".visual." in name for name in after_a_step(loaded))
    count = loaded.parameters
    assert count.trainable == count.total
    assert 0 < count.vision_trainable == count.vision < count.total


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_adapters_reach_the_vision_tower_only_if_asked(checkpoint, family):
    settings = LoraSettings(targets=("q_proj",), vision=True)
    loaded = load_model(checkpoint(family), lora=settings, device="cpu")
    adapted = {name for name, _ in loaded.model.named_parameters() if ".lora_" in name}
    assert any(".visual." in name for name in adapted)
    language = [name for name in adapted if ".visual." not in name]
    assert language
    assert all(".q_proj." in name for name in language)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_a_trained_adapter_is_saved_alone_and_merged_when_loaded(checkpoint, tmp_path, family):
    loaded = load_model(checkpoint(family), lora=LoraSettings(rank=4), device="cpu")
    untrained = logits(loaded)
    after_a_step(loaded)
    trained = logits(loaded)
    assert not torch.allclose(trained, untrained, atol=1e-4)
    loaded.save(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    merged = load_model(checkpoint(family), adapter=tmp_path, device="cpu")
    assert merged.parameters.trainable == merged.parameters.total
    assert not hasattr(merged.model, "peft_config")
    torch.testing.assert_close(logits(merged), trained, atol=1e-5, rtol=1e-4)


def test_a_trained_adapter_uses_the_processor_of_its_training(checkpoint, tmp_path):
    base = checkpoint("qwen2_5_vl")
    load_model(base, lora=LoraSettings(), max_pixels=50_000, device="cpu").save(tmp_path)
    merged = load_model(base, adapter=tmp_path, device="cpu")
    assert merged.frame_spec.resize.max_pixels == 50_000
    for name in ("processor_config.json", "chat_template.jinja"):
        (tmp_path / name).unlink()
    merged = load_model(base, adapter=tmp_path, device="cpu")
    assert merged.frame_spec.resize.max_pixels == 28 * 28 * 16384


def test_untrained_adapters_change_no_logits(checkpoint):
    plain = load_model(checkpoint("qwen2_5_vl"), device="cpu")
    adapted = load_model(checkpoint("qwen2_5_vl"), lora=LoraSettings(), device="cpu")
    torch.testing.assert_close(logits(adapted), logits(plain))


def test_an_adapters_folder_alone_is_no_model(checkpoint, tmp_path):
    base = checkpoint("qwen3_vl")
    load_model(base, lora=LoraSettings(), device="cpu").save(tmp_path)
    with pytest.raises(UserError, match="holds a LoRA adapter of") as caught:
        load_model(tmp_path)
    assert str(base) in str(caught.value)
    assert "adapter=" in str(caught.value)


def test_a_folder_without_an_adapter_is_refused(checkpoint, tmp_path):
    with pytest.raises(UserError, match=r"no LoRA adapter here \(adapter_config.json"):
        load_model(checkpoint("qwen3_vl"), adapter=tmp_path, device="cpu")


def test_a_pickled_adapter_is_refused(checkpoint, tmp_path):
    load_model(checkpoint("qwen3_vl"), lora=LoraSettings(), device="cpu").save(tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(UserError, match=r"adapter_model.safetensors is missing"):
        load_model(checkpoint("qwen3_vl"), adapter=tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("key", "value", "cause"),
    [
        ("target_modules", "(.|[^!])*!", "target_modules of the adapter takes more than"),
        ("exclude_modules", "(", "exclude_modules of the adapter is no valid regular expression"),
        ("modules_to_save", ["(.|[^!])*!"], "modules_to_save of an adapter must hold plain names"),
        ("alpha_pattern", {"(.|[^!])*!": 3}, "alpha_pattern of an adapter must hold plain names"),
        ("layer_replication", [[0, 9]], "layer_replication and rank_pattern"),
        ("r", 10**9, "the rank r of an adapter"),
    ],
)
def test_a_hostile_adapter_is_refused(checkpoint, tmp_path, key, value, cause):
    load_model(checkpoint("qwen3_vl"), lora=LoraSettings(), device="cpu").save(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(UserError, match=cause):
        load_model(checkpoint("qwen3_vl"), adapter=tmp_path, device="cpu")


def test_an_adapter_of_integers_is_refused(checkpoint, tmp_path):
    load_model(checkpoint("qwen3_vl"), lora=LoraSettings(), device="cpu").save(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"I32"'))
    with pytest.raises(UserError, match="has the type I32"):
        load_model(checkpoint("qwen3_vl"), adapter=tmp_path, device="cpu")


def test_an_adapter_of_another_model_is_refused(checkpoint, tmp_path):
    settings = LoraSettings(targets=("q_proj",), vision=True)
    load_model(checkpoint("qwen3_vl"), lora=settings, device="cpu").save(tmp_path)
    with pytest.raises(UserError, match="does not fit the model"):
        load_model(checkpoint("qwen2_vl"), adapter=tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"targets": ("q_proj", "lm_head")}, "lm_head cannot be a target"),
        ({"targets": ()}, "targets is empty"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"alpha": float("nan")}, "alpha: expected a finite number"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\)"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(UserError, match=words):
        LoraSettings(**settings)


@pytest.mark.parametrize("target", ["qkv", "embed_tokens", "attention"])
def test_a_target_that_is_no_layer_of_the_language_model_is_refused(checkpoint, target):
    with pytest.raises(UserError) as caught:
        load_model(checkpoint("qwen3_vl"), lora=LoraSettings(targets=(target,)), device="cpu")
    assert f"lora: {target}: no linear layer" in str(caught.value)
    assert "down_proj, gate_proj, k_proj" in str(caught.value)


def test_vision_adapters_contradict_a_frozen_vision_tower(checkpoint):
    with pytest.raises(UserError, match="contradict"):
        load_model(checkpoint("qwen3_vl"), lora=LoraSettings(vision=True), freeze_vision=True)


def test_a_model_without_a_vision_tower_is_refused():
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 8}
    model = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**text))
    with pytest.raises(UserError, match="has no separate vision tower"):
        vision_tower(model)


def test_parameter_counts_are_formatted_for_people(checkpoint):
    count = ParameterCount(3_750_000_000, 37_500_000, 669_000_000, 0)
    assert str(count) == (
        "3.75 B parameters, 37.50 M trainable (1.00%); vision tower 669.00 M, frozen"
    )
    loaded = load_model(checkpoint("qwen2_vl"), device="cpu")
    assert count_parameters(loaded.model) == loaded.parameters
    assert "trainable (100.00%)" in str(loaded.parameters)
