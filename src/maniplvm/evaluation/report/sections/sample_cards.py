"""Sample cards of a gallery: image, answers, scores and completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maniplvm.evaluation.records import Numbers, ScoredSample
from maniplvm.evaluation.report.metrics import GUESS_DESCRIPTIONS, STATUS_DESCRIPTIONS
from maniplvm.evaluation.report.overlay import PageImages, draw_overlay
from maniplvm.evaluation.report.sample_metrics import reasoning_of, scored_answer, target_bounds
from maniplvm.evaluation.report.sections.galleries import (
    GallerySelection,
    SamplePair,
    headline_metric,
)
from maniplvm.tasks.sample import Target
from maniplvm.text import visible

MAX_TEXT_CHARACTERS = 900
"""Longest completion on a card [characters]."""
MAX_REASONING_CHARACTERS = 240
"""Longest reasoning below an image [characters]."""


@dataclass(frozen=True)
class AnswerView:
    """One answer on its image.

    Attributes:
        model: Name of the model, or empty if there is only one.
        overlay: The image with target and answer as SVG.
        score: The main metric, formatted.
        details: Further scores, formatted.
        reasoning: The reasoning, truncated.
        text: The completion, truncated.
    """

    model: str
    overlay: Markup
    score: str
    details: str
    reasoning: str
    text: str


@dataclass(frozen=True)
class SampleCard:
    """One sample.

    Attributes:
        anchor: HTML id of the card, empty if the sample already has a card.
        instruction: The instruction.
        difference: Difference of the main metric between the answers, formatted.
        split: The split of the sample.
        category: The category of the sample.
        id: The id of the sample.
        views: The answer before, if it exists, and the answer after.
        is_open: Whether the completion is visible at once, because no answer was parsed.
    """

    anchor: str
    instruction: str
    difference: str
    split: str
    category: str
    id: str
    views: Sequence[AnswerView]
    is_open: bool


@dataclass(frozen=True)
class Gallery:
    """A gallery with its sample cards."""

    name: str
    description: str
    cards: Sequence[SampleCard]


class CardRenderer:
    """Builds sample cards, and records which samples have one.

    Attributes:
        anchors: HTML id of the first card of each sample, by sample id.
    """

    def __init__(self, images: PageImages) -> None:
        self._images = images
        self.anchors: dict[str, str] = {}

    def gallery(
        self, selection: GallerySelection, names: tuple[str, str] = ("before", "after")
    ) -> Gallery:
        """Build the cards of a gallery.

        Args:
            selection: The selected samples.
            names: Names of the two models of a pair.
        """
        cards = [self._card(pair, names) for pair in selection.pairs]
        return Gallery(selection.name, selection.description, cards)

    def _card(self, pair: SamplePair, names: tuple[str, str]) -> SampleCard:
        record = pair.after
        image, target = self._images.add(record)
        views = [_view(names[1] if pair.before else "", record, image, target)]
        if pair.before is not None:
            views.insert(0, _view(names[0], pair.before, image, target))
        anchor = "" if record.id in self.anchors else f"card-{len(self.anchors)}"
        self.anchors.setdefault(record.id, anchor)
        return SampleCard(
            anchor,
            visible(record.instruction),
            _difference(pair),
            record.split,
            visible(record.category or ""),
            visible(record.id),
            views,
            not record.parsed,
        )


def _difference(pair: SamplePair) -> str:
    metric = headline_metric(pair.after)
    if metric is None or pair.before is None or metric.key not in pair.before.measures:
        return ""
    difference = pair.after.measures[metric.key] - pair.before.measures[metric.key]
    return f"change of {metric.short_name}: {metric.format_difference(difference)}"


def _view(model: str, record: ScoredSample, image: str, target: Target) -> AnswerView:
    score, details = _scores(record)
    label = f"{record.instruction}: {model} {score}".replace("  ", " ")
    return AnswerView(
        model,
        draw_overlay(image, record.image_size, target, scored_answer(record), visible(label)),
        score,
        details,
        visible(truncate(reasoning_of(record), MAX_REASONING_CHARACTERS)),
        visible(truncate(record.text, MAX_TEXT_CHARACTERS)),
    )


def _scores(record: ScoredSample) -> tuple[str, str]:
    rest = [f"reward {record.reward:.2f}"]
    if not record.parsed:
        return STATUS_DESCRIPTIONS.get(record.status, record.status), rest[0]
    if record.guesses:
        rest.append(f"guessed: {'; '.join(GUESS_DESCRIPTIONS.get(g, g) for g in record.guesses)}")
    if _is_outside(scored_answer(record), record.image_size):
        rest.append("outside of the image")
    if record.execution is not None:
        success = record.execution.success
        rest.append(
            "task success in simulation"
            if success
            else f"failed: {record.execution.reason.replace('_', ' ')}"
        )
    metric = headline_metric(record)
    if metric is None:
        return rest[0], ", ".join(rest[1:])
    return f"{metric.short_name} {metric.format_value(record.measures[metric.key])}", ", ".join(
        rest
    )


def _is_outside(answer: Numbers | None, size: tuple[int, int]) -> bool:
    """Whether an answer is completely outside of the image."""
    if answer is None:
        return False
    x1, y1, x2, y2 = target_bounds(answer).tolist()
    return x2 < 0 or y2 < 0 or x1 > size[0] or y1 > size[1]


def truncate(text: str, limit: int) -> str:
    """Truncate a string and append the number of omitted characters."""
    return (
        text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"
    )
