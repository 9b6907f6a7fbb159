"""The cards of a gallery: picture, answers, scores, and what the model wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.report.gallery import Gallery, Pair
from maniplvm.evaluation.report.marks import visible
from maniplvm.evaluation.report.metrics import LEADING, STATUS_PHRASES, metric_of
from maniplvm.evaluation.report.overlay import Album, draw_overlay
from maniplvm.evaluation.scored import ScoredSample
from maniplvm.tasks import parse_answer

MOST_CHARACTERS = 900
"""Of a completion that are shown."""


@dataclass(frozen=True)
class View:
    """One answer over its picture.

    Attributes:
        when: `before`, `after`, or empty when there is only one.
        overlay: The picture.
        score: The leading measure, as written.
        details: Further scores, as written.
        text: What the model wrote, shortened.
    """

    when: str
    overlay: Markup
    score: str
    details: str
    text: str


@dataclass(frozen=True)
class Card:
    """One sample.

    Attributes:
        instruction: What was asked.
        reasoning: What the model thought, after.
        split: The sample's.
        category: The sample's.
        id: The sample's.
        views: Before, where there is one, and after.
        is_open: Whether the text is shown at once: there is nothing else to see.
    """

    instruction: str
    reasoning: str
    split: str
    category: str
    id: str
    views: Sequence[View]
    is_open: bool


@dataclass(frozen=True)
class Wall:
    """A gallery with its cards."""

    name: str
    phrase: str
    cards: Sequence[Card]


def wall(gallery: Gallery, album: Album) -> Wall:
    """Draw a gallery."""
    return Wall(gallery.name, gallery.phrase, [_card(pair, album) for pair in gallery.pairs])


def _card(pair: Pair, album: Album) -> Card:
    record, picture = pair.after, album.name(pair.after)
    views = [_view("after" if pair.before else "", record, picture)]
    if pair.before is not None:
        views.insert(0, _view("before", pair.before, picture))
    reasoning = parse_answer(record.text, record.task).reasoning
    return Card(
        visible(record.instruction),
        visible(_shortened(reasoning or "", 240)),
        record.split,
        visible(record.category or ""),
        visible(record.id),
        views,
        not record.parsed,
    )


def _view(when: str, record: ScoredSample, picture: str) -> View:
    score, details = _scores(record)
    label = f"{record.instruction}: {when} {score}".replace("  ", " ")
    overlay = draw_overlay(picture, record.image_size, record.target, record.answer, visible(label))
    return View(when, overlay, score, details, visible(_shortened(record.text, MOST_CHARACTERS)))


def _scores(record: ScoredSample) -> tuple[str, str]:
    rest = [f"reward {record.reward:.2f}"]
    if not record.parsed:
        return STATUS_PHRASES.get(record.status, record.status), rest[0]
    if _is_outside(record):
        rest.append("outside of the picture")
    if record.execution is not None:
        done = record.execution.success
        rest.append(
            "done in physics" if done else f"failed: {record.execution.reason.replace('_', ' ')}"
        )
    for key in LEADING[record.task]:
        if key in record.measures:
            metric = metric_of(record.task, key)
            return f"{metric.short} {metric.show(record.measures[key])}", ", ".join(rest)
    return rest[0], ", ".join(rest[1:])


def _is_outside(record: ScoredSample) -> bool:
    """Whether nothing of an answer lies on the picture, so that none can be seen."""
    points = np.asarray(record.answer, dtype=np.float64).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    return bool((high < 0).any() or (low > np.array(record.image_size)).any())


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"
