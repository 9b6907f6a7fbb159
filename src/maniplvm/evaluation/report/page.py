"""The HTML report: one self-contained page with all sections."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import maniplvm
from maniplvm import optional
from maniplvm.data import PREDICTION_STYLE, TARGET_STYLE, open_dataset
from maniplvm.errors import UserError
from maniplvm.evaluation.report.charts.differences import difference_panels
from maniplvm.evaluation.report.charts.error_maps import MIN_COUNT
from maniplvm.evaluation.report.charts.learning_curves import learning_curves
from maniplvm.evaluation.report.comparison import (
    Comparison,
    compare_evaluations,
    comparison_notes,
    named_evaluations,
)
from maniplvm.evaluation.report.folders import ModelEvaluation, read_model_evaluation, read_run
from maniplvm.evaluation.report.overlay import PageImages
from maniplvm.evaluation.report.sections.breakdowns import categories, failures
from maniplvm.evaluation.report.sections.error_analysis import analyze_errors
from maniplvm.evaluation.report.sections.galleries import (
    comparison_galleries,
    sample_pairs,
    select_galleries,
)
from maniplvm.evaluation.report.sections.reproduction import (
    commands,
    evaluation_provenance,
    run_provenance,
)
from maniplvm.evaluation.report.sections.sample_cards import CardRenderer, Gallery
from maniplvm.evaluation.report.sections.sample_table import sample_table
from maniplvm.evaluation.report.sections.summary import describe_split, main_split, summarize
from maniplvm.evaluation.report.sections.tables import TITLES, all_metric_tables, metric_tables
from maniplvm.tasks.sample import Task
from maniplvm.text import visible


@dataclass(frozen=True)
class Sources:
    """Input folders of a report.

    Attributes:
        after: Evaluation folder of the model of the page.
        data: The evaluated dataset.
        before: Evaluation folder of the model before training, or None.
        controls: Evaluation folders of other models.
        sampled_before: Evaluation folder of the model before training with sampled answers.
        sampled_after: Evaluation folder of the model of the page with sampled answers.
        runs: Run folders of the training.
    """

    after: Path
    data: Path
    before: Path | None = None
    controls: Sequence[Path] = ()
    sampled_before: Path | None = None
    sampled_after: Path | None = None
    runs: Sequence[Path] = ()


def build_report(sources: Sources, *, command: Sequence[str] = (), seed: int = 0) -> str:
    """Build the page.

    Args:
        sources: The input folders.
        command: Command that builds this page. The page shows it.
        seed: Seed of the random galleries.

    Returns:
        HTML with all styles, charts and images.

    Raises:
        UserError: Jinja2 is missing, a folder is missing or has another format, or the evaluations
            have different data.
    """
    environment = _environment()
    after = read_model_evaluation(sources.after)
    before = None if sources.before is None else read_model_evaluation(sources.before)
    controls = [read_model_evaluation(folder) for folder in sources.controls]
    runs = [read_run(folder) for folder in sources.runs]
    comparison = _comparison(before, after, controls)
    sampled = _sampled(sources)
    images = PageImages(open_dataset(sources.data))
    cards = CardRenderer(images)
    galleries, model_comparisons = (
        _galleries(comparison, cards, seed),
        _comparison_galleries(comparison, cards),
    )
    split = main_split(after, runs)
    rewards, others = learning_curves(runs)
    evaluations = [*([] if before is None else [before]), after, *controls]
    return environment.get_template("report.html").render(
        comparison=comparison,
        summary=summarize(after, comparison.changes, split),
        split=describe_split(split),
        series=[after.label, *(f"control: {control.label}" for control in controls)],
        difference_panels=_difference_panels(comparison),
        tables=metric_tables(comparison),
        all_tables=all_metric_tables(comparison),
        sampled=[] if sampled is None else metric_tables(sampled),
        sampled_comparison=sampled,
        runs=[str(run.facts.get("name", run.folder.name)) for run in runs],
        reward_curves=rewards,
        other_curves=others,
        galleries=galleries,
        model_comparisons=model_comparisons,
        task_analyses=analyze_errors(comparison),
        min_count=MIN_COUNT,
        evaluations=[(series, name) for series, name, _ in named_evaluations(comparison)],
        sample_table=sample_table(comparison, cards.anchors),
        page_images=images.symbols(),
        failures=failures(comparison),
        categories=categories(comparison),
        provenance=[*map(run_provenance, runs), *_evaluation_provenance(comparison, sampled)],
        commands=commands(runs, evaluations + _evaluations(sampled), command),
        truth=TARGET_STYLE,
        prediction=PREDICTION_STYLE,
        version=maniplvm.__version__,
        date=time.strftime("%Y-%m-%d"),
    )


def _environment() -> Any:
    jinja2 = optional.jinja2()
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _comparison(
    before: ModelEvaluation | None, after: ModelEvaluation, controls: Iterable[ModelEvaluation] = ()
) -> Comparison:
    others = list(controls)
    changes = {} if before is None else compare_evaluations(before, after)
    notes = [
        note
        for other in ([] if before is None else [before]) + others
        for note in comparison_notes(other, after)
    ]
    against = [(control, compare_evaluations(control, after)) for control in others]
    return Comparison(before, after, changes, against, notes)


def _sampled(sources: Sources) -> Comparison | None:
    if sources.sampled_after is None:
        if sources.sampled_before is not None:
            raise UserError("--sampled-before also needs --sampled-after")
        return None
    earlier = sources.sampled_before
    return _comparison(
        None if earlier is None else read_model_evaluation(earlier),
        read_model_evaluation(sources.sampled_after),
    )


def _difference_panels(comparison: Comparison) -> list[Any]:
    """Differences of all models to before. Without before, differences to the controls."""
    if comparison.before is None:
        return difference_panels(
            [(f"against {c.label}", changes) for c, changes in comparison.controls]
        )
    before = comparison.before
    controls = [(c.label, compare_evaluations(before, c)) for c, _ in comparison.controls]
    return difference_panels([(comparison.after.label, comparison.changes), *controls])


def _galleries(
    comparison: Comparison, cards: CardRenderer, seed: int
) -> list[tuple[str, list[Gallery]]]:
    found = [
        (
            TITLES[task],
            select_galleries(sample_pairs(comparison.before, comparison.after, task), seed=seed),
        )
        for task in Task
    ]
    return [(title, [cards.gallery(one) for one in own]) for title, own in found if own]


def _comparison_galleries(
    comparison: Comparison, cards: CardRenderer
) -> list[tuple[str, list[Gallery]]]:
    """Galleries that compare the model of the page with every other model, by task."""
    named = named_evaluations(comparison)
    own = next(name for series, name, _ in named if series == "after")
    titled: list[tuple[str, list[Gallery]]] = []
    for task in Task:
        for series, name, other in named:
            if series != "after":
                found = comparison_galleries(sample_pairs(other, comparison.after, task), name, own)
                galleries = [cards.gallery(each, (name, own)) for each in found]
                titled.append((f"{TITLES[task]}; {name} compared with {own}", galleries))
    return [(title, galleries) for title, galleries in titled if galleries]


def _evaluations(comparison: Comparison | None) -> list[ModelEvaluation]:
    if comparison is None:
        return []
    return [e for e in (comparison.before, comparison.after) if e is not None]


def _evaluation_provenance(comparison: Comparison, sampled: Comparison | None) -> list[Any]:
    named: list[tuple[str, ModelEvaluation | None]] = [
        ("before", comparison.before),
        ("after", comparison.after),
        *((f"control: {control.label}", control) for control, _ in comparison.controls),
    ]
    if sampled is not None:
        named += [("sampled, before", sampled.before), ("sampled, after", sampled.after)]
    return [evaluation_provenance(name, own) for name, own in named if own is not None]
