"""Random changes of a text: insert, delete, swap, nest, repeat, truncate, and foreign content."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from benchmarks.reliability.fuzzing.answers import write_answer

Mutation: TypeAlias = Callable[[str, Random], str]

MAX_LENGTH = 1500
"""Maximum length of a mutated text [characters], which keeps a million texts affordable."""

TOKENS = (
    *("[", "]", "(", ")", "{", "}", "<", ">", ",", ";", ":", "=", "|", '"', "'", "\\", "`", "*"),
    *("<think>", "</think>", "<answer>", "</answer>", "<point>", "</point>", "<box>", "</bbox>"),
    *("<points ", 'coords="', "<loc_12>", "<loc0123>", "<patch_index_0044>", "◁think▷", "[THINK]"),
    *("[/THINK]", "<ANSWER>", "</Answer>", "</THINK>", "<thinking>", "</thought>", "◁/think▷"),
    *("x=", '"y":', "x1: ", "top left", '"bbox_2d": ', '"point_2d":', "1. ", "- ", "Point 2: "),
    *(
        "->",
        " and ",
        "px",
        "%",
        "/",
        "−",
        "\n",
        "\t",
        "\x00",
        "\u2028",
        "\ud800",
        "\u202e",
        "\ufeff",
    ),
    *("，", "（", "】", "１２", "٣", "²", "½", "Ⅷ", "é", "🤖", "null", "true", "NaN", "-Infinity"),
    *("__import__('os').system('true')", "%s%n", "${x}", "<!--", "]]>", "\x1b[31m", "\\u0000"),
)
"""Delimiters, tags, keys and characters that one of the formats or another language uses."""

NUMBERS = (
    *("0", "-0", "1e999", "-1e999", "1e-999", "9" * 40, "9" * 400, "0." + "3" * 60, "00012"),
    *("1e308", "-1e308", "5e-324", ".5", "5.", "1,234", "1_000", "0x1F", "1/3", "12px", "50%"),
    *("nan", "inf", "2147483648", "18446744073709551616", "1e5", "+7", "--7", "1.2.3", "1e", "1e+"),
)
"""Numbers at the limits of a type, or in a spelling of their own."""


def mutate(text: str, random: Random) -> str:
    """Apply one to four random changes."""
    for _ in range(random.randint(1, 4)):
        text = random.choice(_MUTATIONS)(text, random)[:MAX_LENGTH]
    return text


def _span(text: str, random: Random, longest: int = 30) -> tuple[int, int]:
    start = random.randrange(len(text) + 1)
    return start, min(len(text), start + random.randint(1, longest))


def _insert(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    return text[:place] + random.choice(TOKENS) + text[place:]


def _insert_character(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    limit = random.choice([0x80, 0x250, 0x3100, 0x10FFFF])
    return text[:place] + chr(random.randrange(limit)) + text[place:]


def _delete(text: str, random: Random) -> str:
    start, end = _span(text, random, random.choice([1, 1, 3, 20]))
    return text[:start] + text[end:]


def _swap(text: str, random: Random) -> str:
    (a, b), (c, d) = sorted([_span(text, random), _span(text, random)])
    b = min(b, c)
    return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]


def _nest(text: str, random: Random) -> str:
    start, end = _span(text, random, 200)
    opening, closing = random.choice(
        [
            ("[", "]"),
            ("(", ")"),
            ("{", "}"),
            ('{"answer": ', "}"),
            ("<answer>", "</answer>"),
            ('"', '"'),
        ]
    )
    depth = random.choice([1, 1, 2, 20])
    return text[:start] + opening * depth + text[start:end] + closing * depth + text[end:]


def _repeat(text: str, random: Random) -> str:
    start, end = _span(text, random)
    return text[:end] + text[start:end] * random.choice([1, 2, 5, 40]) + text[end:]


def _truncate(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    return text[:place] if random.random() < 0.7 else text[place:]


def _change_number(text: str, random: Random) -> str:
    digits = [i for i, character in enumerate(text) if character.isdigit()]
    if not digits:
        return text + random.choice(NUMBERS)
    start = end = random.choice(digits)
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[:start] + random.choice(NUMBERS) + text[end:]


def _change_character(text: str, random: Random) -> str:
    if not text:
        return text
    place = random.randrange(len(text))
    return text[:place] + random.choice(TOKENS) + text[place + 1 :]


def _insert_answer(text: str, random: Random) -> str:
    place = random.choice([0, len(text), random.randrange(len(text) + 1)])
    return text[:place] + write_answer(random).text + text[place:]


def _splice(text: str, random: Random) -> str:
    other = write_answer(random).text
    return text[: random.randrange(len(text) + 1)] + other[random.randrange(len(other)) :]


def _change_case(text: str, random: Random) -> str:
    start, end = _span(text, random, 60)
    return text[:start] + text[start:end].swapcase() + text[end:]


def _change_spaces(text: str, random: Random) -> str:
    space = random.choice(["", "  ", "\n", "\t", "\u00a0", "\u200b"])
    return text.replace(" ", space, random.choice([1, 3, -1]))


_MUTATIONS: tuple[Mutation, ...] = (
    *(_insert, _insert_character, _delete, _swap, _nest, _repeat, _truncate, _change_number),
    *(_change_character, _insert_answer, _splice, _change_case, _change_spaces),
)
