"""Settings classes: what pydantic accepts, and the one line about everything else."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any, Literal

import pytest

from maniplvm.config import build, to_mapping, unknown_key, validated
from maniplvm.config.settings import NOT_IN_FILE
from maniplvm.errors import UserError


@validated
@dataclass(frozen=True)
class Part:
    weight: float = 1.0
    shape: Literal["round", "square"] = "round"
    name: str = field(default="", metadata=NOT_IN_FILE)

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"weight: must not be negative, got {self.weight:g}")


@validated
@dataclass(frozen=True)
class Whole:
    title: str
    count: int = 0
    on: bool = False
    sizes: tuple[int, ...] = ()
    part: Part | None = None
    parts: tuple[Part, ...] = ()
    named: Mapping[str, Part] = field(default_factory=dict[str, Part])
    source: str | Mapping[str, Any] = "here"


def test_settings_are_restored_from_their_mapping():
    settings = {
        "title": "a",
        "sizes": [1, 2],
        "part": {"weight": 2},
        "parts": [{"shape": "square"}],
        "named": {"b": {}},
        "source": {"x": 1},
    }
    whole = build(Whole, settings, "here")
    assert whole.part == Part(2.0)
    assert whole.sizes == (1, 2)
    assert type(whole.part.weight) is float
    assert build(Whole, to_mapping(whole), "there") == whole


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"title": 3}, "title: expected a string, got 3"),
        ({"title": "a", "count": "3"}, "count: expected an integer, got '3'"),
        ({"title": "a", "count": 3.0}, "count: expected an integer, got 3.0"),
        ({"title": "a", "count": True}, "count: expected an integer, got True"),
        ({"title": "a", "on": 1}, "on: expected a boolean, got 1"),
        ({"title": "a", "sizes": 3}, "sizes: expected a list, got 3"),
        ({"title": "a", "sizes": [1, "b"]}, "sizes[1]: expected an integer, got 'b'"),
        ({"title": "a", "part": 4}, "part: expected a mapping, got 4; choose from weight, shape"),
        ({"title": "a", "part": {"weight": True}}, "part.weight: expected a number, got True"),
        ({"title": "a", "part": {"weight": float("inf")}}, "part.weight: expected a finite number"),
        ({"title": "a", "part": {"weight": -1}}, "part.weight: must not be negative, got -1"),
        ({"title": "a", "part": {"shape": "oval"}}, "choose from round, square; got 'oval'"),
        ({"title": "a", "parts": [{}, {"weigth": 1}]}, "parts[1]: unknown key 'weigth'; did you"),
        ({"title": "a", "named": {"b": {"wait": 1}}}, "named.b: unknown key 'wait'"),
        ({"title": "a", "named": {1: {}}}, "named: expected strings as keys, got 1"),
        ({"title": "a", "source": 5}, "source: expected a string or a mapping, got 5"),
        ({"titel": "a"}, "unknown key 'titel'; did you mean title? choose from title, count"),
        ({}, "title: missing; a value is needed"),
        ({1: 2, "title": "a"}, "expected strings as keys, got 1"),
        ([1], "expected a mapping, got [1]"),
        ({"title": "a", "part": {"name": "x"}}, "part: unknown key 'name'"),
    ],
)
def test_an_invalid_setting_gives_one_line_with_its_key(settings, message):
    with pytest.raises(UserError) as caught:
        build(Whole, settings, "file.yaml")
    assert str(caught.value).startswith("file.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_from_python_are_validated_like_a_file():
    assert Whole("a", 3, parts=(Part(),)).count == 3
    with pytest.raises(UserError, match=r"^count: expected an integer, got 'b'"):
        Whole("a", "b")
    with pytest.raises(UserError, match=r"^weight: must not be negative"):
        replace(Part(), weight=-1.0)
    with pytest.raises(TypeError, match="unexpected keyword"):
        Part(wait=1)
    with pytest.raises(FrozenInstanceError):
        Part().weight = 2.0


def test_a_field_outside_the_file_can_be_set_in_python():
    part = replace(Part(2.0), name="left")
    assert part.name == "left"
    assert replace(part, weight=3.0).name == "left"
    assert to_mapping(part) == {"weight": 2.0, "shape": "round"}


def test_a_long_value_is_shortened():
    with pytest.raises(UserError) as caught:
        build(Whole, {"title": ["x" * 1000]}, "here")
    assert len(str(caught.value)) < 200


def test_an_unknown_key_lists_few_choices_and_the_similar_ones_of_many():
    assert unknown_key("b", ["alpha", "beta"]) == "unknown key 'b'; choose from alpha, beta"
    many = [f"setting_{i}" for i in range(40)] + ["rate"]
    assert unknown_key("rat", many).startswith("unknown key 'rat'; did you mean rate? some of 41")
    assert unknown_key("ZZZ", many) == "unknown key 'ZZZ';"
