import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from maniplvm.errors import UserError
from maniplvm.models import (
    Completion,
    Decoding,
    ImageTextPrompt,
    LoraSettings,
    encode_batch,
    generate,
    load_model,
)
from maniplvm.models.generation import _sampler
from tests.models.images import encoded, make_image

GREEDY = Decoding(max_new_tokens=8)
WARM = Decoding(temperature=1.0, max_new_tokens=8)


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_model(checkpoint("qwen3_vl"), device="cpu", max_pixels=64 * 64)


def prompts_of(count):
    return [
        ImageTextPrompt("x" * (1 + 3 * number), encoded(make_image((64, 64), number)))
        for number in range(count)
    ]


def completions(loaded, prompts, decoding, seeds=()):
    return generate(loaded, encode_batch(loaded, prompts), decoding, seeds)


def by_transformers(loaded, prompts, **settings):
    """The texts of plain `generate` of transformers, with the checkpoint's own settings."""
    inputs = encode_batch(loaded, prompts)
    with torch.inference_mode():
        tokens = loaded.model.generate(**inputs, **settings)
    return loaded.tokenizer.batch_decode(
        tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )


def selected(logits, decoding, number):
    """The token that is selected in a row whose random number is given."""
    select = _sampler(decoding, [(0,)] * len(logits), prompt_length=0)
    cells = select.__closure__
    uniform = next(c.cell_contents for c in cells if isinstance(c.cell_contents, torch.Tensor))
    uniform[:] = number
    left = select(torch.zeros((len(logits), 0), dtype=torch.long), torch.tensor(logits))
    assert (left == 0).sum() == len(logits)
    return left.argmax(-1).tolist()


def test_greedy_completions_are_those_of_transformers(loaded):
    prompts = prompts_of(3)
    expected = by_transformers(loaded, prompts, max_new_tokens=8, do_sample=False)
    greedy = completions(loaded, prompts, GREEDY)
    assert [each.text for each in greedy] == expected
    assert all(0 < each.tokens <= 8 for each in greedy)


def test_a_sampled_completion_depends_on_its_seed_and_not_on_its_batch(loaded):
    prompts = prompts_of(4)
    seeds = [(7, number) for number in range(4)]
    together = completions(loaded, prompts, WARM, seeds)
    reversed_order = completions(loaded, prompts[::-1], WARM, seeds[::-1])[::-1]
    alone = [
        each
        for prompt, seed in zip(prompts, seeds, strict=True)
        for each in completions(loaded, [prompt], WARM, [seed])
    ]
    assert together == reversed_order == alone
    assert together != completions(loaded, prompts, WARM, [(8, number) for number in range(4)])


@pytest.fixture(scope="module")
def generated_tokens(loaded):
    """Distinct tokens of the greedy completions."""
    texts = [each.text for each in completions(loaded, prompts_of(2), GREEDY)]
    return sorted({token for ids in loaded.tokenizer(texts)["input_ids"] for token in ids})


SETTINGS = {
    "suppress_tokens": lambda tokens: tokens,
    "begin_suppress_tokens": lambda tokens: tokens,
    "bad_words_ids": lambda tokens: [[token] for token in tokens],
    "sequence_bias": lambda tokens: [[[token], -100.0] for token in tokens],
    "guidance_scale": lambda _: 3.0,
    "repetition_penalty": lambda _: 5.0,
    "encoder_repetition_penalty": lambda _: 5.0,
    "no_repeat_ngram_size": lambda _: 1,
    "encoder_no_repeat_ngram_size": lambda _: 1,
    "min_length": lambda _: 500,
    "min_new_tokens": lambda _: 8,
    "max_length": lambda _: 1,
    "max_time": lambda _: 1e-9,
    "stop_strings": lambda _: ["a"],
    "forced_bos_token_id": lambda tokens: tokens[0] + 1,
    "forced_eos_token_id": lambda tokens: tokens[0] + 1,
    "exponential_decay_length_penalty": lambda _: [1, 5.0],
    "length_penalty": lambda _: 5.0,
    "early_stopping": lambda _: True,
    "num_beams": lambda _: 3,
    "penalty_alpha": lambda _: 0.6,
    "dola_layers": lambda _: "low",
    "do_sample": lambda _: True,
    "temperature": lambda _: 50.0,
    "top_k": lambda _: 2,
    "top_p": lambda _: 0.1,
    "min_p": lambda _: 0.5,
    "typical_p": lambda _: 0.2,
    "epsilon_cutoff": lambda _: 0.3,
    "eta_cutoff": lambda _: 0.3,
    "renormalize_logits": lambda _: True,
    "remove_invalid_values": lambda _: True,
    "watermarking_config": lambda _: {"bias": 50.0},
    "prompt_lookup_num_tokens": lambda _: 3,
    "use_cache": lambda _: False,
    "return_dict_in_generate": lambda _: True,
    "output_scores": lambda _: True,
}
"""Settings of a `generation_config.json`, each with a value that would change completions."""

CHANGES_PLAIN_GENERATION = (
    "suppress_tokens",
    "begin_suppress_tokens",
    "bad_words_ids",
    "sequence_bias",
    "forced_eos_token_id",
    "no_repeat_ngram_size",
    "watermarking_config",
)
"""Settings that change the greedy completions of plain `generate` of transformers."""


@pytest.fixture
def with_setting(checkpoint, tmp_path, generated_tokens):
    """The model, loaded from a checkpoint whose `generation_config.json` has one more setting."""

    def load(name):
        folder = shutil.copytree(checkpoint("qwen3_vl"), tmp_path / "copy")
        path = folder / "generation_config.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content[name] = SETTINGS[name](generated_tokens)
        path.write_text(json.dumps(content), encoding="utf-8")
        return load_model(folder, device="cpu", max_pixels=64 * 64)

    return load


@pytest.mark.parametrize("name", SETTINGS)
def test_a_generation_config_of_a_checkpoint_changes_no_completion(loaded, with_setting, name):
    own = with_setting(name)
    assert getattr(own.model.generation_config, name) is not None
    prompts, seeds = prompts_of(2), [(1,), (2,)]
    assert completions(own, prompts, GREEDY) == completions(loaded, prompts, GREEDY)
    assert completions(own, prompts, WARM, seeds) == completions(loaded, prompts, WARM, seeds)


@pytest.mark.parametrize("name", CHANGES_PLAIN_GENERATION)
def test_the_same_settings_would_change_plain_generation(loaded, with_setting, name):
    plain = by_transformers(loaded, prompts_of(2), max_new_tokens=8, do_sample=False)
    changed = by_transformers(with_setting(name), prompts_of(2), max_new_tokens=8, do_sample=False)
    assert plain != changed


# peft asks transformers for a name that transformers has deprecated; both versions are pinned.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("lora", [None, LoraSettings(rank=2)])
def test_no_setting_of_a_checkpoint_reaches_generation(checkpoint, monkeypatch, lora):
    loaded = load_model(checkpoint("qwen3_vl"), device="cpu", max_pixels=64 * 64, lora=lora)
    model = loaded.model if lora is None else loaded.model.get_base_model()
    build, used = model._get_logits_processor, []

    def record(generation_config, **options):
        used.append(dict(vars(generation_config)))
        return build(generation_config=generation_config, **options)

    monkeypatch.setattr(model, "_get_logits_processor", record)
    clean = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
    hostile = GenerationConfig(eos_token_id=clean.eos_token_id)
    for name in vars(hostile):
        if name not in ("eos_token_id", "transformers_version", "_from_model_config"):
            setattr(hostile, name, "hostile")
    for own in (clean, hostile):
        model.generation_config = own
        completions(loaded, prompts_of(1), GREEDY)
        assert model.generation_config is own, "it is restored"
    assert used[0] == used[1]
    assert {name for name, value in used[1].items() if value == "hostile"} == set()


def test_the_generation_config_is_restored_after_an_error(loaded, monkeypatch):
    def fail(**_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(loaded.model, "generate", fail)
    before = loaded.model.generation_config
    with pytest.raises(RuntimeError, match="out of memory"):
        completions(loaded, prompts_of(1), GREEDY)
    assert loaded.model.generation_config is before


def test_the_end_token_is_counted_and_tokens_behind_it_are_not(loaded, monkeypatch):
    end, pad = loaded.tokenizer.eos_token_id, loaded.tokenizer.pad_token_id
    letter = loaded.tokenizer.encode("a")[0]
    inputs = encode_batch(loaded, prompts_of(2))
    tails = torch.tensor([[letter, end, pad, pad], [letter, letter, letter, letter]])
    tokens = torch.cat([inputs["input_ids"], tails], dim=1)
    monkeypatch.setattr(loaded.model, "generate", lambda **_: tokens)
    assert generate(loaded, inputs, Decoding()) == [Completion("a", 2), Completion("aaaa", 4)]


def test_generation_stops_at_an_end_token_of_the_checkpoint(loaded, generated_tokens, monkeypatch):
    plain = completions(loaded, prompts_of(1), GREEDY)[0]
    first = loaded.tokenizer(plain.text)["input_ids"][0]
    config = loaded.model.generation_config
    monkeypatch.setattr(config, "eos_token_id", [config.eos_token_id, first])
    assert completions(loaded, prompts_of(1), GREEDY)[0].tokens == 1


def test_tokens_are_sampled_with_their_probability():
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    rng = np.random.default_rng(0)
    logits = [np.log(probabilities).tolist()]
    counts = Counter(selected(logits, WARM, float(number))[0] for number in rng.random(2000))
    np.testing.assert_allclose(
        [counts[token] / 2000 for token in range(4)], probabilities, atol=0.03
    )


@pytest.mark.parametrize(
    ("decoding", "number", "token"),
    [
        (WARM, 0.0, 1),
        (WARM, 0.49, 1),
        (WARM, 0.51, 0),
        (WARM, 0.999999, 2),
        (replace(WARM, top_p=0.5), 0.999999, 1),  # the most likely token alone reaches it
        (replace(WARM, top_p=0.6), 0.999999, 0),  # the second is needed, the third is not
        (replace(WARM, temperature=0.01), 0.999999, 1),
    ],
)
def test_temperature_and_top_p_change_the_sampled_tokens(decoding, number, token):
    logits = [np.log([0.3, 0.5, 0.2]).tolist()] * 2
    assert selected(logits, decoding, number) == [token, token]


def test_sampled_completions_need_a_seed_each(loaded):
    with pytest.raises(ValueError, match="2 sampled completions need as many seeds, got 1"):
        completions(loaded, prompts_of(2), WARM, [(0,)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1}, "temperature must be 0 or more"),
        ({"temperature": float("nan")}, "temperature must be 0 or more"),
        ({"top_p": 0}, "top_p must lie above 0"),
        ({"top_p": 1.1}, "top_p must lie above 0"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1"),
    ],
)
def test_a_decoding_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Decoding(**settings)
