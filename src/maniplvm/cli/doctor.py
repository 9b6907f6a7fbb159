"""`maniplvm doctor`: checks reward functions on a data set before training."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import maniplvm
from maniplvm.cli.output import check_output, write_output
from maniplvm.console import SafeConsole
from maniplvm.errors import UserError
from maniplvm.geometry.frames import FRAMES, resolve_frame
from maniplvm.rewards import PRESETS, resolve_preset
from maniplvm.rewards.doctor.diagnose import Diagnosis, ProbeResult, diagnose
from maniplvm.rewards.doctor.probes import ProbeKind
from maniplvm.tasks import Sample, Task


def doctor(
    data: Annotated[Path, typer.Option(help="Folder of the data set to train on.")],
    preset: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Reward preset: {', '.join(PRESETS)}, or a YAML file; repeatable. Default: paper."
        ),
    ] = None,
    task: Annotated[Task | None, typer.Option(help="Check only this task. Default: all.")] = None,
    split: Annotated[str | None, typer.Option(help="Use only this split. Default: all.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Maximum number of random samples per task.")
    ] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random samples.")] = 0,
    frame: Annotated[
        str, typer.Option(help=f"Coordinate frame of the answers: {', '.join(FRAMES)}.")
    ] = "pixels",
    out: Annotated[
        Path | None, typer.Option(help="Output figure of the rewards (PNG, SVG or PDF).")
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Output JSON file with the diagnosis.")
    ] = None,
) -> None:
    """Check reward presets on a data set before training. Exit status 1: issues found."""
    check_output(out, json_out)
    if out is not None:
        from maniplvm.cli.doctor_figure import check_can_draw

        check_can_draw(out)
    presets = [resolve_preset(name) for name in preset or ["paper"]]
    samples = _random_samples(data, split, task, limit, seed)
    _check_frame(frame, samples)
    console = SafeConsole()
    if tuple(samples) == (Task.POINTING,):
        raise UserError(
            "the doctor checks rewards for boxes and traces; these are pointing samples; "
            "choose another data set or --task"
        )
    diagnoses = list[Diagnosis]()
    for of_task, group in samples.items():
        if of_task is Task.POINTING:
            console.print(
                "the doctor checks rewards for boxes and traces: pointing samples skipped"
            )
            continue
        for reward in presets:
            if not any(name != "format" for name in reward.terms(of_task)):
                console.print(f"preset {reward.name} has no terms for {of_task}: skipped")
                continue
            with console.status(Text(f"checking {reward.name} on {len(group)} {of_task} samples")):
                diagnosis = diagnose(group, reward, np.random.default_rng(seed), frame)
            diagnoses.append(diagnosis)
            _print_table(console, diagnosis)
            _print_issues(console, diagnosis)
    if not diagnoses:
        raise UserError(f"nothing to check: no preset has terms for {', '.join(samples)}")
    if out is not None:
        from maniplvm.cli.doctor_figure import draw_diagnoses

        draw_diagnoses(diagnoses, out)
    passed = all(diagnosis.passed for diagnosis in diagnoses)
    if json_out is not None:
        report = {
            "command": ["maniplvm", *sys.argv[1:]],
            "versions": {"maniplvm": maniplvm.__version__, "numpy": np.__version__},
            "seed": seed,
            "passed": passed,
            "diagnoses": [diagnosis.to_json() for diagnosis in diagnoses],
        }
        write_output(json_out, json.dumps(report, indent=2, allow_nan=False) + "\n")
    if not passed:
        raise typer.Exit(1)


def _random_samples(
    data: Path, split: str | None, task: Task | None, limit: int, seed: int
) -> dict[Task, list[Sample]]:
    """Up to `limit` random samples of each task in the data set."""
    from maniplvm.data import open_dataset

    found: dict[Task, list[Sample]] = {}
    for sample in open_dataset(data).samples(split, task=task, images=False):
        found.setdefault(sample.task, []).append(sample)
    if not found:
        wanted = " ".join(str(word) for word in (split, task) if word is not None)
        raise UserError(f"{data}: contains no {wanted + ' ' if wanted else ''}samples")
    rng = np.random.default_rng(seed)
    return {
        of_task: [found[of_task][i] for i in rng.permutation(len(found[of_task]))[:limit].tolist()]
        for of_task in Task
        if of_task in found
    }


def _check_frame(frame: str, samples: Mapping[Task, Sequence[Sample]]) -> None:
    for sample in (sample for group in samples.values() for sample in group):
        try:
            resolve_frame(frame, sample.image_size)
        except ValueError as error:
            raise UserError(f"--frame {frame}: sample {sample.id}: {error}") from error


def _print_table(console: Console, diagnosis: Diagnosis) -> None:
    names = list(diagnosis.probes[0].terms)
    table = Table(
        title=f"{diagnosis.reward} · {diagnosis.task} · {diagnosis.samples} samples · "
        f"frame {diagnosis.frame}",
        title_justify="left",
        title_style="bold",
        caption="mean rewards; offset and noise in % of the diagonal",
        caption_justify="left",
    )
    table.add_column("answer", no_wrap=True)
    for name in ("total", *names):
        table.add_column(name, justify="right")
    sections = (
        (ProbeKind.TARGET, ProbeKind.OFFSET),
        (ProbeKind.NOISE,),
        (ProbeKind.OTHER, ProbeKind.CONSTANT),
    )
    for kinds in sections:
        for probe in (probe for kind in kinds for probe in diagnosis.of(kind)):
            label = probe.name
            if probe.samples < diagnosis.samples and probe.kind is ProbeKind.OFFSET:
                label += f" ({probe.samples} samples)"
            table.add_row(*_cells(label, probe))
        table.add_section()
    adversarial = diagnosis.of(ProbeKind.ADVERSARIAL)
    highest = max(adversarial, key=lambda probe: probe.total - probe.terms.get("format", 0.0))
    table.add_row(*_cells(f"adversarial (max of {len(adversarial)})", highest))
    console.print(table)


def _cells(label: str, probe: ProbeResult) -> list[str | Text]:
    values = [f"{value:.3f}" for value in probe.terms.values()]
    return [label, Text(f"{probe.total:.3f}", style="bold"), *values]


def _print_issues(console: Console, diagnosis: Diagnosis) -> None:
    passes = ("passes", "bold green") if diagnosis.passed else ("issues found", "bold red")
    console.print(Text.assemble(passes, f": {diagnosis.reward} on {diagnosis.task}"))
    for issue in diagnosis.issues:
        console.print(Text.assemble("  ", ("✗", "red"), f" {issue.message}"), soft_wrap=True)
    for note in diagnosis.notes:
        console.print(Text(f"  not checked: {note}", style="dim"), soft_wrap=True)
    console.print()
