"""The cards of a gallery: image, answers, scores, and what the model wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maniplvm.evaluation.records import Numbers, ScoredSample
from maniplvm.evaluation.report.html.tags import visible
from maniplvm.evaluation.report.metrics import STATUS_PHRASES
from maniplvm.evaluation.report.overlays.overlay import Album, draw_overlay
from maniplvm.evaluation.report.overlays.targets import bounds_of, shown_answer
from maniplvm.evaluation.report.sample_metrics import reasoning_of
from maniplvm.evaluation.report.sections.selection import Gallery, Pair, leading_of
from maniplvm.tasks.sample import Target

MOST_CHARACTERS = 900
"""Of a completion that are shown."""
MOST_REASONING = 240
"""Of a reasoning that are shown beside an image."""


@dataclass(frozen=True)
class View:
    """One answer over its image.

    Attributes:
        when: Whose answer it is, or empty when there is only one.
        overlay: The image.
        score: The leading measure, as written.
        details: Further scores, as written.
        reasoning: What the model thought, shortened.
        text: What the model wrote, shortened.
    """

    when: str
    overlay: Markup
    score: str
    details: str
    reasoning: str
    text: str


@dataclass(frozen=True)
class Card:
    """One sample.

    Attributes:
        anchor: Its name in the page; empty where the sample has a card already.
        instruction: What was asked.
        difference: How far the answers are apart in the leading measure, as written.
        split: The sample's.
        category: The sample's.
        id: The sample's.
        views: Before, where there is one, and after.
        is_open: Whether the text is shown at once: there is nothing else to see.
    """

    anchor: str
    instruction: str
    difference: str
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


class Cards:
    """Draws cards, and remembers which sample has one.

    Attributes:
        anchors: The name of each sample's first card, by the sample's id.
    """

    def __init__(self, album: Album) -> None:
        self._album = album
        self.anchors: dict[str, str] = {}

    def wall(self, gallery: Gallery, names: tuple[str, str] = ("before", "after")) -> Wall:
        """Draw a gallery.

        Args:
            gallery: Its samples.
            names: What the two answers of a pair are called.
        """
        cards = [self._card(pair, names) for pair in gallery.pairs]
        return Wall(gallery.name, gallery.phrase, cards)

    def _card(self, pair: Pair, names: tuple[str, str]) -> Card:
        record = pair.after
        image, target = self._album.look_up(record)
        views = [_view(names[1] if pair.before else "", record, image, target)]
        if pair.before is not None:
            views.insert(0, _view(names[0], pair.before, image, target))
        anchor = "" if record.id in self.anchors else f"card-{len(self.anchors)}"
        self.anchors.setdefault(record.id, anchor)
        return Card(
            anchor,
            visible(record.instruction),
            _difference(pair),
            record.split,
            visible(record.category or ""),
            visible(record.id),
            views,
            not record.parsed,
        )


def _difference(pair: Pair) -> str:
    metric = leading_of(pair.after)
    if metric is None or pair.before is None or metric.key not in pair.before.measures:
        return ""
    apart = pair.after.measures[metric.key] - pair.before.measures[metric.key]
    return f"{metric.short} {metric.show_difference(apart)}"


def _view(when: str, record: ScoredSample, image: str, target: Target) -> View:
    score, details = _scores(record)
    label = f"{record.instruction}: {when} {score}".replace("  ", " ")
    return View(
        when,
        draw_overlay(image, record.image_size, target, shown_answer(record), visible(label)),
        score,
        details,
        visible(shortened(reasoning_of(record), MOST_REASONING)),
        visible(shortened(record.text, MOST_CHARACTERS)),
    )


def _scores(record: ScoredSample) -> tuple[str, str]:
    rest = [f"reward {record.reward:.2f}"]
    if not record.parsed:
        return STATUS_PHRASES.get(record.status, record.status), rest[0]
    if _is_outside(shown_answer(record), record.image_size):
        rest.append("outside of the image")
    if record.execution is not None:
        done = record.execution.success
        rest.append(
            "done in physics" if done else f"failed: {record.execution.reason.replace('_', ' ')}"
        )
    metric = leading_of(record)
    if metric is None:
        return rest[0], ", ".join(rest[1:])
    return f"{metric.short} {metric.show(record.measures[metric.key])}", ", ".join(rest)


def _is_outside(answer: Numbers | None, size: tuple[int, int]) -> bool:
    """Whether nothing of an answer lies on the image, so that none can be seen."""
    if answer is None:
        return False
    x1, y1, x2, y2 = bounds_of(answer).tolist()
    return x2 < 0 or y2 < 0 or x1 > size[0] or y1 > size[1]


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, with a word on the rest."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"
