"""The page: everything measured, put into one self-contained HTML file."""

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
from maniplvm.evaluation.report.charts.curves import learning_curves
from maniplvm.evaluation.report.charts.maps import FEW
from maniplvm.evaluation.report.charts.panels import panels
from maniplvm.evaluation.report.folders import Measured, read_measured, read_run
from maniplvm.evaluation.report.overlays.overlay import Album
from maniplvm.evaluation.report.sections.breakdowns import categories, failures
from maniplvm.evaluation.report.sections.changes import changes_between, comparability
from maniplvm.evaluation.report.sections.galleries import Cards, Wall
from maniplvm.evaluation.report.sections.headline import describe_split, focus_split, headline
from maniplvm.evaluation.report.sections.patterns import named_evaluations, patterns
from maniplvm.evaluation.report.sections.reproduction import (
    commands,
    origin_of_evaluation,
    origin_of_run,
)
from maniplvm.evaluation.report.sections.sample_table import listing
from maniplvm.evaluation.report.sections.selection import duels, galleries, pairs_of
from maniplvm.evaluation.report.sections.tables import TITLES, Compared, everything, tables
from maniplvm.tasks.sample import Task


@dataclass(frozen=True)
class Sources:
    """What a report is made of.

    Attributes:
        after: Folder of the evaluation that the page is about.
        data: The data set that was evaluated.
        before: Folder of the evaluation to compare with, or None.
        controls: Folders of other models' evaluations.
        sampled_before: As `before`, with sampled answers.
        sampled_after: As `after`, with sampled answers.
        runs: Folders of the training runs.
    """

    after: Path
    data: Path
    before: Path | None = None
    controls: Sequence[Path] = ()
    sampled_before: Path | None = None
    sampled_after: Path | None = None
    runs: Sequence[Path] = ()


def build_report(sources: Sources, *, command: Sequence[str] = (), seed: int = 0) -> str:
    """Make the page.

    Args:
        sources: The folders.
        command: What makes this page again, for the record.
        seed: Of the random draws that the galleries show.

    Returns:
        HTML that needs nothing else: styles, charts and images are inside.

    Raises:
        UserError: Jinja2 is missing, a folder is missing or of another format, or the evaluations
            are of different data.
    """
    environment = _environment()
    after = read_measured(sources.after)
    before = None if sources.before is None else read_measured(sources.before)
    controls = [read_measured(folder) for folder in sources.controls]
    runs = [read_run(folder) for folder in sources.runs]
    compared = _compared(before, after, controls)
    sampled = _sampled(sources)
    album = Album(open_dataset(sources.data))
    cards = Cards(album)
    walls, contests = _walls(compared, cards, seed), _contests(compared, cards)
    focus = focus_split(after, runs)
    rewards, others = learning_curves(runs)
    evaluations = [*([] if before is None else [before]), after, *controls]
    return environment.get_template("report.html").render(
        compared=compared,
        headline=headline(after, compared.changes, focus),
        focus=describe_split(focus),
        series=[after.label, *(f"control: {control.label}" for control in controls)],
        panels=_panels(compared),
        tables=tables(compared),
        everything=everything(compared),
        sampled=[] if sampled is None else tables(sampled),
        sampled_of=sampled,
        runs=[str(run.facts.get("name", run.folder.name)) for run in runs],
        reward_curves=rewards,
        other_curves=others,
        walls=walls,
        contests=contests,
        patterns=patterns(compared),
        few=FEW,
        evaluations=[(series, name) for series, name, _ in named_evaluations(compared)],
        listing=listing(compared, cards.anchors),
        album=album.symbols(),
        failures=failures(compared),
        categories=categories(compared),
        origins=[*map(origin_of_run, runs), *_origins(compared, sampled)],
        commands=commands(runs, evaluations + _evaluations(sampled), command),
        truth=TARGET_STYLE,
        prediction=PREDICTION_STYLE,
        version=maniplvm.__version__,
        made=time.strftime("%Y-%m-%d"),
    )


def _environment() -> Any:
    jinja2 = optional.jinja2()
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _compared(
    before: Measured | None, after: Measured, controls: Iterable[Measured] = ()
) -> Compared:
    others = list(controls)
    changes = {} if before is None else changes_between(before, after)
    notes = [
        note
        for other in ([] if before is None else [before]) + others
        for note in comparability(other, after)
    ]
    against = [(control, changes_between(control, after)) for control in others]
    return Compared(before, after, changes, against, notes)


def _sampled(sources: Sources) -> Compared | None:
    if sources.sampled_after is None:
        if sources.sampled_before is not None:
            raise UserError("--sampled-before needs --sampled-after beside it")
        return None
    earlier = sources.sampled_before
    return _compared(
        None if earlier is None else read_measured(earlier), read_measured(sources.sampled_after)
    )


def _panels(compared: Compared) -> list[Any]:
    """What changed since before, for every model; without before, what sets it off the controls."""
    if compared.before is None:
        return panels([(f"against {c.label}", changes) for c, changes in compared.controls])
    before = compared.before
    controls = [(c.label, changes_between(before, c)) for c, _ in compared.controls]
    return panels([(compared.after.label, compared.changes), *controls])


def _walls(compared: Compared, cards: Cards, seed: int) -> list[tuple[str, list[Wall]]]:
    found = [
        (TITLES[task], galleries(pairs_of(compared.before, compared.after, task), seed=seed))
        for task in Task
    ]
    return [(title, [cards.wall(one) for one in own]) for title, own in found if own]


def _contests(compared: Compared, cards: Cards) -> list[tuple[str, list[Wall]]]:
    """The model in question beside every other one, task by task."""
    named = named_evaluations(compared)
    own = next(name for series, name, _ in named if series == "after")
    made: list[tuple[str, list[Wall]]] = []
    for task in Task:
        for series, name, other in named:
            if series != "after":
                found = duels(pairs_of(other, compared.after, task), name, own)
                walls = [cards.wall(each, (name, own)) for each in found]
                made.append((f"{TITLES[task]}; {name} beside {own}", walls))
    return [(title, walls) for title, walls in made if walls]


def _evaluations(compared: Compared | None) -> list[Measured]:
    if compared is None:
        return []
    return [e for e in (compared.before, compared.after) if e is not None]


def _origins(compared: Compared, sampled: Compared | None) -> list[Any]:
    named: list[tuple[str, Measured | None]] = [
        ("before", compared.before),
        ("after", compared.after),
        *((f"control: {control.label}", control) for control, _ in compared.controls),
    ]
    if sampled is not None:
        named += [("sampled, before", sampled.before), ("sampled, after", sampled.after)]
    return [origin_of_evaluation(name, own) for name, own in named if own is not None]
