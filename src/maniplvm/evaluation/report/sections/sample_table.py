"""Table of all samples: data for the search script, and the first rows as HTML."""

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
from maniplvm.evaluation.report.comparison import Comparison, named_evaluations
from maniplvm.evaluation.report.folders import ModelEvaluation
from maniplvm.evaluation.report.metrics import (
    STATUS_DESCRIPTIONS,
    MetricFormat,
)
from maniplvm.evaluation.report.sample_metrics import reasoning_of
from maniplvm.evaluation.report.sections.galleries import headline_metric
from maniplvm.evaluation.report.sections.sample_cards import truncate
from maniplvm.evaluation.report.sections.tables import TITLES
from maniplvm.text import visible

ROWS_PER_PAGE = 25
"""Number of rows on one page of the table."""
MAX_TEXT_CHARACTERS = 200
"""Longest reasoning, or completion without reasoning, in the table [characters]."""


@dataclass(frozen=True)
class SampleAnswer:
    """One answer in a row: score, parsing error or guess or empty, and reasoning."""

    score: str
    status: str
    text: str


@dataclass(frozen=True)
class Row:
    """One sample, for the page without scripts.

    Attributes:
        instruction: The instruction.
        about: Split, category, and number of the completion.
        id: The id of the sample.
        anchor: HTML id of the sample card, or empty.
        answers: One answer for each evaluation, or None.
    """

    instruction: str
    about: str
    id: str
    anchor: str
    answers: Sequence[SampleAnswer | None]


@dataclass(frozen=True)
class SampleTable:
    """The searchable table.

    Attributes:
        names: Names of the evaluations.
        total: Number of samples.
        rows: The rows of the first page.
        data: Data for the script, as JSON that cannot close its HTML element.
        filters: Name, label and options of each filter. An option has a value and a text.
        script: The code of the search.
        script_hash: Hash of the script for the Content-Security-Policy.
    """

    names: Sequence[str]
    total: int
    rows: Sequence[Row]
    data: Markup
    filters: Sequence[tuple[str, str, Sequence[tuple[str, str]]]]
    script: Markup
    script_hash: str


def sample_table(comparison: Comparison, anchors: Mapping[str, str]) -> SampleTable:
    """Build the table of all completions of all evaluations.

    Args:
        comparison: The evaluations.
        anchors: HTML ids of the sample cards by sample id.
    """
    evaluations = named_evaluations(comparison)
    records = [_by_key(evaluation) for _, _, evaluation in evaluations]
    strings = _StringTable()
    rows: list[list[Any]] = []
    first: list[Row] = []
    for record in comparison.after.samples:
        answers = [own.get((record.id, record.draw)) for own in records]
        rows.append(_encode_row(record, answers, anchors.get(record.id, ""), strings))
        if len(first) < ROWS_PER_PAGE:
            first.append(_row(record, answers, anchors.get(record.id, "")))
    names = [name for _, name, _ in evaluations]
    has_before = comparison.before is not None
    own = next(i for i, (series, _, _) in enumerate(evaluations) if series == "after")
    data = {
        "names": [visible(name) for name in names],
        "own": own,
        "other": 0 if has_before else 1 if len(names) > 1 else -1,
        "page": ROWS_PER_PAGE,
        "descriptions": dict(STATUS_DESCRIPTIONS),
        "measures": _measures(comparison.after),
        "strings": strings.strings,
        "rows": rows,
    }
    script = (Path(__file__).parents[1] / "templates" / "search.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return SampleTable(
        names,
        len(rows),
        first,
        embedded_json(data),
        _filters(comparison.after, has_other=len(names) > 1),
        Markup(script),  # noqa: S704 - our own file
        f"'sha256-{digest}'",
    )


def embedded_json(data: Any) -> Markup:
    """JSON that is safe inside of a script element.

    Characters that could close the element, or open a comment or a script, are escaped. So are the
    two Unicode line separators. A JSON parser restores all of them.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - no markup is left in it


class _StringTable:
    """List of distinct strings. Rows refer to a string by its index."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._index: dict[str, int] = {}

    def index(self, text: str) -> int:
        if text not in self._index:
            self._index[text] = len(self.strings)
            self.strings.append(visible(text))
        return self._index[text]


def _by_key(evaluation: ModelEvaluation) -> dict[tuple[str, int], ScoredSample]:
    return {(record.id, record.draw): record for record in evaluation.samples}


def _encode_row(
    record: ScoredSample, answers: Sequence[ScoredSample | None], anchor: str, strings: _StringTable
) -> list[Any]:
    """Id, split, task, category, instruction, draw, card; then status, value, text of each answer."""
    row: list[Any] = [
        visible(record.id),
        strings.index(record.split),
        strings.index(record.task.value),
        strings.index(record.category or ""),
        strings.index(record.instruction),
        record.draw,
        anchor,
    ]
    for answer in answers:
        if answer is None:
            row += [-1, None, -1]
        else:
            row += [
                strings.index(answer.status),
                _value(answer),
                strings.index(_answer_text(answer)),
            ]
    return row


def _value(record: ScoredSample) -> float | None:
    metric = headline_metric(record)
    return round(record.measures[metric.key] if metric else record.reward, 4)


def _answer_text(record: ScoredSample) -> str:
    """The reasoning, or else the completion, truncated."""
    return truncate(reasoning_of(record) or record.text.strip(), MAX_TEXT_CHARACTERS)


def _row(record: ScoredSample, answers: Sequence[ScoredSample | None], anchor: str) -> Row:
    about = [
        record.split,
        record.category or "",
        f"completion {record.draw + 1}" if record.draw else "",
    ]
    return Row(
        visible(record.instruction),
        visible(" · ".join(part for part in about if part)),
        visible(record.id),
        anchor,
        [None if answer is None else _sample_answer(answer) for answer in answers],
    )


def _sample_answer(record: ScoredSample) -> SampleAnswer:
    metric, value = headline_metric(record), _value(record)
    text = f"{metric.short_name} {metric.format_value(value)}" if metric else f"reward {value:.2f}"
    status = "" if record.status == "ok" else STATUS_DESCRIPTIONS.get(record.status, record.status)
    return SampleAnswer(text, status, visible(_answer_text(record)))


def _measures(evaluation: ModelEvaluation) -> dict[str, Any]:
    """Number format of each task for the script, and whether higher is better."""
    found: dict[str, Any] = {}
    for record in evaluation.samples:
        if record.task.value not in found:
            metric = headline_metric(record)
            found[record.task.value] = {
                "name": metric.short_name if metric else "reward",
                "percent": metric is not None and metric.format is MetricFormat.PERCENT,
                "digits": 1
                if metric and metric.format is MetricFormat.PERCENT
                else 3
                if metric
                else 2,
                "sign": 1 if metric is None or metric.higher_is_better else -1,
            }
    return found


def _filters(
    evaluation: ModelEvaluation, *, has_other: bool
) -> list[tuple[str, str, Sequence[tuple[str, str]]]]:
    tasks = dict.fromkeys(record.task for record in evaluation.samples)
    statuses = Counter(record.status for record in evaluation.samples)
    text = {"ok": "a clear answer"} | dict(STATUS_DESCRIPTIONS)
    orders = [("", "dataset order"), ("worst", "worst first"), ("best", "best first")]
    if has_other:
        orders += [("gain", "largest gain first"), ("loss", "largest loss first")]
    return [
        ("split", "Split", [("", "any"), *((each, each) for each in evaluation.result.splits)]),
        ("task", "Task", [("", "any"), *((each.value, TITLES[each]) for each in tasks)]),
        (
            "status",
            "Parsing",
            [
                ("", "any"),
                *((s, f"{text.get(s, s)} ({n:,})") for s, n in statuses.most_common()),
            ],
        ),
        ("order", "Order", orders),
    ]
