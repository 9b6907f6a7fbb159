"""`maniplvm data`: import published formats, and inspect stored data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from maniplvm.console import SafeConsole
from maniplvm.data import (
    Dataset,
    ImportReport,
    Statistics,
    contact_sheet,
    describe,
    import_dataset,
    open_dataset,
    save_image,
)
from maniplvm.data.importing import MAX_TRACE_POINTS, SIMPLIFICATION_PX, SIMPLIFIED_POINTS
from maniplvm.data.manifest import UNKNOWN_LICENSE
from maniplvm.data.readers import FORMATS
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample

app = typer.Typer(help="Import and inspect data sets.", no_args_is_help=True)

_MOST_ROWS = 15
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def _takers(option: str) -> str:
    """The formats that accept an option, for its help."""
    return ", ".join(form.name for form in FORMATS.values() if option in form.options)


@app.command(name="import")
def import_(
    format_name: Annotated[
        str, typer.Argument(metavar="FORMAT", help=f"One of: {', '.join(FORMATS)}.")
    ],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="File or folder to read.")],
    out: Annotated[Path, typer.Option(help="Folder of the new data set.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images; default: images/ next to the file."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip invalid records and list them.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="Split of all samples.")] = None,
    limit: Annotated[int | None, typer.Option(help="Maximum number of samples.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing data set in --out.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Name of the data set.")] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help=f"Camera calibration file ({_takers('calibration')})."),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(help=f"Name of the camera, if there are several ({_takers('camera')})."),
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(help=f"Coordinate frame of text answers ({_takers('frame')})."),
    ] = None,
    split_file: Annotated[
        str | None,
        typer.Option(help=f"Official split: category or novel ({_takers('split_file')})."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(help=f"Number of random images, of four affordances ({_takers('sample')})."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help=f"Seed of --sample ({_takers('seed')}).")] = None,
    every: Annotated[
        int | None,
        typer.Option(help=f"Keep every n-th frame of each tool ({_takers('every')})."),
    ] = None,
    task_name: Annotated[
        str | None,
        typer.Option(
            "--task", help=f"Task: affordance (boxes) or pointing (masks) ({_takers('task')})."
        ),
    ] = None,
    license_name: Annotated[
        str, typer.Option("--license", help="Licence of images and labels.")
    ] = UNKNOWN_LICENSE,
) -> None:
    """Convert a published data set, and check every record. Images are stored in the data set."""
    own = {
        "calibration": calibration,
        "camera": camera,
        "frame": frame,
        "split_file": split_file,
        "sample": sample,
        "seed": seed,
        "every": every,
        "task": task_name,
    }
    with _progress() as progress:
        task = progress.add_task(f"importing {format_name}", written=0, skipped=0)

        def on_record(report: ImportReport) -> None:
            progress.update(task, written=report.written, skipped=len(report.skipped))

        report = import_dataset(
            format_name,
            source,
            out,
            images=images,
            options={option: value for option, value in own.items() if value is not None},
            skip_bad=skip_bad,
            split=split,
            limit=limit,
            overwrite=overwrite,
            name=name,
            license=license_name,
            progress=on_record,
        )
    console = _console()
    console.print(f"wrote {_count(report.written, 'sample')} to {out}")
    if report.simplified:
        console.print(
            f"simplified {_count(report.simplified, 'trace')} of more than {MAX_TRACE_POINTS:,} "
            f"points to at most {SIMPLIFIED_POINTS} (tolerance {SIMPLIFICATION_PX:g} px)"
        )
    if report.skipped:
        console.print(f"skipped {_count(len(report.skipped), 'record')}:")
        for code, count in report.error_counts.most_common():
            console.print(f"  {count} x {code}")
        for bad in report.skipped:
            console.print(f"  {bad}", soft_wrap=True)


@app.command()
def info(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the data set.")],
) -> None:
    """Print the splits, tasks, image sizes, targets, categories and licence of a data set."""
    dataset = open_dataset(folder)
    found = describe(dataset)
    console = _console()
    about = dataset.info
    console.print(Text.assemble((about.name, "bold"), f": {_count(len(dataset), 'sample')}"))
    for label, text in (
        ("about", about.description),
        ("from", about.homepage),
        ("licence", about.license),
        ("written by", ", ".join(f"{name} {v}" for name, v in about.versions.items())),
    ):
        if text:
            console.print(f"{label}: {text}", soft_wrap=True)
    for table in (
        _task_table(dataset, found),
        _size_table(found),
        _spread_table(found),
        _category_table(found),
    ):
        console.print()
        console.print(table)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the data set.")],
    out: Annotated[Path, typer.Option(help="Output image (.png, .jpg or .webp).")],
    split: Annotated[str | None, typer.Option(help="Only this split; default: all.")] = None,
    task: Annotated[
        str | None, typer.Option(help="Only this task: affordance, trajectory or pointing.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of random samples.")] = 12,
    columns: Annotated[int, typer.Option(help="Number of images per row.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the random choice.")] = 0,
) -> None:
    """Draw random samples with their targets in one image."""
    if out.suffix.lower() not in _IMAGE_SUFFIXES:
        raise UserError(f"{out}: not an image name; use the suffix {', '.join(_IMAGE_SUFFIXES)}")
    if not out.parent.is_dir():
        raise UserError(f"{out}: the folder {out.parent} does not exist; create it")
    if count < 1 or seed < 0:
        raise UserError("--count must be at least 1, and --seed at least 0")
    chosen = _choose(open_dataset(folder), split, task, count, seed)
    save_image(contact_sheet(chosen, columns), out)
    _console().print(f"drew {_count(len(chosen), 'sample')} in {out}")


def _choose(
    dataset: Dataset, split: str | None, task: str | None, count: int, seed: int
) -> list[Sample]:
    ids = [sample.id for sample in dataset.samples(split, task, images=False)]
    draw = np.random.default_rng(seed).permutation(len(ids))[:count]
    return [dataset.sample(ids[position]) for position in sorted(draw.tolist())]


def _task_table(dataset: Dataset, found: Statistics) -> Table:
    tasks = sorted({task for _, task in found.tasks})
    table = Table("split", *(_right(task) for task in tasks), _right("total"))
    for split in dataset.splits:
        counts = [found.tasks[split, task] for task in tasks]
        table.add_row(split, *(f"{count:,}" for count in counts), f"{sum(counts):,}")
    return table


def _size_table(found: Statistics) -> Table:
    table = Table("image size [px]", _right("samples"))
    common = found.sizes.most_common(_MOST_ROWS)
    for (width, height), count in common:
        table.add_row(f"{width} x {height}", f"{count:,}")
    _add_rest(table, len(found.sizes) - len(common), found.sizes.total(), common)
    return table


def _spread_table(found: Statistics) -> Table:
    table = Table("target", *(_right(name) for name in ("min", "5 %", "median", "95 %", "max")))
    for name, spread in found.spreads().items():
        values = (spread.least, spread.low, spread.median, spread.high, spread.greatest)
        table.add_row(name, *(f"{value:.4g}" for value in values))
    return table


def _category_table(found: Statistics) -> Table:
    table = Table("category", _right("samples"))
    common = found.categories.most_common(_MOST_ROWS)
    for category, count in common:
        table.add_row("(none)" if category is None else category, f"{count:,}")
    _add_rest(table, len(found.categories) - len(common), found.categories.total(), common)
    return table


def _add_rest(table: Table, kinds: int, total: int, shown: Sequence[tuple[object, int]]) -> None:
    if kinds:
        table.add_row(f"{kinds} more", f"{total - sum(count for _, count in shown):,}")


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _console() -> Console:
    return SafeConsole(highlight=False)


def _progress() -> Progress:
    console = SafeConsole(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}: {task.fields[written]:,} written", markup=False),
        TextColumn("{task.fields[skipped]:,} skipped", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
