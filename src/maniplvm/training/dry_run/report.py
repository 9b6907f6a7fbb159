"""The report of a dry run in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from maniplvm.training.dry_run.check import DryRun
from maniplvm.training.dry_run.memory import GIB
from maniplvm.training.dry_run.token_lengths import LengthSummary

_GPU_SIZES = (12, 16, 24, 40, 48, 80, 141)
_USABLE = 0.93
"""Share of a GPU's nominal memory that a process can use; the driver takes the rest."""


def render_report(run: DryRun) -> Group:
    """The report, for rich to print."""
    return Group(*_parts(run))


def smallest_gpu(peak: int) -> str:
    """The smallest common GPU that holds a peak [bytes], in words."""
    for size in _GPU_SIZES:
        if peak <= size * 10**9 * _USABLE:
            return f"fits on a {size} GB GPU"
    return "fits on no common GPU"


def _parts(run: DryRun) -> Iterator[Any]:
    yield _line(f"[bold]{escape(run.name)}[/] · {run.method} · {escape(run.source)}")
    yield _facts(run)
    peak = run.memory.peak
    place = "on each GPU" if run.on_gpu else "of each process, without a GPU"
    fits = f", {smallest_gpu(peak)}" if run.on_gpu else ""
    yield _line(f"\n[bold]memory {place}: about {peak / GIB:.1f} GiB[/]{fits}")
    yield _memory(run)
    yield _line("[dim]an estimate from config.json; not measured on a GPU[/]\n")
    for warning in run.warnings:
        yield _line(f"[yellow]![/] {escape(warning)}")
    count = len(run.warnings)
    found = "1 warning" if count == 1 else f"{count} warnings" if count else "no problems found"
    yield _line(
        f"[bold]{found}[/]; the run could start; no weights were loaded, nothing was written"
    )


def _line(markup: str) -> Text:
    return Text.from_markup(markup)


def _facts(run: DryRun) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    samples = ", ".join(f"{count} {task}" for task, count in run.samples.items())
    mixed = f", and {run.mixed} an epoch from data.mix" if run.mixed else ""
    group = run.completions_per_step // run.prompts_per_step if run.prompts_per_step else 1
    completions = f" x {group} completions" if run.method == "grpo" else ""
    limited = "completion" if run.method == "grpo" else "sequence"
    limit = "none" if run.limits is None else f"{run.limits} tokens"
    rows = [
        ("parameters", run.parameters),
        ("launch", str(run.launch)),
        ("mixed precision", run.precision),
        ("batch per device", f"{run.rows} {'completions' if run.method == 'grpo' else 'samples'}"),
        ("samples", samples + mixed),
        ("batch of a step", f"{run.prompts_per_step} prompts{completions}"),
        ("steps", f"{run.steps} ({run.steps_per_epoch:.3g} an epoch)"),
        ("image tokens", str(LengthSummary.of(run.lengths.image))),
        ("prompt tokens", f"{LengthSummary.of(run.lengths.prompt)} (with the image)"),
        ("reference tokens", str(LengthSummary.of(run.lengths.target))),
        (f"{limited} limit", limit),
    ]
    rows += [
        (f"reward, {each.task}", f"{each.reward}: {'passes' if each.passed else 'issues found'}")
        for each in run.diagnoses
    ]
    rows += [("files" if place == 0 else "", text) for place, text in enumerate(run.writes)]
    for name, text in rows:
        table.add_row(name, escape(text))
    return table


def _memory(run: DryRun) -> Table:
    table = Table()
    table.add_column("phase")
    table.add_column("part")
    table.add_column("GiB", justify="right")
    groups = (
        ("always", run.memory.parts),
        ("update", run.memory.update),
        ("generation", run.memory.generation),
    )
    for title, parts in groups:
        for place, (name, size) in enumerate(parts.items()):
            table.add_row(title if place == 0 else "", name, f"{size / GIB:.2f}")
        table.add_section()
    return table
