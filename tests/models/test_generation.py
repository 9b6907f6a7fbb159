from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from maniplvm.errors import UserError
from maniplvm.models import Question, encode_batch, generate_texts, load_model
from maniplvm.models.generation import Decoding, Reply, _choose, generate_replies
from tests.models.images import encoded, make_image

WARM = Decoding(temperature=1.0, max_new_tokens=8)


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_model(checkpoint("qwen3_vl"), device="cpu", max_pixels=64 * 64)


def questions(count):
    return [
        Question("x" * (1 + 3 * number), encoded(make_image((64, 64), number)))
        for number in range(count)
    ]


def replies(loaded, asked, decoding, keys=()):
    return generate_replies(loaded, encode_batch(loaded, asked), decoding, keys)


def chosen(logits, decoding, number):
    """The token that is left for a row whose random number is given."""
    keys = [(0,)] * len(logits)
    choose = _choose(decoding, keys, prompt_length=0)
    cells = choose.__closure__
    uniform = next(c.cell_contents for c in cells if isinstance(c.cell_contents, torch.Tensor))
    uniform[:] = number
    left = choose(torch.zeros((len(logits), 0), dtype=torch.long), torch.tensor(logits))
    assert (left == 0).sum() == len(logits)
    return left.argmax(-1).tolist()


def test_greedy_replies_are_those_of_generate(loaded):
    asked = questions(3)
    texts = generate_texts(loaded, encode_batch(loaded, asked), max_new_tokens=8, do_sample=False)
    greedy = replies(loaded, asked, Decoding(max_new_tokens=8))
    assert [reply.text for reply in greedy] == texts
    assert all(0 < reply.tokens <= 8 for reply in greedy)


def test_a_sampled_reply_depends_on_its_key_and_not_on_its_batch(loaded):
    asked = questions(4)
    keys = [(7, number) for number in range(4)]
    together = replies(loaded, asked, WARM, keys)
    backwards = replies(loaded, asked[::-1], WARM, keys[::-1])[::-1]
    alone = [
        reply
        for question, key in zip(asked, keys, strict=True)
        for reply in replies(loaded, [question], WARM, [key])
    ]
    assert together == backwards == alone
    assert together != replies(loaded, asked, WARM, [(8, number) for number in range(4)])


def test_a_checkpoint_cannot_bring_its_own_decoding(loaded):
    asked = questions(2)
    plain = replies(loaded, asked, Decoding(max_new_tokens=6))
    before = loaded.model.generation_config
    loaded.model.generation_config = type(before)(
        **{
            **before.to_dict(),
            "do_sample": True,
            "temperature": 5.0,
            "repetition_penalty": 3.0,
            "no_repeat_ngram_size": 1,
        }
    )
    try:
        assert replies(loaded, asked, Decoding(max_new_tokens=6)) == plain
    finally:
        loaded.model.generation_config = before


def test_the_end_token_is_counted_and_what_follows_is_not(loaded, monkeypatch):
    end, pad = loaded.tokenizer.eos_token_id, loaded.tokenizer.pad_token_id
    letter = loaded.tokenizer.encode("a")[0]
    inputs = encode_batch(loaded, questions(2))
    tails = torch.tensor([[letter, end, pad, pad], [letter, letter, letter, letter]])
    written = torch.cat([inputs["input_ids"], tails], dim=1)
    monkeypatch.setattr(loaded.model, "generate", lambda **_: written)
    found = generate_replies(loaded, inputs, Decoding())
    assert found == [Reply("a", 2), Reply("aaaa", 4)]


def test_tokens_are_drawn_as_often_as_their_probability_says():
    share = np.array([0.5, 0.3, 0.15, 0.05])
    rng = np.random.default_rng(0)
    drawn = Counter(
        chosen([np.log(share).tolist()], WARM, float(number))[0] for number in rng.random(2000)
    )
    np.testing.assert_allclose([drawn[token] / 2000 for token in range(4)], share, atol=0.03)


@pytest.mark.parametrize(
    ("decoding", "number", "token"),
    [
        (WARM, 0.0, 1),
        (WARM, 0.49, 1),
        (WARM, 0.51, 0),
        (WARM, 0.999999, 2),
        (replace(WARM, top_p=0.5), 0.999999, 1),  # the likeliest token alone reaches it
        (replace(WARM, top_p=0.6), 0.999999, 0),  # the second is needed, the third is not
        (replace(WARM, temperature=0.01), 0.999999, 1),
    ],
)
def test_temperature_and_top_p_shape_what_is_drawn(decoding, number, token):
    logits = [np.log([0.3, 0.5, 0.2]).tolist()] * 2
    assert chosen(logits, decoding, number) == [token, token]


def test_sampled_replies_need_a_key_each(loaded):
    with pytest.raises(ValueError, match="2 sampled replies need as many keys, got 1"):
        replies(loaded, questions(2), WARM, [(0,)])


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
def test_bad_decoding_is_one_clear_line(settings, message):
    with pytest.raises(UserError, match=message):
        Decoding(**settings)
