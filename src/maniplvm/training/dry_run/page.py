"""A dry run as a page in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from maniplvm.training.dry_run.memory import GIB
from maniplvm.training.dry_run.token_lengths import Spread

if TYPE_CHECKING:
    from maniplvm.training.dry_run.check import DryRun

_CARDS = (12, 16, 24, 40, 48, 80, 141)
_ROOM = 0.93
"""Share of a card that a process can use: marketing gigabytes, driver, and some air."""


def page(run: DryRun) -> Iterator[Any]:
    """The parts of the page, for rich to print."""
    yield _line(f"[bold]{escape(run.name)}[/] · {run.method} · {escape(run.source)}")
    yield _facts(run)
    peak = run.memory.peak
    place = "on each GPU" if run.on_gpu else "of each process, without a GPU"
    fits = f", {fitting_card(peak)}" if run.on_gpu else ""
    yield _line(f"\n[bold]memory {place}: about {peak / GIB:.1f} GiB[/]{fits}")
    yield _memory(run)
    yield _line("[dim]an estimate from config.json; never measured on a GPU[/]\n")
    for warning in run.warnings:
        yield _line(f"[yellow]![/] {escape(warning)}")
    verdict = "it would start, but look at these" if run.warnings else "nothing speaks against it"
    yield _line(f"[bold]{verdict}[/]; no weights were loaded, nothing was written")


def fitting_card(peak: int) -> str:
    """The smallest usual card that holds a peak [bytes], in words."""
    for size in _CARDS:
        if peak <= size * 10**9 * _ROOM:
            return f"fits a card of {size} GB"
    return "fits no usual card"


def _line(markup: str) -> Text:
    return Text.from_markup(markup)


def _facts(run: DryRun) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    samples = ", ".join(f"{count} {task}" for task, count in run.samples.items())
    mixed = f", {run.mixed} more an epoch mixed in" if run.mixed else ""
    group = run.completions_per_step // run.prompts_per_step if run.prompts_per_step else 1
    drawn = f" x {group} completions" if run.method == "grpo" else ""
    longest = "completion" if run.method == "grpo" else "sequence"
    limit = "none" if run.limits is None else f"{run.limits} tokens"
    rows = [
        ("parameters", run.parameters),
        ("launch", str(run.launch)),
        ("samples", samples + mixed),
        ("a step", f"{run.prompts_per_step} prompts{drawn}"),
        ("steps", f"{run.steps} ({run.steps_per_epoch:.3g} an epoch)"),
        ("tokens of an image", str(Spread.of(run.lengths.image))),
        ("of a prompt with it", str(Spread.of(run.lengths.prompt))),
        ("of a right answer", str(Spread.of(run.lengths.target))),
        (f"longest {longest}", limit),
    ]
    rows += [
        (f"reward on {each.task}", f"{each.reward}: {'healthy' if each.healthy else 'unfit'}")
        for each in run.diagnoses
    ]
    rows += [("writes" if place == 0 else "", text) for place, text in enumerate(run.writes)]
    for name, text in rows:
        table.add_row(name, escape(text))
    return table


def _memory(run: DryRun) -> Table:
    table = Table()
    table.add_column("")
    table.add_column("part")
    table.add_column("GiB", justify="right")
    groups = (
        ("held", run.memory.parts),
        ("while learning", run.memory.update),
        ("while generating", run.memory.generation),
    )
    for title, parts in groups:
        for place, (name, size) in enumerate(parts.items()):
            table.add_row(title if place == 0 else "", name, f"{size / GIB:.2f}")
        table.add_section()
    return table
