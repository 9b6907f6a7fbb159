"""The table in docs/answer-formats.md: every example is read, and the fuzzer writes every format."""

import re
from pathlib import Path

import pytest
from benchmarks.reliability.fuzzing.formats import BOXES, FORMATS, POINTS, TRACES

from maniplvm.geometry import FRAMES
from maniplvm.tasks import Guess, ParseStatus, Task, parse_answer

PAGE = Path(__file__).parents[3] / "docs" / "answer-formats.md"
FRAME = FRAMES["pixels"].bind((1000, 1000))
EXPECTED = {
    "Boxes": (Task.AFFORDANCE, [100, 200, 300, 400]),
    "Traces": (Task.TRAJECTORY, [[100, 200], [300, 400], [500, 600]]),
    "Points": (Task.POINTING, [[100, 200]]),
}
ESCAPES = (("\\n", "\n"), ("\\t", "\t"))


def sections():
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section):
    """The cells of each row of the first table of a section."""
    lines = [line for line in sections()[section].splitlines() if line.startswith("|")]
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines[2:]
    ]


def example_of(cell):
    text = cell.strip("`").strip() if cell.startswith("``") else cell[1:-1]
    text = f"```{text.strip('`')}```" if cell.startswith("`` ```") else text
    for written, meant in ESCAPES:
        text = text.replace(written, meant)
    return text


EXAMPLES = [(section, *row) for section in EXPECTED for row in rows(section)]


@pytest.mark.parametrize(
    ("section", "name", "example", "source", "frame", "strict", "guess"),
    EXAMPLES,
    ids=[row[1] for row in EXAMPLES],
)
def test_every_example_of_the_page_is_read(section, name, example, source, frame, strict, guess):
    task, expected = EXPECTED[section]
    text = example_of(example)
    answer = parse_answer(f"<think>so</think><answer>{text}</answer>", task, FRAME)
    rounded = answer.value.round(9)
    if "decimal" in name:  # the examples end in a half
        rounded = rounded - 0.5
    assert rounded.tolist() == expected
    assert answer.well_formed == (strict == "yes")
    assert [f"`{each}`" for each in answer.guesses] == ([] if guess == "-" else guess.split(", "))
    assert source
    assert frame
    assert parse_answer(text, task, FRAME).value.tolist() == answer.value.tolist()


@pytest.mark.parametrize(
    ("section", "formats"), [("Boxes", BOXES), ("Traces", TRACES), ("Points", POINTS)]
)
def test_the_fuzzer_writes_every_format_of_the_page(section, formats):
    assert [row[0] for row in rows(section)] == [each.name for each in formats]


def test_the_names_of_the_formats_differ():
    assert len({each.name for each in FORMATS}) == len(FORMATS)


def test_every_guess_is_explained():
    assert [row[0] for row in rows("Guesses")] == [f"`{guess}`" for guess in Guess]


def test_every_status_without_a_value_on_the_page_exists():
    page = PAGE.read_text(encoding="utf-8")
    for status in ("non_finite", "unsupported_number", "unsupported_format", "wrong_count"):
        assert f"`{status}`" in page
        assert status in list(ParseStatus)
