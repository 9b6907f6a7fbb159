"""Import of a published format into the store, record by record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from maniplvm.data.manifest import SPLIT_NAME, UNKNOWN_LICENSE
from maniplvm.data.readers import find_format
from maniplvm.data.record_errors import BadRecord, ErrorCode
from maniplvm.data.writer import DatasetWriter
from maniplvm.errors import UserError
from maniplvm.geometry.simplify import simplify
from maniplvm.tasks.sample import Sample, TraceTarget

MAX_TRACE_POINTS = 1000
"""A trace with more points is simplified at import: it would slow every score of its batch."""
SIMPLIFIED_POINTS = 256
"""Largest number of points of a simplified trace."""
SIMPLIFIED = "simplified_from"
"""Key of the provenance of a simplified sample: the number of points before."""
SIMPLIFICATION_PX = 0.5
"""Largest distance of a dropped point from the simplified trace [px], if the points suffice."""


@dataclass
class ImportReport:
    """The result of an import.

    Attributes:
        written: Number of stored samples.
        skipped: Skipped records, in the order of the source.
        simplified: Number of stored samples whose trace had more than `MAX_TRACE_POINTS` points.
    """

    written: int = 0
    simplified: int = 0
    skipped: list[BadRecord] = field(default_factory=list[BadRecord])

    @property
    def error_counts(self) -> Counter[ErrorCode]:
        """How often each error code occurred among the skipped records."""
        return Counter(bad.code for bad in self.skipped)


def read_records(
    format_name: str,
    source: Path,
    *,
    images: Path | None = None,
    options: Mapping[str, Any] | None = None,
    on_bad: Callable[[BadRecord], None] | None = None,
    on_simplified: Callable[[], None] | None = None,
) -> Iterator[Sample]:
    """Stream the samples of a published format, each checked against its image.

    A trace of more than `MAX_TRACE_POINTS` points is simplified (see `simplified`).

    Args:
        format_name: One of `maniplvm.data.readers.FORMATS`.
        source: The file or folder to read.
        images: Folder that image names are relative to. None means the format's usual folder.
        options: The format's own options by name; see `Format.options`.
        on_bad: Called with each bad record. None means that the first one is an error.
        on_simplified: Called for each sample whose trace was simplified.

    Raises:
        UserError: an unknown format or option (at the call), a source that cannot be read, or a
            bad record.
    """
    items = find_format(format_name).samples(source, images, options or {})
    return _good(items, on_bad, on_simplified)


def import_dataset(
    format_name: str,
    source: Path,
    out_dir: Path,
    *,
    images: Path | None = None,
    options: Mapping[str, Any] | None = None,
    skip_bad: bool = False,
    split: str | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    name: str | None = None,
    license: str = UNKNOWN_LICENSE,
    progress: Callable[[ImportReport], None] | None = None,
) -> ImportReport:
    """Read a source and store its samples as a data set.

    Args:
        format_name: One of `maniplvm.data.readers.FORMATS`.
        source: The file or folder to read.
        out_dir: Folder of the data set.
        images: Folder that image names are relative to. None means the format's usual folder.
        options: The format's own options by name; see `Format.options`. They are stored in
            `dataset.json`, a file without its folder.
        skip_bad: Whether to skip and report bad records instead of stopping at the first.
        split: Split of all samples, instead of the source's own splits.
        limit: Greatest number of samples.
        overwrite: Whether to replace a data set in `out_dir`.
        name: Name of the data set. None means the format's name.
        license: Licence of the source's images and labels.
        progress: Called after every record.

    Raises:
        UserError: an unknown format or option, a bad record without `skip_bad`, a source without
            samples, or an error of `DatasetWriter`.
    """
    form = find_format(format_name)
    if split is not None and not SPLIT_NAME.fullmatch(split):
        raise UserError(f"{split!r} cannot name a split; use letters, digits, '_', '-' and '.'")
    if limit is not None and limit < 1:
        raise UserError(f"a limit of {limit} would import nothing; give at least 1")
    report = ImportReport()

    def advance() -> None:
        if progress is not None:
            progress(report)

    def skip(bad: BadRecord) -> None:
        report.skipped.append(bad)
        advance()

    def count_simplified() -> None:
        report.simplified += 1

    with DatasetWriter(
        out_dir,
        name=name or form.name,
        description=f"Imported from {form.description}.",
        license=license,
        homepage=form.homepage,
        extra=_stored_options(options or {}),
        overwrite=overwrite,
    ) as writer:
        samples = read_records(
            format_name,
            source,
            images=images,
            options=options,
            on_bad=skip if skip_bad else None,
            on_simplified=count_simplified,
        )
        for sample in islice(samples, limit):
            writer.add(sample if split is None else replace(sample, split=split))
            report.written += 1
            advance()
        if report.skipped and not report.written:
            raise UserError(f"{source}: every record is bad; the first: {report.skipped[0]}")
    return report


def simplified(sample: Sample) -> Sample:
    """The sample with a shorter trace, if its trace has more than `MAX_TRACE_POINTS` points.

    Ramer-Douglas-Peucker keeps points until no dropped one is farther than `SIMPLIFICATION_PX` from
    the trace, and at most `SIMPLIFIED_POINTS`. The provenance gets the key `simplified_from`: the
    number of points before.
    """
    target = sample.target
    if not isinstance(target, TraceTarget) or len(target.points) <= MAX_TRACE_POINTS:
        return sample
    kept = simplify(target.points, SIMPLIFICATION_PX, SIMPLIFIED_POINTS)
    return replace(
        sample,
        target=TraceTarget(target.points[kept]),
        provenance={**sample.provenance, SIMPLIFIED: len(target.points)},
    )


def _stored_options(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The options of an import as `dataset.json` stores them: paths without their folder."""
    if not options:
        return None
    plain = {
        name: value.name if isinstance(value, Path) else value for name, value in options.items()
    }
    return {"options": plain}


def _good(
    items: Iterable[Sample | BadRecord],
    on_bad: Callable[[BadRecord], None] | None,
    on_simplified: Callable[[], None] | None,
) -> Iterator[Sample]:
    for item in items:
        if isinstance(item, Sample):
            sample = simplified(item)
            if sample is not item and on_simplified is not None:
                on_simplified()
            yield sample
        elif on_bad is None:
            raise UserError(f"{item}; --skip-bad leaves such records out")
        else:
            on_bad(item)
