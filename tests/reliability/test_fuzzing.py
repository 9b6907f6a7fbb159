"""The fuzzing part in its short form, and that its checks find errors."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from benchmarks.reliability.fuzzing import campaign, checks, run
from benchmarks.reliability.fuzzing.answers import write_answer
from benchmarks.reliability.fuzzing.mutations import MAX_LENGTH, mutate
from benchmarks.reliability.parts import PARTS
from benchmarks.reliability.result import Settings

from maniplvm.tasks import Guess, ParseStatus, Task


def test_thousands_of_texts_are_read_without_an_error(tmp_path):
    result = run(Settings(seed=1, jobs=1, quick=True, folder=tmp_path))
    assert result.failures == []
    assert result.details["distinct"] >= campaign.QUICK_COUNT
    assert result.details["parsed_share"] > campaign.MIN_PARSED_SHARE
    assert all(each["parsed_unchanged"] == 1 for each in result.details["by_format"].values())
    assert PARTS["fuzzing"] == "fuzzing"


def test_the_same_seed_gives_the_same_texts():
    first, second, other = (campaign.run_chunk(seed, 50) for seed in ("7/0", "7/0", "7/1"))
    assert sorted(first.digests) == sorted(second.digests) != sorted(other.digests)
    assert len(set(first.digests)) == 50


def test_mutated_texts_have_a_limited_length():
    random = Random(3)  # noqa: S311 - not for cryptography
    lengths = [len(mutate(write_answer(random).text, random)) for _ in range(300)]
    assert max(lengths) <= MAX_LENGTH


def failures_with(monkeypatch, change):
    """The failures of a few texts if `change` falsifies every answer of the parser."""
    parse = checks.parse_answer
    monkeypatch.setattr(checks, "parse_answer", lambda *arguments: change(parse(*arguments)))
    return campaign.run_chunk("5/0", 30).failures


def moved(answer):
    if answer.value is None:
        return answer
    value = answer.value + 1e-3
    value.setflags(write=False)
    return replace(answer, value=value)


def infinite(answer):
    return answer if answer.value is None else replace(answer, value=answer.value * np.inf)


def guessed(answer):
    return replace(answer, status=ParseStatus.GUESSED, guesses=(Guess.CUT_OFF,))


def swapped(answer):
    if answer.value is None or answer.task is not Task.AFFORDANCE:
        return answer
    return replace(answer, value=answer.value[[2, 3, 0, 1]])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("change", [moved, infinite, guessed, swapped])
def test_a_wrong_answer_of_the_parser_is_found(monkeypatch, change):
    assert failures_with(monkeypatch, change)


def test_an_exception_of_the_parser_is_found_with_its_text(monkeypatch):
    def fail(answer):
        raise ZeroDivisionError("broken")

    failures = failures_with(monkeypatch, fail)
    assert len(failures) == 30
    assert "ZeroDivisionError: broken" in failures[0]


def test_a_slow_reading_is_found(monkeypatch):
    monkeypatch.setattr(checks, "TIME_LIMIT", 0.0)
    assert "took" in campaign.run_chunk("5/0", 5).failures[0]


def test_too_few_distinct_or_parsed_texts_are_failures():
    result = campaign._result(campaign.Chunk(), 3, 10, [], 1.0)
    assert result.failures == ["only 3 of 10 distinct texts", "only 0.000 of the texts were parsed"]
