"""The five figures of docs/evidence.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl

from maniplvm.experiments.pages.evidence_values import GREEDY, HEADLINES, PERCENT, Tier, fewer_seeds

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

COLOURS = {"grpo": "#0b6e4f", "sft": "#b5530b", None: "#666666"}


def draw_levels(found: dict[str, Tier]) -> Any:
    """Every arm of the main tier on every split, with intervals."""
    arms = found["main"]["arms"]
    names = list(arms)[::-1]
    figure, axes = plt.subplots(3, 4, figsize=(13, 9), sharey=True, layout="constrained")
    for row, (task, measure, heading) in zip(axes, HEADLINES, strict=True):
        for axis, split in zip(row, GREEDY, strict=True):
            for place, name in enumerate(names):
                own = arms[name]["splits"].get(split, {}).get(task, {}).get(measure)
                if own is not None:
                    dot(axis, in_units(measure, own), place, COLOURS[arms[name]["method"]])
            axis.set_visible(axis.has_data())
            axis.set_yticks(range(len(names)), names)
            axis.set_ylim(-0.6, len(names) - 0.4)
            axis.set_title(split)
            axis.set_xlabel(heading)
    return figure


def draw_fractions(found: dict[str, Tier]) -> Any:
    """Results as a function of the fraction of training scenes, for GRPO and SFT."""
    arms = found["main"]["arms"]
    base = arms[found["main"]["base"]]
    places = [("adapt_test", *headline) for headline in HEADLINES]
    places.append(("ood_tasks", *HEADLINES[0]))
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    for axis, (split, task, measure, heading) in zip(axes, places, strict=True):
        for kind in ("grpo", "sft"):
            shares = [name for name in arms if re.fullmatch(rf"{kind}-\d+", name)]
            own = sorted((arms[name] for name in shares), key=lambda arm: arm["fraction"])
            values = [in_units(measure, arm["splits"][split][task][measure]) for arm in own]
            axis.errorbar(
                [100 * arm["fraction"] for arm in own],
                [value["mean"] for value in values],
                yerr=[
                    [value["mean"] - value["low"] for value in values],
                    [value["high"] - value["mean"] for value in values],
                ],
                color=COLOURS[kind],
                marker="o",
                capsize=3,
                label=kind.upper(),
            )
        start = in_units(measure, base["splits"][split][task][measure])
        axis.axhline(start["mean"], color="#999999", ls=":")
        axis.set(title=split, xlabel="share of the scenes, %", ylabel=heading)
    axes[0].legend(frameon=False)
    return figure


def draw_physics(found: dict[str, Tier]) -> Any:
    """Learning curves with rewards from physics, per minute and per sample, one line per seed.

    The curves are running means. A term is shown as a fraction of its largest value.
    """
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharey="row", layout="constrained")
    terms = ("reward/trajectory/solved", "reward/affordance/touch")
    for row, term in zip(axes, terms, strict=True):
        for axis, unit, scale in zip(row, ("seconds", "samples"), (60, 1), strict=True):
            for number, (name, arm) in enumerate(found["physics"]["arms"].items()):
                weight = arm["set"]["rewards.physics"][term.rpartition("/")[2]]
                for curve in arm.get("curves", []):
                    points = smoothed([point for point in curve["points"] if term in point], term)
                    label = name if curve is arm["curves"][0] else None
                    axis.plot(
                        [point[unit] / scale for point in points],
                        [point[term] / weight for point in points],
                        color=f"C{number}",
                        alpha=0.7,
                        label=label,
                    )
            axis.set_xlabel({"seconds": "minutes", "samples": "prompts"}[unit])
        row[0].set_ylabel(f"{term.removeprefix('reward/')}, share")
    axes[0][0].legend(frameon=False)
    return figure


def draw_changes(found: dict[str, Tier]) -> Any:
    """The effect of each change of reward or algorithm, compared with the arm `dense`."""
    pairs = [
        (
            pair,
            pair["after"] + fewer_seeds(found[tier], found[tier]["arms"][pair["after"]]["seeds"]),
        )
        for tier in ("rewards", "algorithms", "physics")
        if tier in found
        for pair in found[tier]["pairs"]
        if pair["before"] == "dense"
    ][::-1]
    figure, axes = plt.subplots(1, 3, figsize=(13, 0.34 * len(pairs) + 1.2), sharey=True)
    figure.set_layout_engine("constrained")
    for axis, (task, measure, heading) in zip(axes, HEADLINES, strict=True):
        for place, (pair, _) in enumerate(pairs):
            own = pair["splits"].get("adapt_test", {}).get(task, {}).get(measure)
            if own is not None:
                dot(axis, in_units(measure, own["difference"]), place, "#0b6e4f")
        axis.axvline(0, color="#999999", ls=":")
        axis.set_yticks(range(len(pairs)), [label for _, label in pairs])
        axis.set_xlabel(f"change of {heading}, adapt_test")
    return figure


def draw_forgetting(found: dict[str, Tier]) -> Any:
    """IoU change on new tasks and on pretraining tasks, one point per arm."""
    figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
    labels = list[Annotation]()
    for tier in ("main", "forgetting", "rewards"):
        for name, arm in found.get(tier, {"arms": {}})["arms"].items():
            if tier == "rewards" and name not in ("dense", "beta-0"):
                continue
            own = arm.get("against_base")
            if own is None or arm["method"] is None or not {"adapt_test", "id_test"} <= set(own):
                continue
            if any("affordance" not in own[split] for split in ("adapt_test", "id_test")):
                continue
            new, old = (
                own[split]["affordance"]["iou"]["difference"]["mean"]
                for split in ("adapt_test", "id_test")
            )
            axis.scatter(new, old, color=COLOURS[arm["method"]], s=18)
            labels.append(
                axis.annotate(
                    name, (new, old), fontsize=7, xytext=(3, 3), textcoords="offset points"
                )
            )
    axis.axhline(0, color="#999999", ls=":")
    axis.margins(x=0.15)
    axis.set(xlabel="IoU gained on the new tasks", ylabel="IoU change on the pretraining tasks")
    separate_labels(figure, labels)
    return figure


def separate_labels(figure: Any, labels: list[Annotation]) -> None:
    """Place every label next to its point, with the least overlap with points and other labels."""
    figure.draw_without_rendering()
    transform = figure.axes[0].transData.transform
    taken = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in (transform(own.xy) for own in labels)]

    def covered(label: Annotation, place: tuple[int, int]) -> int:
        x, y = place
        label.set(ha="left" if x > 0 else "right", va="bottom" if y > 0 else "top")
        label.xyann = place
        return label.get_window_extent().count_overlaps(taken)

    for label in labels:
        places = list(product((4, -4), (3, -3)))
        covered(label, min(places, key=lambda place, label=label: covered(label, place)))
        taken.append(label.get_window_extent())


def smoothed(points: list[dict[str, float]], term: str, width: int = 8) -> list[dict[str, float]]:
    """Running means of a term over `width` points, at the last point of each window."""
    return [
        {**points[end - 1], term: fmean(point[term] for point in points[end - width : end])}
        for end in range(width, len(points) + 1)
    ]


def in_units(measure: str, own: dict[str, float]) -> dict[str, float]:
    """A mean with its interval, rates in percent."""
    scale = 100 if measure in PERCENT else 1
    return {key: scale * own[key] for key in ("mean", "low", "high")}


def dot(axis: Any, own: dict[str, float], place: int, colour: str) -> None:
    """A mean with its interval on a line."""
    axis.plot([own["low"], own["high"]], [place, place], color=colour, lw=1.5)
    axis.plot([own["mean"]], [place], "o", color=colour, ms=4)


FIGURES: dict[str, tuple[str, Callable[[dict[str, Tier]], Any]]] = {
    "evidence-levels.svg": ("main", draw_levels),
    "evidence-fractions.svg": ("main", draw_fractions),
    "evidence-physics.svg": ("physics", draw_physics),
    "evidence-changes.svg": ("rewards", draw_changes),
    "evidence-forgetting.svg": ("main", draw_forgetting),
}
"""File name of each figure, the tier that it needs, and the function that draws it."""


def draw(found: dict[str, Tier], folder: Path) -> list[Path]:
    """Draw the figures whose tiers exist. The same results give the same bytes."""
    mpl.rcParams.update({"svg.hashsalt": "evidence", "font.size": 9, "axes.spines.top": False})
    drawn = list[Path]()
    for name, (needed, make) in FIGURES.items():
        if needed in found:
            figure = make(found)
            figure.savefig(folder / name, metadata={"Date": None})
            plt.close(figure)
            drawn.append(folder / name)
    return drawn
