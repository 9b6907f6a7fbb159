"""Writers of every answer format in docs/answer-formats.md: the value is known before the text.

A writer takes pairs of numbers as strings. The order of a pair is that of the frame, or x first if the
format names the axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from maniplvm.tasks import Guess, Task

Pair: TypeAlias = tuple[str, str]
Writer: TypeAlias = Callable[[Sequence[Pair], Random], str]

INTEGER_FRAMES = ("pixels", "qwen2_5_vl", "qwen3_vl", "gemini_er", "embedded", "molmoact")
ALL_FRAMES = (*INTEGER_FRAMES, "unit", "molmo")


@dataclass(frozen=True)
class AnswerFormat:
    """One answer format.

    Attributes:
        name: Name in the table of docs/answer-formats.md.
        task: The task that the answer has.
        write: Writes a value.
        names_axes: Whether keys name the axes, so that pairs are written x first.
        guesses: What the tolerant reading must assume.
        strict: Whether the strict reading accepts it.
        frames: Names of frames whose numbers the format can hold.
    """

    name: str
    task: Task
    write: Writer
    names_axes: bool = False
    guesses: frozenset[Guess] = frozenset()
    strict: bool = False
    frames: tuple[str, ...] = ALL_FRAMES


WORDS = ("mug", "handle", "the left rim", "drawer", "knob 3", "gripper trajectory", "cup's edge")
_FULL_WIDTH = str.maketrans("0123456789,()[].", "０１２３４５６７８９，（）［］．")


def _flat(pairs: Sequence[Pair], separator: str = ", ") -> str:
    return separator.join(number for pair in pairs for number in pair)


def _lists(pairs: Sequence[Pair]) -> str:
    return "[" + ", ".join(f"[{a}, {b}]" for a, b in pairs) + "]"


def _tuples(pairs: Sequence[Pair], separator: str = ", ") -> str:
    return separator.join(f"({a}, {b})" for a, b in pairs)


def _label(random: Random) -> str:
    return random.choice(WORDS)


def _keyed(keys: str, style: str, separator: str = ", ") -> Writer:
    """Writer of a box whose four numbers have keys."""

    def write(pairs: Sequence[Pair], random: Random) -> str:
        numbers = [number for pair in pairs for number in pair]
        return separator.join(
            style.format(key, number) for key, number in zip(keys.split(), numbers, strict=True)
        )

    return write


def _in(opening: str, writer: Writer, closing: str) -> Writer:
    return lambda pairs, random: opening + writer(pairs, random) + closing


def _each(template: str, separator: str) -> Writer:
    """Writer of one text for each point; `{i}` is its number."""
    return lambda pairs, random: separator.join(
        template.format(a=a, b=b, i=i) for i, (a, b) in enumerate(pairs, start=1)
    )


def _objects(key: str) -> Writer:
    return lambda pairs, random: (
        "["
        + ", ".join(f'{{"{key}": [{a}, {b}], "label": "{_label(random)}"}}' for a, b in pairs)
        + "]"
    )


def _corners(pairs: Sequence[Pair], random: Random) -> str:
    (a, b), (c, d) = pairs
    points = [(a, b), (c, b), (c, d), (a, d)]
    turn = random.randrange(4)
    return _lists(points[turn:] + points[:turn])


def _corner_phrases(pairs: Sequence[Pair], random: Random) -> str:
    (a, b), (c, d) = pairs
    texts = random.choice(
        [
            ("top-left ({}, {})", "bottom-right ({}, {})"),
            ("the top left corner is at ({}, {})", "the bottom right corner is at ({}, {})"),
            ("Upper left: [{}, {}]", "lower right: [{}, {}]"),
        ]
    )
    written = [texts[0].format(a, b), texts[1].format(c, d)]
    return ", ".join(written if random.random() < 0.5 else written[::-1])


def _stages(pairs: Sequence[Pair], random: Random) -> str:
    names = ["Start", *["via"] * (len(pairs) - 2), "End"]
    return "\n".join(f"{name}: ({a}, {b})" for name, (a, b) in zip(names, pairs, strict=True))


def _location(token: str) -> Writer:
    return lambda pairs, random: "".join(token.format(int(n)) for pair in pairs for n in pair)


def _decimal_commas(pairs: Sequence[Pair], random: Random) -> str:
    return "[" + _flat(pairs, "; ").replace(".", ",") + "]"


def _molmo_attributes(pairs: Sequence[Pair], random: Random) -> str:
    attributes = " ".join(f'x{i}="{a}" y{i}="{b}"' for i, (a, b) in enumerate(pairs, start=1))
    return f'<points {attributes} alt="{_label(random)}">{_label(random)}</points>'


def _molmo2(pairs: Sequence[Pair], random: Random) -> str:
    points = " ".join(f"{i} {a} {b}" for i, (a, b) in enumerate(pairs, start=1))
    return f'<points coords="1 {points}">{_label(random)}</points>'


def _molmo2_track(pairs: Sequence[Pair], random: Random) -> str:
    points = ";".join(f"{i / 2} 1 {a} {b}" for i, (a, b) in enumerate(pairs))
    return f'<tracks coords="{points}">{_label(random)}</tracks>'


_BOX, _TRACE, _POINTS = Task.AFFORDANCE, Task.TRAJECTORY, Task.POINTING
_LIST: Writer = lambda pairs, random: f"[{_flat(pairs)}]"  # noqa: E731
_DECIMALS = ("unit", "molmo")

BOXES = (
    AnswerFormat("bare list", _BOX, _LIST, strict=True),
    AnswerFormat("tuple", _BOX, lambda p, r: f"({_flat(p)})"),
    AnswerFormat("list in a list", _BOX, lambda p, r: f"[[{_flat(p)}]]"),
    AnswerFormat("two corners", _BOX, lambda p, r: _lists(p)),
    AnswerFormat(
        "Qwen2-VL tokens", _BOX, lambda p, r: f"<|box_start|>{_tuples(p, ',')}<|box_end|>"
    ),
    AnswerFormat(
        "Qwen object",
        _BOX,
        lambda p, r: f'{{"bbox_2d": [{_flat(p)}], "label": "{_label(r)}"}}',
        strict=True,
    ),
    AnswerFormat(
        "Qwen list in a code fence",
        _BOX,
        lambda p, r: f'```json\n[\n\t{{"bbox_2d": [{_flat(p)}], "label": "{_label(r)}"}}\n]\n```',
    ),
    AnswerFormat(
        "Gemini box", _BOX, lambda p, r: f'[{{"box_2d": [{_flat(p)}], "label": "{_label(r)}"}}]'
    ),
    AnswerFormat("boxes object", _BOX, lambda p, r: f'{{"boxes": [{_flat(p)}]}}'),
    AnswerFormat(
        "corner keys", _BOX, _in("{", _keyed("x1 y1 x2 y2", '"{}": {}'), "}"), names_axes=True
    ),
    AnswerFormat(
        "corner keys from 0",
        _BOX,
        _in("{", _keyed("x0 y0 x1 y1", '"{}": {}'), "}"),
        names_axes=True,
    ),
    AnswerFormat(
        "minimum and maximum",
        _BOX,
        _in("{", _keyed("xmin ymin x_max y_max", '"{}": {}'), "}"),
        names_axes=True,
    ),
    AnswerFormat(
        "edges", _BOX, _in("{", _keyed("left top right bottom", '"{}": {}'), "}"), names_axes=True
    ),
    AnswerFormat(
        "keyword arguments", _BOX, _in("Box(", _keyed("x1 y1 x2 y2", "{}={}"), ")"), names_axes=True
    ),
    AnswerFormat("keys without brackets", _BOX, _keyed("x1 y1 x2 y2", "{}: {}"), names_axes=True),
    AnswerFormat(
        "keys in lines", _BOX, _keyed("xmin ymin xmax ymax", "- {} = {}", "\n"), names_axes=True
    ),
    AnswerFormat(
        "tag attributes",
        _BOX,
        _in("<box ", _keyed("x1 y1 x2 y2", '{}="{}"', " "), "/>"),
        names_axes=True,
    ),
    AnswerFormat(
        "corner objects",
        _BOX,
        lambda p, r: (
            f'{{"top_left": {{"x": {p[0][0]}, "y": {p[0][1]}}}, '
            f'"bottom_right": {{"x": {p[1][0]}, "y": {p[1][1]}}}}}'
        ),
        names_axes=True,
    ),
    AnswerFormat("corner phrases", _BOX, _corner_phrases),
    AnswerFormat("four corners", _BOX, _corners),
    AnswerFormat("InternVL", _BOX, lambda p, r: f"<ref>{_label(r)}</ref><box>[[{_flat(p)}]]</box>"),
    AnswerFormat("GLM", _BOX, lambda p, r: f"<|begin_of_box|>[[{_flat(p)}]]<|end_of_box|>"),
    AnswerFormat(
        "angle brackets", _BOX, lambda p, r: f"<|begin_of_box|><{_flat(p)}><|end_of_box|>"
    ),
    AnswerFormat(
        "DeepSeek-VL2",
        _BOX,
        lambda p, r: f"<|ref|>{_label(r)}<|/ref|><|det|>[[{_flat(p)}]]<|/det|>",
    ),
    AnswerFormat(
        "PaliGemma", _BOX, _in("", _location("<loc{:04d}>"), " mug"), frames=INTEGER_FRAMES
    ),
    AnswerFormat("Florence-2", _BOX, _in("mug", _location("<loc_{}>"), ""), frames=INTEGER_FRAMES),
    AnswerFormat("numbers in a tag", _BOX, lambda p, r: f"<bbox>{_flat(p, ' ')}</bbox>"),
    AnswerFormat("bare numbers", _BOX, lambda p, r: _flat(p)),
    AnswerFormat("prose", _BOX, lambda p, r: f"The {_label(r)} is at [{_flat(p)}], that's it."),
    AnswerFormat("LaTeX", _BOX, lambda p, r: rf"\boxed{{\left[{_flat(p)}\right]}}"),
    AnswerFormat("escaped JSON", _BOX, lambda p, r: rf"{{\"bbox_2d\": [{_flat(p)}]}}"),
    AnswerFormat(
        "full-width forms", _BOX, lambda p, r: f"[{_flat(p, ',')}]".translate(_FULL_WIDTH)
    ),
    AnswerFormat(
        "corner and size",
        _BOX,
        lambda p, r: _with_size(p, '{{"x": {}, "y": {}, "width": {}, "height": {}}}'),
        names_axes=True,
        guesses=frozenset({Guess.CORNER_AND_SIZE}),
        frames=INTEGER_FRAMES,
    ),
    AnswerFormat(
        "edge and size",
        _BOX,
        lambda p, r: _with_size(p, '{{"left": {}, "top": {}, "width": {}, "height": {}}}'),
        names_axes=True,
        frames=INTEGER_FRAMES,
    ),
    AnswerFormat(
        "center and size",
        _BOX,
        lambda p, r: _with_center(p),
        names_axes=True,
        frames=INTEGER_FRAMES,
    ),
    AnswerFormat(
        "quoted numbers",
        _BOX,
        lambda p, r: "[" + ", ".join(f'"{n}"' for pair in p for n in pair) + "]",
        guesses=frozenset({Guess.QUOTED_NUMBERS}),
    ),
    AnswerFormat(
        "decimal commas",
        _BOX,
        _decimal_commas,
        guesses=frozenset({Guess.DECIMAL_COMMA}),
        frames=_DECIMALS,
    ),
    AnswerFormat(
        "percent signs",
        _BOX,
        lambda p, r: "[" + ", ".join(f"{n}%" for pair in p for n in pair) + "]",
        guesses=frozenset({Guess.PERCENT}),
        frames=("molmo",),
    ),
    AnswerFormat("unit px", _BOX, lambda p, r: f"[{_flat(p, 'px, ')} px]", frames=("pixels",)),
)
"""Formats of a box."""


def _with_size(pairs: Sequence[Pair], template: str) -> str:
    (a, b), (c, d) = pairs
    return template.format(a, b, int(c) - int(a), int(d) - int(b))


def _with_center(pairs: Sequence[Pair]) -> str:
    (a, b), (c, d) = [(int(x), int(y)) for x, y in pairs]
    return f"cx: {(a + c) / 2}, cy: {(b + d) / 2}, w: {c - a}, h: {d - b}"


TRACES = (
    AnswerFormat("list of lists", _TRACE, lambda p, r: _lists(p), strict=True),
    AnswerFormat("list of tuples", _TRACE, lambda p, r: f"[{_tuples(p)}]"),
    AnswerFormat("tuples", _TRACE, lambda p, r: _tuples(p)),
    AnswerFormat("arrows", _TRACE, lambda p, r: _tuples(p, r.choice([" -> ", " → ", " => "]))),
    AnswerFormat("flat list", _TRACE, lambda p, r: f"[{_flat(p)}]"),
    AnswerFormat("lines of numbers", _TRACE, _each("{a}, {b}", "\n")),
    AnswerFormat("Qwen points", _TRACE, _objects("point_2d"), strict=True),
    AnswerFormat(
        "Qwen points in a code fence", _TRACE, _in("```json\n", _objects("point_2d"), "\n```")
    ),
    AnswerFormat("Gemini points", _TRACE, _objects("point")),
    AnswerFormat("trajectory object", _TRACE, lambda p, r: f'{{"trajectory": {_lists(p)}}}'),
    AnswerFormat(
        "MiMo-Embodied", _TRACE, lambda p, r: f'[{{"points": {_lists(p)}, "label": "{_label(r)}"}}]'
    ),
    AnswerFormat("Embodied-R1", _TRACE, lambda p, r: f"<point>{_lists(p)}</point>"),
    AnswerFormat(
        "axis objects",
        _TRACE,
        _in("[", _each('{{"x": {a}, "y": {b}}}', ", "), "]"),
        names_axes=True,
    ),
    AnswerFormat(
        "constructors", _TRACE, _in("[", _each("Point(x={a}, y={b})", ", "), "]"), names_axes=True
    ),
    AnswerFormat("lines of axes", _TRACE, _each("- x: {a}\n  y: {b}", "\n"), names_axes=True),
    AnswerFormat("NumPy array", _TRACE, lambda p, r: f"np.array({_lists(p)})"),
    AnswerFormat("numbered keys", _TRACE, _in("{", _each('"p{i}": [{a}, {b}]', ", "), "}")),
    AnswerFormat("numbered list", _TRACE, _each("{i}. ({a}, {b})", "\n")),
    AnswerFormat("bulleted list", _TRACE, _each("- [{a}, {b}]", "\n")),
    AnswerFormat("labelled list", _TRACE, _each("Point {i}: ({a}, {b})", "\n")),
    AnswerFormat("labelled stages", _TRACE, _stages),
    AnswerFormat("times", _TRACE, _each("t={i}: ({a}, {b})", ", ")),
    AnswerFormat("tagged points", _TRACE, _each("<point>({a}, {b})</point>", "")),
    AnswerFormat("tagged numbers", _TRACE, _each("<point>{a} {b}</point>", "\n")),
    AnswerFormat("bold points", _TRACE, _each("**({a}, {b})**", ", ")),
    AnswerFormat("Molmo", _TRACE, _molmo_attributes, names_axes=True),
    AnswerFormat("Molmo 2", _TRACE, _molmo2, names_axes=True),
    AnswerFormat("Molmo 2 track", _TRACE, _molmo2_track, names_axes=True),
    AnswerFormat("location tokens", _TRACE, _location("<loc_{}>"), frames=INTEGER_FRAMES),
    AnswerFormat(
        "points with depth",
        _TRACE,
        _in("[", _each("({a}, {b}, 0.{i})", ", "), "]"),
        guesses=frozenset({Guess.DEPTH_IGNORED}),
    ),
    AnswerFormat(
        "objects with depth",
        _TRACE,
        _in("[", _each('{{"point_2d": [{a}, {b}], "depth": 1.{i}}}', ", "), "]"),
        strict=True,
    ),
    AnswerFormat(
        "points with decimal commas",
        _TRACE,
        lambda p, r: (
            "[" + ", ".join("({}; {})".format(*pair).replace(".", ",") for pair in p) + "]"
        ),
        guesses=frozenset({Guess.DECIMAL_COMMA}),
        frames=_DECIMALS,
    ),
    AnswerFormat("full-width points", _TRACE, lambda p, r: _tuples(p, "，").translate(_FULL_WIDTH)),
)
"""Formats of a trace."""

POINTS = (
    AnswerFormat("one pair", _POINTS, lambda p, r: f"({p[0][0]}, {p[0][1]})"),
    AnswerFormat("point object", _POINTS, lambda p, r: f'{{"point_2d": [{p[0][0]}, {p[0][1]}]}}'),
    AnswerFormat("axes", _POINTS, lambda p, r: f"x: {p[0][0]}, y: {p[0][1]}", names_axes=True),
    AnswerFormat(
        "axis arguments", _POINTS, lambda p, r: f"(x={p[0][0]}, y={p[0][1]})", names_axes=True
    ),
    AnswerFormat(
        "Molmo point",
        _POINTS,
        lambda p, r: '<point x="{}" y="{}" alt="mug">mug</point>'.format(*p[0]),
        names_axes=True,
    ),
)
"""Formats of one point."""

FORMATS = (*BOXES, *TRACES, *POINTS)
