"""Learning curves: one small chart for each logged figure, all runs in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from maniplvm.evaluation.report.charts.charts import Chart
from maniplvm.evaluation.report.charts.scales import Axis, axis_at, short, ticks_between
from maniplvm.evaluation.report.folders import Run
from maniplvm.geometry.arrays import FloatArray

_SMOOTHING = 0.12
_MOST_POINTS = 240

_PHRASES = {
    "reward": "mean of all terms together",
    "reward_std": "standard deviation of the reward over all completions",
    "parse_rate": "completions that could be read",
    "format_rate": "completions in exactly the form that was asked",
    "completions/mean_length": "tokens of a completion",
    "completions/clipped_ratio": "completions cut off at the length limit",
    "frac_reward_zero_std": "groups in which all completions have the same reward",
    "group_reward_std": "standard deviation of the reward within a group",
    "entropy": "how undecided the policy is, per token",
    "kl": "distance from the reference policy",
    "loss": "what the optimiser minimises",
    "grad_norm": "length of the gradient",
    "learning_rate": "step size",
    "mean_token_accuracy": "label tokens that were the first choice",
}
_LAST = ("loss", "grad_norm", "learning_rate")
_HIDDEN = ("step", "seconds")


@dataclass(frozen=True)
class Curve:
    """One chart.

    Attributes:
        name: The figure's name in the log.
        phrase: What it means.
        chart: The SVG.
        runs: In how many runs it was logged.
    """

    name: str
    phrase: str
    chart: Markup
    runs: int


def learning_curves(runs: Sequence[Run]) -> tuple[list[Curve], list[Curve]]:
    """Charts of the reward and its terms, then of everything else, each in the order of the log."""
    names = dict.fromkeys(name for run in runs for line in run.log for name in line)
    shown = [name for name in names if name not in _HIDDEN]
    rewards = [name for name in shown if name == "reward" or name.startswith("reward/")]
    others = sorted((n for n in shown if n not in rewards), key=lambda name: name in _LAST)
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
    told = ", ".join(
        f"{runs[index].facts.get('name', 'run')} from {short(smooth[0])} to {short(smooth[-1])}"
        for index, points in series.items()
        for smooth in [_smoothed(points[:, 1])]
    )
    return Curve(name, _phrase(name), _chart(series, f"{name}: {told}"), len(series))


def _phrase(name: str) -> str:
    if name.startswith("reward/"):
        *task, term = name.split("/")[1:]
        return f"term “{term}”" + (f" of {task[0]} completions" if task else "")
    return _PHRASES.get(name, "")


def _chart(series: dict[int, FloatArray], label: str) -> Markup:
    everything = np.concatenate(list(series.values()))
    last = float(everything[:, 0].max())
    steps = ticks_between(min(0.0, float(everything[:, 0].min())), last)
    low, high = _range(everything[:, 1])
    values = ticks_between(low, high)
    across = Axis(steps[0], last, [(step, short(step)) for step in steps], "training step")
    chart = Chart(across, axis_at(values, short), label)
    for index, points in series.items():
        smooth = np.column_stack([points[:, 0], _smoothed(points[:, 1])])
        keep = slice(None, None, max(1, len(points) // _MOST_POINTS))
        chart.line(points[keep], f"raw s{index % 6}")
        chart.line(smooth[keep], f"smooth s{index % 6}")
        chart.mark(float(smooth[-1, 0]), float(smooth[-1, 1]), f"s{index % 6}")
    return chart.drawn()


def _smoothed(values: FloatArray) -> FloatArray:
    """The mean over a window that slides along and is cut off at both ends."""
    half = round(len(values) * _SMOOTHING / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _range(values: FloatArray) -> tuple[float, float]:
    """Bounds that a few wild values do not decide, and that a flat line does not collapse."""
    low, high = (float(edge) for edge in np.quantile(values, [0.005, 0.995]))
    if high - low < 1e-9 * max(1.0, abs(high)):
        return min(0.0, low), high if high > 0 else low + 1.0
    return low, high
