"""Every sample as one row: data for the page's search, and the first rows for those without scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from maniplvm.evaluation.records import ScoredSample
from maniplvm.evaluation.report.folders import Measured
from maniplvm.evaluation.report.html.tags import visible
from maniplvm.evaluation.report.metrics import STATUS_PHRASES, Form
from maniplvm.evaluation.report.sample_metrics import reasoning_of
from maniplvm.evaluation.report.sections.galleries import shortened
from maniplvm.evaluation.report.sections.patterns import named_evaluations
from maniplvm.evaluation.report.sections.selection import leading_of
from maniplvm.evaluation.report.sections.tables import TITLES, Compared

ROWS_OF_A_PAGE = 25
"""Rows that are shown at once, with and without scripts."""
MOST_CHARACTERS = 200
"""Of a reasoning, or of a completion without one, that can be searched and are shown."""


@dataclass(frozen=True)
class Reply:
    """One model's answer, as a row shows it: its score, how it was read where it failed, its words."""

    score: str
    status: str
    words: str


@dataclass(frozen=True)
class Row:
    """One sample, as the page shows it without scripts.

    Attributes:
        instruction: What was asked.
        about: Split, category, number of the draw.
        id: The sample's.
        anchor: Its card's; empty without one.
        replies: One for each evaluation, None where it did not answer.
    """

    instruction: str
    about: str
    id: str
    anchor: str
    replies: Sequence[Reply | None]


@dataclass(frozen=True)
class Listing:
    """The searchable table.

    Attributes:
        names: Of the evaluations.
        total: How many samples there are.
        rows: The first page.
        data: What the script reads: JSON in which no text can end its element.
        choices: Filters: name, label, and options of value and text.
        script: The code of the search.
        policy: What a page's policy must name so that the script, and no other, may run.
    """

    names: Sequence[str]
    total: int
    rows: Sequence[Row]
    data: Markup
    choices: Sequence[tuple[str, str, Sequence[tuple[str, str]]]]
    script: Markup
    policy: str


def listing(compared: Compared, anchors: Mapping[str, str]) -> Listing:
    """Every completion of the evaluation that the page is about, with the others' beside it.

    Args:
        compared: The evaluations.
        anchors: The cards by sample id.
    """
    evaluations = named_evaluations(compared)
    others = [_by_key(measured) for _, _, measured in evaluations]
    words = _Words()
    rows: list[list[Any]] = []
    first: list[Row] = []
    for record in compared.after.samples:
        replies = [own.get((record.id, record.draw)) for own in others]
        rows.append(_packed(record, replies, anchors.get(record.id, ""), words))
        if len(first) < ROWS_OF_A_PAGE:
            first.append(_row(record, replies, anchors.get(record.id, "")))
    names = [name for _, name, _ in evaluations]
    has_before = compared.before is not None
    page_of = next(i for i, (series, _, _) in enumerate(evaluations) if series == "after")
    data = {
        "names": names,
        "own": page_of,
        "other": 0 if has_before else 1 if len(names) > 1 else -1,
        "page": ROWS_OF_A_PAGE,
        "phrases": dict(STATUS_PHRASES),
        "measures": _measures(compared.after),
        "words": words.texts,
        "rows": rows,
    }
    script = (Path(__file__).parents[1] / "templates" / "search.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return Listing(
        names,
        len(rows),
        first,
        embedded_json(data),
        _choices(compared.after, has_other=len(names) > 1),
        Markup(script),  # noqa: S704 - our own file
        f"'sha256-{digest}'",
    )


def embedded_json(data: Any) -> Markup:
    """JSON that can stand inside of a script element whatever its texts are.

    The characters that could end the element, begin a comment or another script, or that older
    readers take for line ends are written as escapes, which JSON reads back to the same texts.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - no markup is left in it


class _Words:
    """Texts that occur many times, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._place: dict[str, int] = {}

    def place(self, text: str) -> int:
        if text not in self._place:
            self._place[text] = len(self.texts)
            self.texts.append(visible(text))
        return self._place[text]


def _by_key(measured: Measured) -> dict[tuple[str, int], ScoredSample]:
    return {(record.id, record.draw): record for record in measured.samples}


def _packed(
    record: ScoredSample, replies: Sequence[ScoredSample | None], anchor: str, words: _Words
) -> list[Any]:
    """Id, split, task, category, instruction, draw, card; then status, value and words of each."""
    row: list[Any] = [
        visible(record.id),
        words.place(record.split),
        words.place(record.task.value),
        words.place(record.category or ""),
        words.place(record.instruction),
        record.draw,
        anchor,
    ]
    for reply in replies:
        if reply is None:
            row += [-1, None, -1]
        else:
            row += [words.place(reply.status), _value(reply), words.place(_words(reply))]
    return row


def _value(record: ScoredSample) -> float | None:
    metric = leading_of(record)
    return round(record.measures[metric.key] if metric else record.reward, 4)


def _words(record: ScoredSample) -> str:
    """The reasoning; of a completion without one its beginning."""
    return shortened(reasoning_of(record) or record.text.strip(), MOST_CHARACTERS)


def _row(record: ScoredSample, replies: Sequence[ScoredSample | None], anchor: str) -> Row:
    about = [record.split, record.category or "", f"draw {record.draw + 1}" if record.draw else ""]
    return Row(
        visible(record.instruction),
        visible(" · ".join(part for part in about if part)),
        visible(record.id),
        anchor,
        [None if reply is None else _reply(reply) for reply in replies],
    )


def _reply(record: ScoredSample) -> Reply:
    metric, value = leading_of(record), _value(record)
    told = f"{metric.short} {metric.show(value)}" if metric else f"reward {value:.2f}"
    status = "" if record.parsed else STATUS_PHRASES.get(record.status, record.status)
    return Reply(told, status, visible(_words(record)))


def _measures(measured: Measured) -> dict[str, Any]:
    """How the script writes a value of each task, and whether more is better."""
    found: dict[str, Any] = {}
    for record in measured.samples:
        if record.task.value not in found:
            metric = leading_of(record)
            found[record.task.value] = {
                "name": metric.short if metric else "reward",
                "share": metric is not None and metric.form is Form.SHARE,
                "digits": 1 if metric and metric.form is Form.SHARE else 3 if metric else 2,
                "sign": 1 if metric is None or metric.higher_is_better else -1,
            }
    return found


def _choices(
    measured: Measured, *, has_other: bool
) -> list[tuple[str, str, Sequence[tuple[str, str]]]]:
    tasks = dict.fromkeys(record.task for record in measured.samples)
    statuses = Counter(record.status for record in measured.samples)
    told = {"ok": "read as asked"} | dict(STATUS_PHRASES)
    orders = [("", "as in the data"), ("worst", "worst first"), ("best", "best first")]
    if has_other:
        orders += [("gain", "largest gain first"), ("loss", "largest loss first")]
    return [
        ("split", "Split", [("", "any"), *((each, each) for each in measured.result.splits)]),
        ("task", "Task", [("", "any"), *((each.value, TITLES[each]) for each in tasks)]),
        (
            "status",
            "Reading",
            [
                ("", "any"),
                *((s, f"{told.get(s, s)} ({n:,})") for s, n in statuses.most_common()),
            ],
        ),
        ("order", "Order", orders),
    ]
