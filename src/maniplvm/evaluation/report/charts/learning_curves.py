"""Learning curves: one chart for each logged metric, with all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.report.charts.chart import (
    Axis,
    Chart,
    axis_from_ticks,
    format_number,
    ticks_between,
)
from maniplvm.evaluation.report.folders import Run
from maniplvm.geometry.arrays import FloatArray

_SMOOTHING = 0.12
_MAX_POINTS = 240
_ROUNDING = 1e-5
"""Relative range below which logged values count as constant: the rounding of float32 sums."""

_DESCRIPTIONS = {
    "reward": "mean sum of all terms",
    "reward_std": "standard deviation of the reward over all completions",
    "parse_rate": "completions that could be parsed",
    "format_rate": "completions in exactly the requested format",
    "completions/mean_length": "mean length of a completion [tokens]",
    "completions/clipped_ratio": "completions truncated at the length limit",
    "frac_reward_zero_std": "groups in which all completions have the same reward",
    "group_reward_std": "standard deviation of the reward within a group",
    "entropy": "mean entropy of the policy per token",
    "kl": "KL divergence from the reference policy",
    "clip_ratio/region_mean": "probability ratios that GRPO clips",
    "step_time": "duration of a training step [s]",
    "loss": "training loss",
    "grad_norm": "norm of the gradient",
    "learning_rate": "learning rate of the optimizer",
    "mean_token_accuracy": "label tokens that are the most likely token",
}
_LAST = ("loss", "grad_norm", "learning_rate")
_HIDDEN = ("step", "seconds")


@dataclass(frozen=True)
class Curve:
    """The chart of one metric.

    Attributes:
        name: Name of the metric in the log.
        description: What the metric measures.
        chart: The chart as SVG.
        runs: Number of runs that logged the metric.
    """

    name: str
    description: str
    chart: Markup
    runs: int


def learning_curves(runs: Sequence[Run]) -> tuple[list[Curve], list[Curve]]:
    """Charts of the reward and its terms, and of all other metrics, in the order of the log."""
    names = dict.fromkeys(name for run in runs for line in run.log for name in line)
    logged = [name for name in names if name not in _HIDDEN]
    rewards = [name for name in logged if name == "reward" or name.startswith("reward/")]
    others = sorted((n for n in logged if n not in rewards), key=lambda name: name in _LAST)
    return (
        [curve for name in rewards if (curve := _curve(name, runs))],
        [curve for name in others if (curve := _curve(name, runs))],
    )


def _curve(name: str, runs: Sequence[Run]) -> Curve | None:
    series = {
        index: np.array([(line["step"], line[name]) for line in run.log if name in line])
        for index, run in enumerate(runs)
    }
    series = {index: points for index, points in series.items() if len(points)}
    if not series:
        return None
    ranges = ", ".join(
        f"{runs[index].facts.get('name', 'run')} from {format_number(smooth[0])} to {format_number(smooth[-1])}"
        for index, points in series.items()
        for smooth in [_smoothed(points[:, 1])]
    )
    return Curve(name, _description(name), _chart(series, f"{name}: {ranges}"), len(series))


def _description(name: str) -> str:
    if name.startswith("reward/"):
        *task, term = name.split("/")[1:]
        return f"term “{term}”" + (f" of {task[0]} completions" if task else "")
    return _DESCRIPTIONS.get(name, "")


def _chart(series: dict[int, FloatArray], label: str) -> Markup:
    points_of_all = np.concatenate(list(series.values()))
    last = float(points_of_all[:, 0].max())
    steps = ticks_between(min(0.0, float(points_of_all[:, 0].min())), last)
    low, high = _range(points_of_all[:, 1])
    values = ticks_between(low, high)
    across = Axis(steps[0], last, [(step, format_number(step)) for step in steps], "training step")
    chart = Chart(across, axis_from_ticks(values, format_number), label)
    for index, points in series.items():
        smooth = np.column_stack([points[:, 0], _smoothed(points[:, 1])])
        keep = slice(None, None, max(1, len(points) // _MAX_POINTS))
        chart.line(points[keep], f"raw s{index % 6}")
        chart.line(smooth[keep], f"smooth s{index % 6}")
        chart.mark(float(smooth[-1, 0]), float(smooth[-1, 1]), f"s{index % 6}")
    return chart.to_svg()


def _smoothed(values: FloatArray) -> FloatArray:
    """Moving average. The window is truncated at both ends."""
    half = round(len(values) * _SMOOTHING / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    indices = np.arange(len(values))
    first, last = np.maximum(indices - half, 0), np.minimum(indices + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _range(values: FloatArray) -> tuple[float, float]:
    """Axis limits without outliers, with a positive width for constant values."""
    low, high = (float(edge) for edge in np.quantile(values, [0.005, 0.995]))
    if high - low < _ROUNDING * max(1.0, abs(high)):
        return min(0.0, low), high if high > 0 else low + 1.0
    return low, high
