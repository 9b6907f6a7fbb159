"""Every format is compared with its golden file; a deleted golden file is written again."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from maniplvm.errors import UserError
from maniplvm.evaluation.tables import WRITERS, ComparisonOptions, compare_runs, format_of
from maniplvm.evaluation.tables.formats.latex import escaped as latex_escaped
from maniplvm.evaluation.tables.formats.markdown import escaped as markdown_escaped

GOLDEN = Path(__file__).parent / "golden"
NASTY = r"=a|b_c*d\e~f^g{h}$i&j#k%l<b>m</b>`n`[o]"


@pytest.fixture(scope="module")
def page(made):
    return compare_runs([made.constant, made.random], ComparisonOptions(against="random"))


@pytest.fixture(scope="module")
def nasty(made):
    return compare_runs([made.constant, made.random], ComparisonOptions(names=(NASTY, "plain")))


class Tags(HTMLParser):
    """Tags in order, rows of cell texts, and whether every tag was closed."""

    VOID = ("meta",)

    def __init__(self, text):
        super().__init__()
        self.open, self.names, self.rows, self.text = [], [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            span = int(dict(attrs).get("colspan", 1))
            self.rows[-1] += [""] * span

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.rows and self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.mark.parametrize("ending", ["md", "tex", "csv", "html"])
@pytest.mark.parametrize("intervals", [False, True])
def test_each_format_is_equal_to_its_golden_file(page, ending, intervals):
    text = WRITERS[ending](page, intervals)
    file = GOLDEN / f"{'intervals' if intervals else 'means'}.{ending}"
    if not file.exists():
        file.write_bytes(text.encode())
        pytest.fail(f"{file.name} was missing and is written now: read it, then run again")
    assert text.encode() == file.read_bytes()


def test_json_holds_the_page(page):
    plain = json.loads(WRITERS["json"](page, False))
    assert plain["format"] == "maniplvm.tables/1"
    assert plain["tables"][0]["rows"][0]["name"] == "constant"


def test_a_name_in_markdown_is_escaped(nasty):
    rows = [line for line in WRITERS["md"](nasty, False).split("\n") if line.startswith("|")]
    columns = {line.replace(r"\|", "").count("|") for line in rows}
    assert len(columns) == 1
    assert rows[2].startswith(r"| =a\|b\_c\*d\\e\~f^g{h}\$i&amp;j\#k%l&lt;b>m&lt;/b>\`n\`\[o\] |")


def test_markdown_text_stays_on_its_line():
    assert markdown_escaped("a\nb\r\n c\td") == "a b c d"


def test_a_name_in_latex_is_escaped(nasty):
    text = WRITERS["tex"](nasty, False)
    assert (
        r"=a\textbar{}b\_c*d\textbackslash{}e\textasciitilde{}f\textasciicircum{}g\{h\}\$i\&j\#k\%l"
        r"\textless{}b\textgreater{}m" in text
    )
    lines = [line for line in text.split("\n") if line.endswith(r"\\") and "multi" not in line]
    assert {line.replace(r"\&", "").count("&") for line in lines} == {16}


def test_latex_braces_and_environments_are_balanced(nasty):
    text = WRITERS["tex"](nasty, True).replace(r"\{", "").replace(r"\}", "")
    assert text.count("{") == text.count("}")
    for name in ("table*", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1


@pytest.mark.parametrize("special", list("\\{}$&#_%^~"))
def test_latex_escapes_every_special_character(special):
    assert latex_escaped(f"a{special}b") not in (f"a{special}b", "ab")


def test_a_name_in_csv_is_one_field_and_no_formula(nasty):
    rows = list(csv.reader(io.StringIO(WRITERS["csv"](nasty, False))))
    assert rows[1][1] == f"'{NASTY}"
    table = [row for row in rows if row and not row[0].startswith("#")]
    assert len({len(row) for row in table}) == 1
    assert [row[2] for row in table[1:4]] == ["measured", "measured", "published"]


def test_csv_figures_are_numbers_with_all_their_digits(page):
    rows = list(csv.reader(io.StringIO(WRITERS["csv"](page, True))))
    cell = page.tables[0].rows[0].cells[0]
    assert [float(own) for own in rows[1][3:7]] == pytest.approx(
        [cell.value, cell.low, cell.high, cell.count], rel=1e-8
    )


def test_html_is_well_formed_and_escapes_names(nasty):
    text = WRITERS["html"](nasty, True)
    tags = Tags(text)
    assert tags.open == []
    assert NASTY in tags.text
    assert "b" not in tags.names
    body = [row for row in tags.rows if row and row[0] in (NASTY, "plain", "VLA-R1-3B")]
    assert {len(row) for row in body} == {17}


def test_html_makes_no_network_requests(page):
    text = WRITERS["html"](page, False)
    assert "default-src 'none'" in text
    for word in ("http:", "https:", "<script", "<link", "url(", "@import"):
        assert word not in text


def test_warnings_are_in_every_format(made, tmp_path):
    from maniplvm.evaluation import Selection, evaluate
    from tests.evaluation.scenery import Counting

    few = Selection(("id_test",), limit=4)
    evaluate(Counting(), made.data, tmp_path / "few", selection=few)
    page = compare_runs([made.constant, tmp_path / "few"])
    for name, write in WRITERS.items():
        assert "the runs have different samples" in write(page, False), name


def test_stacked_tables_hold_the_same_figures(page):
    parts = page.stacked().tables
    assert len(parts) == 4
    assert [len(part.headings) for part in parts] == [8] * 4
    whole = [cell for row in page.tables[0].rows[:1] for cell in row.cells]
    assert [cell for part in parts[:2] for cell in part.rows[0].cells] == whole


def test_the_suffix_or_the_option_decides_the_format():
    assert format_of(None, None) is None
    assert format_of(Path("a.tex"), None) == "tex"
    assert format_of(Path("a.txt"), "md") == "md"
    with pytest.raises(
        UserError, match="the suffix 'txt' is not a known format; choose from md, tex"
    ):
        format_of(Path("a.txt"), None)
    with pytest.raises(UserError, match="--format pdf is not a known format"):
        format_of(None, "pdf")
