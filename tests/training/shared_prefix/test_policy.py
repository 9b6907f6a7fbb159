import pytest
import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from transformers import Qwen2Config, Qwen2ForCausalLM

from maniplvm.models import TINY_FAMILIES, LoraSettings
from maniplvm.training.shared_prefix import SharedPrefixSettings, group_logprobs, packing
from maniplvm.training.shared_prefix.policy import supports_prefix_attention
from tests.training.shared_prefix.batches import (
    completions_of,
    gradient_of,
    plain_scores,
    prompts_of,
)

# transformers 5.23 warns about a name that peft and TRL still use.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

CASES = {
    "ragged": [3, 9, 1, 7, 12, 5, 2, 8, 8, 4, 6, 10],
    "one completion per prompt": [5, 9, 2],
    "an empty completion": [4, 0, 6, 0, 3, 5],
    "truncated": [8] * 6,
}


def assert_same(model, prompts, ids, mask, settings=None, temperature=1.0):
    expected, spread = plain_scores(model, prompts, ids, mask, temperature)
    gradient = gradient_of(model, expected)
    found = group_logprobs(
        model, prompts, ids, mask, temperature=temperature, entropy=True, settings=settings
    )
    assert found.logprobs.shape == ids.shape
    assert torch.allclose(found.logprobs, expected, atol=1e-5)
    assert found.entropies is not None
    assert torch.allclose(found.entropies, spread, atol=2e-5)
    difference = gradient_of(model, found.logprobs) - gradient
    assert gradient.norm() > 0
    assert difference.norm() / gradient.norm() < 1e-5


@pytest.mark.parametrize("family", TINY_FAMILIES)
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_equal_those_with_repeated_prompts(loaded, family, case):
    model = loaded(family)
    assert_same(model.model, prompts_of(model), *completions_of(CASES[case]))


def test_equal_completions_have_equal_logprobs(loaded):
    model = loaded()
    ids, mask = completions_of([6] * 6)
    ids[:] = ids[0]
    assert_same(model.model, prompts_of(model), ids, mask)
    scores = group_logprobs(model.model, prompts_of(model), ids, mask).logprobs
    assert torch.allclose(scores[:2], scores[0].expand(2, -1), atol=1e-6)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_several_images_per_prompt(loaded, family):
    model = loaded(family)
    prompts = prompts_of(model, per_prompt=2)
    assert len(prompts["image_grid_thw"]) == 6
    assert_same(model.model, prompts, *completions_of([4, 2, 5, 3, 1, 6]))


def test_prompts_may_be_padded_on_the_right(loaded):
    model = loaded()
    prompts = prompts_of(model, sizes=((160, 120), (320, 200)))
    turned = {name: value.clone() for name, value in prompts.items()}
    for row in range(2):
        tokens = prompts["attention_mask"][row].bool()
        for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
            kept = prompts[name][row][tokens]
            turned[name][row] = torch.cat([kept, kept.new_zeros(int((~tokens).sum()))])
    ids, mask = completions_of([4, 2, 5, 3])
    left = group_logprobs(model.model, prompts, ids, mask).logprobs
    right = group_logprobs(model.model, turned, ids, mask).logprobs
    assert torch.allclose(left, right, atol=1e-5)


@pytest.mark.parametrize("length", [1, 60])
def test_groups_split_into_short_rows_have_the_same_logprobs(loaded, length):
    model = loaded("qwen2_5_vl", attn="eager")
    settings = SharedPrefixSettings(max_row_tokens=length, max_batch_tokens=100)
    prompts, completions = prompts_of(model), completions_of(CASES["ragged"])
    assert_same(model.model, prompts, *completions, settings=settings)
    with torch.no_grad():
        short = group_logprobs(model.model, prompts, *completions, settings=settings).logprobs
        long = group_logprobs(model.model, prompts, *completions).logprobs
    assert torch.allclose(short, long, atol=1e-5)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_gradient_checkpointing_gives_the_same_gradients(loaded, family):
    model = loaded(family)
    model.model.train()
    model.model.gradient_checkpointing_enable({"use_reentrant": False})
    assert_same(model.model, prompts_of(model), *completions_of([3, 5, 1, 4, 2, 6]))


def test_gradient_checkpointing_needs_no_mask(loaded, monkeypatch):
    model = loaded("qwen2_5_vl")
    model.model.train()
    model.model.gradient_checkpointing_enable({"use_reentrant": False})
    layer = model.model.model.language_model.layers[1]
    function = layer._gradient_checkpointing_func
    monkeypatch.delattr(packing.PackedRows, "attention_mask")
    assert_same(model.model, prompts_of(model), *completions_of([3, 5, 1, 4, 2, 6]))
    assert layer._gradient_checkpointing_func is function
    assert model.model.config.get_text_config()._attn_implementation == "sdpa"


@pytest.mark.parametrize("kind", ["reentrant", "wrapped layers"])
def test_other_gradient_checkpointing_uses_a_mask_and_gives_the_same_gradients(loaded, kind):
    model = loaded("qwen2_5_vl")
    model.model.train()
    if kind == "reentrant":
        model.model.gradient_checkpointing_enable({"use_reentrant": True})
    else:
        layers = model.model.model.language_model.layers
        layers[1] = checkpoint_wrapper(layers[1])
    assert not supports_prefix_attention(model.model)
    assert_same(model.model, prompts_of(model), *completions_of([3, 5, 1, 4, 2, 6]))


def test_a_frozen_vision_tower_stays_frozen(loaded):
    model = loaded("qwen2_5_vl", freeze_vision=True)
    assert_same(model.model, prompts_of(model), *completions_of([3, 5, 1, 4, 2, 6]))


def test_lora_weights_have_the_same_gradients(loaded):
    torch.manual_seed(0)  # peft initialises lora_A at random
    model = loaded("qwen2_vl", lora=LoraSettings(rank=4))
    with torch.no_grad():
        for name, weights in model.model.named_parameters():
            if "lora_B" in name:
                weights += 0.1
    assert_same(model.model, prompts_of(model), *completions_of([3, 5, 1, 4, 2, 6]))


def test_the_temperature_divides_the_logits(loaded):
    model = loaded()
    assert_same(model.model, prompts_of(model), *completions_of([3, 5, 1]), temperature=0.7)


def test_text_models_are_supported():
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=500,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
    )
    model = Qwen2ForCausalLM(config).eval()
    ids = torch.randint(0, 400, (3, 9))
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    prompts = {"input_ids": ids, "attention_mask": mask}
    assert_same(model, prompts, *completions_of(CASES["ragged"]))
    assert_same(model, prompts, *completions_of(CASES["an empty completion"]))


def test_half_precision_is_within_rounding(loaded):
    model = loaded("qwen2_5_vl", dtype="bfloat16")
    prompts, (ids, mask) = prompts_of(model), completions_of(CASES["ragged"])
    expected, _ = plain_scores(model.model, prompts, ids, mask)
    found = group_logprobs(model.model, prompts, ids, mask).logprobs
    assert (found - expected).abs().mean() < 0.05


def test_completions_do_not_attend_to_each_other(loaded):
    model = loaded()
    prompts, (ids, mask) = prompts_of(model), completions_of([6] * 6)
    before = group_logprobs(model.model, prompts, ids, mask).logprobs
    ids[0] = ids[0].flip(0)
    after = group_logprobs(model.model, prompts, ids, mask).logprobs
    assert torch.equal(before[1:], after[1:])
    assert not torch.allclose(before[0], after[0])


def test_unsupported_models_and_uneven_groups_are_errors(loaded):
    config = Qwen2Config(
        vocab_size=50,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        use_sliding_window=True,
        sliding_window=4,
        max_window_layers=1,
    )
    prompts = {"input_ids": torch.zeros(1, 2).long(), "attention_mask": torch.ones(1, 2).long()}
    ids, mask = completions_of([2])
    with pytest.raises(ValueError, match="sliding"):
        group_logprobs(Qwen2ForCausalLM(config), prompts, ids, mask)
    dropping = loaded().model.train()
    dropping.model.language_model.layers[0].self_attn.attention_dropout = 0.1
    with pytest.raises(ValueError, match=r"layers.0.self_attn.attention_dropout is 0.1"):
        group_logprobs(dropping, prompts, ids, mask)
    with pytest.raises(ValueError, match="cannot be divided evenly"):
        group_logprobs(loaded().model, prompts_of(loaded()), *completions_of([2, 2]))
