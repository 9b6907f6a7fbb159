"""The figure of the doctor: reward against error, with constant answers as reference lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maniplvm.errors import UserError
from maniplvm.files import replacing, unwritable, writing
from maniplvm.optional import matplotlib
from maniplvm.rewards.doctor.diagnose import Diagnosis, ProbeResult
from maniplvm.rewards.doctor.diagnostics import LARGE_ERROR, SMALL_ERROR
from maniplvm.rewards.doctor.probes import LEVELS, ProbeKind

_FORMATS = (".png", ".svg", ".pdf")
_PANELS = (
    (ProbeKind.OFFSET, "offset of the whole target [% of the diagonal]"),
    (ProbeKind.NOISE, "noise of every point [% of the diagonal]"),
)
_FORMAT_COLOUR = "#d5d8dc"
_TERM_COLOURS = ("#2f6690", "#7fb7d6", "#81a684", "#e0c35c", "#c98bb9", "#8d99ae")
_INK, _GOOD, _BAD = "#22262b", "#2e7d32", "#b3261e"
_ROW_HEIGHT, _WIDTH = 3.5, 12.5
_LINE_HEIGHT = 0.075  # of small text, as a fraction of the height of a panel


def check_can_draw(path: Path) -> None:
    """Check the output file and matplotlib before the doctor runs.

    Raises:
        UserError: matplotlib is not installed, or the file extension is not supported.
    """
    matplotlib()
    if path.suffix.lower() not in _FORMATS:
        raise UserError(f"--out {path}: choose an extension from {', '.join(_FORMATS)}")


def draw_diagnoses(diagnoses: Sequence[Diagnosis], path: Path) -> None:
    """Draw one row for each diagnosis: the stacked terms against offset and noise.

    Args:
        diagnoses: At least one.
        path: The output file; its extension selects the format.

    Raises:
        UserError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    rows = len(diagnoses)
    figure = Figure(figsize=(_WIDTH, _ROW_HEIGHT * rows + 0.3), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.12, w_pad=0.06)  # type: ignore[union-attr]
    axes = figure.subplots(rows, len(_PANELS), sharey="row", squeeze=False)
    for row, diagnosis in zip(axes, diagnoses, strict=True):
        for axis, (kind, label) in zip(row, _PANELS, strict=True):
            _draw_panel(axis, diagnosis, kind, label)
        _draw_title(row[0], diagnosis)
        row[0].set_ylabel("mean reward")
        row[-1].legend(
            loc="upper left", bbox_to_anchor=(1.01, 1.04), fontsize=8, frameon=False, reverse=True
        )
        _label_references(row[-1], diagnosis)
    try:
        with writing(path), replacing(path) as unfinished:
            figure.savefig(unfinished, dpi=150, format=path.suffix.lower().lstrip("."))
    except OSError as error:
        raise unwritable(path, error) from error


def _draw_title(axis: Any, diagnosis: Diagnosis) -> None:
    issues = ", ".join(dict.fromkeys(str(issue.kind) for issue in diagnosis.issues))
    title = axis.set_title(
        f"{diagnosis.reward} · {diagnosis.task} (n = {diagnosis.samples}): {issues or 'passes'}",
        loc="left",
        fontsize=11,
        fontweight="bold",
        color=_GOOD if diagnosis.passed else _BAD,
    )
    title.set_in_layout(False)  # a long title may extend over the next panel


def _draw_panel(axis: Any, diagnosis: Diagnosis, kind: ProbeKind, label: str) -> None:
    probes = [*diagnosis.of(ProbeKind.TARGET), *diagnosis.of(kind)]
    places = [_place(probe) for probe in probes]
    names = list(probes[0].terms)
    others = iter(_TERM_COLOURS * len(names))
    colours = [_FORMAT_COLOUR if name == "format" else next(others) for name in names]
    layers = [[_drawable(probe.terms[name]) for probe in probes] for name in names]
    axis.axvspan(*(_position(level) for level in (SMALL_ERROR, LARGE_ERROR)), color="#f4ead2", lw=0)
    axis.stackplot(places, *layers, labels=names, colors=colours, edgecolor="white", lw=0.6)
    totals = [_drawable(probe.total) for probe in probes]
    axis.plot(places, totals, color=_INK, marker="o", ms=4, lw=1.6, label="total")
    for probe in _references(diagnosis):
        axis.axhline(_drawable(probe.total), color=_BAD, lw=0.9, ls=(0, (4, 3)), alpha=0.8)
    axis.text(
        _position(math.sqrt(SMALL_ERROR * LARGE_ERROR)),
        0.985,
        "typical model errors",
        transform=axis.get_xaxis_transform(),
        ha="center",
        va="top",
        fontsize=8,
        color="#8a6d1f",
    )
    axis.set_xticks(range(len(LEVELS) + 1), ["target", *(f"{level:g}" for level in LEVELS)])
    axis.set_xlim(0, len(LEVELS))
    axis.set_ylim(0, max(1e-3, *(_drawable(probe.total) for probe in diagnosis.probes)) * 1.12)
    axis.set_xlabel(label, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _references(diagnosis: Diagnosis) -> list[ProbeResult]:
    return [*diagnosis.of(ProbeKind.OTHER), *diagnosis.of(ProbeKind.CONSTANT)]


def _label_references(axis: Any, diagnosis: Diagnosis) -> None:
    """Label the reference lines at the right edge, below the legend, without overlaps."""
    low, high = axis.get_ylim()
    gap = (high - low) * _LINE_HEIGHT
    top = high - gap * (len(diagnosis.probes[0].terms) + 2)
    probes = sorted(_references(diagnosis), key=lambda probe: _drawable(probe.total))
    heights = list[float]()
    for probe in probes:
        floor = heights[-1] + gap if heights else low
        heights.append(max(_drawable(probe.total), floor))
    for i in range(len(heights) - 1, -1, -1):
        ceiling = top if i == len(heights) - 1 else heights[i + 1] - gap
        heights[i] = min(heights[i], ceiling)
    for probe, height in zip(probes, heights, strict=True):
        axis.annotate(
            f"{probe.name}  {probe.total:.3f}",
            xy=(1.0, _drawable(probe.total)),
            xytext=(1.04, height),
            xycoords=axis.get_yaxis_transform(),
            textcoords=axis.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=_BAD,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": _BAD,
                "lw": 0.6,
                "relpos": (0.0, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )


def _place(probe: ProbeResult) -> float:
    return 0.0 if probe.level is None else _position(probe.level)


def _position(level: float) -> float:
    """The x position of a level: levels are equidistant, with log interpolation between them."""
    places = range(1, len(LEVELS) + 1)
    return float(np.interp(math.log(level), [math.log(each) for each in LEVELS], places))


def _drawable(value: float) -> float:
    return value if math.isfinite(value) else 0.0
