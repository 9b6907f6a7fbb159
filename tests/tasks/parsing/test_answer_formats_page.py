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


SPELLED = [
    (text, reading)
    for spelling, reading in rows("Spellings")
    for text in re.findall(r"`([^`]+)`", spelling)
]
NUMBERS = [text for text, reading in SPELLED if reading == "the number"]
REFUSED = [
    (text, status)
    for text, reading in SPELLED
    for status in ParseStatus
    if f"`{status}`" in reading
]


def test_the_page_has_spellings_of_both_kinds():
    assert len(NUMBERS) == 5
    assert len(REFUSED) == 8


@pytest.mark.parametrize("text", NUMBERS)
def test_every_spelling_of_a_number_on_the_page_is_read(text):
    answer = parse_answer(f"[{text}, 200, 300, 400]", Task.AFFORDANCE, FRAME)
    assert answer.status is ParseStatus.OK
    assert answer.value.tolist() == [float(text), 200, 300, 400]


@pytest.mark.parametrize(("text", "status"), REFUSED)
def test_every_refused_spelling_on_the_page_has_its_status(text, status):
    assert parse_answer(f"[{text}, 2, 3, 4]", Task.AFFORDANCE, FRAME).status is status


def test_every_family_of_the_tables_has_a_source():
    families = {
        family.strip()
        for _, _, _, written_by, *_ in EXAMPLES
        for family in re.split(r"[;,]| and ", written_by)
    } - {"prompt of this project", "people", "general models"}
    sources = {family.strip() for row in rows("Sources") for family in row[0].split(",")}
    assert len(families) > 15
    assert families - sources == set()


def test_the_example_of_a_frame_prints_what_the_page_shows(capsys):
    code, shown = re.findall(r"```(?:python)?\n(.*?)```", sections()["Sources"], re.DOTALL)
    exec(code)  # noqa: S102 - the text of this repository
    assert capsys.readouterr().out == shown
