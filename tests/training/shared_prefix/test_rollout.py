import pytest
import torch
from transformers import GenerationConfig

from maniplvm.models import TINY_FAMILIES
from maniplvm.training.shared_prefix.rollout import shared_prefill
from maniplvm.training.shared_prefix.support import unsupported_generation_reason
from tests.training.shared_prefix.batches import prompts_of

EACH = 4
SAMPLING = {"temperature": 0.9, "top_p": 0.95, "top_k": 60, "min_p": 0.001}


def repeated(prompts, each):
    order = [row for row in range(len(prompts["input_ids"])) for _ in range(each)]
    patches = prompts["pixel_values"].split(prompts["image_grid_thw"].prod(-1).tolist())
    return {
        name: torch.cat([patches[row] for row in order]) if name == "pixel_values" else value[order]
        for name, value in prompts.items()
    }


def both(loaded, family, each=EACH, seed=0, **options):
    """Tokens of `generate` with repeated prompts, and with a shared prefill, at one seed."""
    model = loaded(family)
    prompts = prompts_of(model)
    options = {"max_new_tokens": 12, "do_sample": True, **options}
    torch.manual_seed(seed)
    usual = model.model.generate(**repeated(prompts, each), **options)
    torch.manual_seed(seed)
    with shared_prefill(model.model, torch.arange(3).repeat_interleave(each)):
        shared = model.model.generate(**prompts, **options)
    return usual, shared, prompts["input_ids"].shape[1]


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_at_one_seed_the_sampled_tokens_are_those_of_generate(loaded, family):
    options = {
        **SAMPLING,
        "eos_token_id": -1,
    }  # without end token no row is removed, so random numbers stay aligned
    usual, shared, _ = both(loaded, family, **options)
    assert torch.equal(usual, shared)
    assert len(set(map(tuple, shared.tolist()))) > 3


def test_greedy_decoding_gives_the_same_tokens_with_end_tokens(loaded):
    free, _, start = both(loaded, "qwen3_vl", each=2, do_sample=False, eos_token_id=-1)
    ends = [int(free[0, start + 3]), int(free[2, start + 6])]
    usual, shared, _ = both(loaded, "qwen3_vl", each=2, do_sample=False, eos_token_id=ends)
    assert torch.equal(usual, shared)


def test_the_first_token_has_the_distribution_of_the_model(loaded):
    model = loaded("qwen2_5_vl")
    prompts = prompts_of(model, sizes=((160, 120),))
    with torch.no_grad():
        logits = model.model(**prompts).logits[0, -1]
    expected = (logits / 2.0).softmax(-1)
    torch.manual_seed(0)
    count = 4000
    with shared_prefill(model.model, torch.zeros(count, dtype=torch.long)):
        drawn = model.model.generate(
            **prompts, max_new_tokens=1, do_sample=True, temperature=2.0, top_k=0
        )
    found = torch.bincount(drawn[:, -1], minlength=len(expected)) / count
    likely = expected > 0.002
    assert likely.sum() >= 5
    deviation = (expected * (1 - expected) / count).sqrt()
    assert ((found - expected).abs()[likely] < 5 * deviation[likely]).all()


def test_finished_completions_are_removed_from_the_batch(loaded):
    model = loaded()
    prompts = prompts_of(model)
    sizes = []
    layer = model.model.model.language_model.layers[0]
    layer.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    vocabulary = model.model.config.text_config.vocab_size
    torch.manual_seed(0)
    with shared_prefill(model.model, torch.arange(3).repeat_interleave(16)):
        tokens = model.model.generate(
            **prompts,
            max_new_tokens=25,
            do_sample=True,
            temperature=50.0,
            eos_token_id=list(range(vocabulary // 5)),
        )
    assert sizes[0] == 3
    assert sizes[1] <= 48
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert sizes[-1] < 12
    assert len(tokens) == 48


def test_recorded_logprobs_are_those_of_the_sampled_tokens(loaded):
    model = loaded("qwen2_vl")
    prompts = prompts_of(model)
    logprobs = {}
    torch.manual_seed(0)
    with shared_prefill(model.model, torch.tensor([0, 1, 1, 2]), logprobs):
        tokens = model.model.generate(
            **prompts, max_new_tokens=5, do_sample=True, top_k=3, eos_token_id=-1
        )
    single = {name: value[1:2] for name, value in prompts.items()}
    patches = prompts["pixel_values"].split(prompts["image_grid_thw"].prod(-1).tolist())
    single["pixel_values"] = patches[1]
    start = tokens.shape[1] - 5
    single["input_ids"] = tokens[2:3]
    single["attention_mask"] = torch.cat([single["attention_mask"], torch.ones(1, 5).long()], 1)
    types = single["mm_token_type_ids"]
    single["mm_token_type_ids"] = torch.cat([types, torch.zeros(1, 5, dtype=types.dtype)], 1)
    with torch.no_grad():
        table = model.model(**single).logits[0, start - 1 : -1].log_softmax(-1)
    expected = table.gather(-1, tokens[2, start:, None])[:, 0]
    assert torch.allclose(torch.tensor(logprobs[2]), expected, atol=1e-5)
    assert sorted(logprobs) == [0, 1, 2, 3]


def test_generate_is_unchanged_after_the_context(loaded):
    model = loaded()
    prompts = prompts_of(model)
    before = model.model.generate(**prompts, max_new_tokens=4, do_sample=False)
    with shared_prefill(model.model, torch.arange(3).repeat_interleave(2)):
        inside = model.model.generate(**prompts, max_new_tokens=4, do_sample=False)
    after = model.model.generate(**prompts, max_new_tokens=4, do_sample=False)
    assert len(inside) == 6
    assert torch.equal(before, after)


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 3},
        {"repetition_penalty": 1.2},
        {"cache_implementation": "static"},
        {"guidance_scale": 2.0},
    ],
)
def test_other_decoding_methods_are_unsupported(options):
    assert unsupported_generation_reason(GenerationConfig(**options)) is not None
    assert unsupported_generation_reason(GenerationConfig(**SAMPLING, do_sample=True)) is None
