"""Hostile texts through the real writers: HTML, CSV, LaTeX, Markdown and the terminal."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.reliability.hostile import payloads
from benchmarks.reliability.hostile.browser import SEARCHES, Browser, browser_command
from benchmarks.reliability.hostile.forks import in_processes, run_command
from benchmarks.reliability.hostile.text_rules import (
    csv_fault,
    hidden_character,
    html_fault,
    latex_fault,
    markdown_fault,
)
from benchmarks.reliability.result import PartResult, Settings

from maniplvm.data import open_dataset, write_dataset
from maniplvm.evaluation.tables.formats.writers import WRITERS
from maniplvm.evaluation.tables.model import Cell, Heading, Page, Row, Table
from maniplvm.tasks import Sample

DATA = Path(__file__).resolve().parents[3] / "datasets" / "sim-small"
PAGES = 1500
REPORTS = 6
SAMPLES = 24
LIMIT_S = 180.0
MEMORY_MB = 1500
_RULES = {"csv": csv_fault, "tex": latex_fault, "md": markdown_fault, "html": html_fault}


def run(settings: Settings) -> PartResult:
    """Write tables, reports and terminal output of hostile texts, and check each."""
    result = PartResult()
    rng = random.Random(settings.seed)  # noqa: S311
    for number in range(40 if settings.quick else PAGES):
        page = _page(rng)
        for name, rule in _RULES.items():
            fault = rule(WRITERS[name](page, False), page)
            result.record(None if fault is None else f"{name} {number}: {fault}")
    import maniplvm.cli.app  # noqa: F401

    numbers = range(1 if settings.quick else REPORTS)
    work = partial(_commands, seed=settings.seed, folder=settings.folder)
    pages = list[Path]()
    for faults, page in in_processes(work, numbers, settings.jobs):
        pages.append(page)
        for fault in faults:
            result.record(fault)
    result.details |= {"tables": result.tried - len(numbers), "reports": len(pages)}
    if browser_command() is None:
        result.details["browser"] = "Chromium is not installed; no page was opened"
        return result
    with Browser(settings.folder) as browser:
        result.record(None if browser.detects_an_attack() else "the browser detects no attack")
        for page in pages:
            for fault in browser.faults(page, SEARCHES[1:2] if settings.quick else SEARCHES):
                result.record(fault)
        result.details["browser"] = browser.version
    return result


def _page(rng: random.Random) -> Page:
    text = partial(payloads.mixed, rng)

    def cell() -> Cell:
        return Cell(round(rng.uniform(-5, 5), 3), -6.0, 6.0, 9, 2, signed=bool(rng.getrandbits(1)))

    def table() -> Table:
        headings = tuple(Heading(text(), text(), text()) for _ in range(rng.randint(1, 3)))
        rows = tuple(Row(text(), tuple(cell() for _ in headings)) for _ in range(rng.randint(1, 3)))
        return Table(text(), headings, rows)

    tables = tuple(table() for _ in range(rng.randint(1, 2)))
    return Page(text(), tables, (text(),), (text(), text()))


def _commands(number: int, seed: int, folder: Path) -> tuple[list[str | None], Path]:
    """Import, evaluate, compare and report hostile texts; a fault or None for each command."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311
    home = folder / f"in<b>{number}\x1b[2J"
    home.mkdir()
    _write_data(home / "data", rng, number)
    faults = list[str | None]()

    def command(*words: object) -> None:
        outcome = run_command([str(word) for word in words], LIMIT_S, MEMORY_MB, folder)
        fault = hidden_character(outcome.out + outcome.err)
        if outcome.status != 0:
            fault = f"status {outcome.status}: {outcome.err[-300:]!r}"
        faults.append(None if fault is None else f"{words[0]} {number}: {fault}")

    for name in ("before", "after"):
        answers = home / f"{name}\x1b]0;x\x07<script>.jsonl"
        _write_answers(answers, home / "data", rng)
        evaluate = ("evaluate", "--predictions", answers, "--data", home / "data", "--no-execute")
        command(*evaluate, "--out", home / name)
    command("data", "info", home / "data")
    command("compare", home / "before", home / "after")
    command("score", answers, "--data", home / "data")
    page = folder / f"report-{number}.html"
    report = ("report", "--after", home / "after", "--before", home / "before", "--data")
    command(*report, home / "data", "--out", page)
    shutil.rmtree(home)
    return faults, page


def _write_data(folder: Path, rng: random.Random, number: int) -> None:
    samples = list[Sample]()
    for sample in list(open_dataset(DATA).samples("id_test"))[:SAMPLES]:
        place = len(samples) + number * SAMPLES
        own = payloads.ALL[place % len(payloads.ALL)]
        samples.append(
            replace(
                sample,
                id=f"{own} {place}",
                instruction=own + payloads.mixed(rng),
                category=rng.choice(payloads.HTML[:6]),
                part=payloads.mixed(rng) or "x",
                scene=f"scene {place}",
                provenance={},
            )
        )
    write_dataset(folder, samples, name=rng.choice(payloads.ALL))


def _write_answers(path: Path, data: Path, rng: random.Random) -> None:
    lines = list[str]()
    for sample in open_dataset(data).samples():
        text = payloads.mixed(rng)
        if rng.random() < 0.5:
            numbers = sample.target.points.tolist()
            flat = [*numbers[0], *numbers[-1]] if sample.task == "affordance" else numbers
            text = f"<think>{text}</think><answer>{flat}</answer>"
        lines.append(json.dumps({"id": sample.id, "text": text}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
