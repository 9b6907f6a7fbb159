"""Identifiers use the standard terms of the field (docs/glossary.md), not private words."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path
    for folder in ("src", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if ".venv" not in path.parts
)

STANDARD_WORD = {
    "picture": "image",
    "pictures": "images",
    "supervision": "SFT",
    "school": "pretraining",
    "schooling": "pretraining",
    "lesson": "example",
    "lessons": "dataset",
    "habit": "policy or statistic",
    "habits": "behaviour statistics",
    "wording": "text augmentation or instruction",
    "wordings": "instructions",
    "reworded": "augmented",
    "sibling": "completion of the same group",
    "siblings": "completions of the same group",
    "obstacle": "unsupported_reason",
    "obstacles": "unsupported_reason",
    "foresee": "find_warnings",
    "foreseen": "warnings",
    "keeping": "activation policy",
    "patience": "retry policy",
    "crew": "worker pool",
    "pace": "rate limit",
    "blend": "interpolate",
    "blended": "interpolated",
    "blending": "interpolation",
    "studio": "scene sampler",
    "shot": "view",
    "shots": "views",
    "dress": "apply",
    "lamp": "light",
    "lamps": "lights",
    "cloth": "texture",
    "variety": "domain randomization or diversity",
    "hear": "receive",
    "dismiss": "terminate",
    "teaches": "is_training",
    "taught": "trained or reference",
    "garbage": "adversarial",
    "ailment": "issue",
    "ailments": "issues",
    "patient": "fixture",
    "patients": "fixtures",
    "stranger": "other sample",
    "strangers": "other samples",
    "dialect": "answer format",
    "dialects": "answer formats",
    "thinning": "simplify",
    "stray": "deviation",
    "strays": "deviates",
    "pen": "draw",
    "remark": "annotation",
    "remarks": "annotations",
    "replies": "completions",
    "reply": "completion",
    "skeleton": "meta model",
    "judged": "scored",
    "judge": "score",
    "judges": "scores",
    "walls": "galleries",
    "contest": "comparison",
    "contests": "comparisons",
    "told": "reported",
    "said": "message or prediction",
    "speaks": "uses",
    "listens": "uses",
}
"""Each private word, and what to write instead.

Not in the list, because the field uses them for something else: share (a fraction), cause, frame,
part, job, order, course, watch, member, stroke (SVG), marks (a stored column), branch, tower.
"""


def parts_of(identifier):
    """The lower-case words of a snake_case or CamelCase identifier."""
    return [
        word.lower()
        for piece in identifier.split("_")
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", piece)
    ]


def identifiers(tree):
    """Every name that the code defines, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def private_words(tree):
    """Lines such as `7: blend_share: write interpolate instead of blend`."""
    return [
        f"{line}: {name}: write {STANDARD_WORD[word]!r} instead of {word!r}"
        for name, line in identifiers(tree)
        for word in parts_of(name)
        if word in STANDARD_WORD
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_identifiers_use_standard_words(path):
    assert not private_words(ast.parse(path.read_text(encoding="utf-8")))
    assert not [word for word in parts_of(path.stem) if word in STANDARD_WORD]


@pytest.mark.parametrize(
    "code",
    [
        "def blend_weights(a): ...",
        "class PictureMemory: ...",
        "def f(wording): ...",
        "self.crew = 1",
        "for lamp in lights: ...",
        "import numpy as garbage",
    ],
)
def test_a_private_word_is_found(code):
    assert len(private_words(ast.parse(code))) == 1


def test_standard_words_are_accepted():
    code = "def interpolate_weights(alpha, image, stroke_width): dressed_image = spreadsheet = 1"
    assert private_words(ast.parse(code)) == []
