"""The quickstart: measure the shipped policy, let it learn new tasks from rewards, measure again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.records import read_samples
from maniplvm.evaluation.statistics.comparison import Difference, compare_samples
from maniplvm.experiments.stages import Stage
from maniplvm.tasks import Task

EVALUATED = ("adapt_test", "id_test", "ood_tasks", "ood_robot")
"""The splits that are measured: what is learned, what was known, what neither has seen."""

EXECUTED = ("adapt_test", "id_test", "ood_tasks")
"""Where traces are followed in physics; robosuite's is six times slower."""

LEARNED = "adapt_test"
DATA = "datasets/sim-small"
GRPO_RECIPE, SFT_RECIPE = "recipes/grpo/embedded.yaml", "recipes/sft/embedded.yaml"
BLEND = "0.75"
"""Share of the trained weights in what is measured; the rest is where training started, so that
little is forgotten."""
_TOKENS = ("--max-new-tokens", "80")


@dataclass(frozen=True)
class Folders:
    """Where a quickstart keeps its parts.

    Attributes:
        root: Of everything.
    """

    root: Path

    @property
    def report(self) -> Path:
        """The page."""
        return self.root / "report.html"

    def evaluation(self, name: str) -> Path:
        """Of `before`, `after` or `control`; with `-sampled` for drawn completions."""
        return self.root / "evaluations" / name

    def run(self, name: str) -> Path:
        """Of `grpo` or `sft`."""
        return self.root / name

    def model(self, name: str) -> Path:
        """What a run came to, blended with its start."""
        return self.root / "models" / name


def quickstart_stages(
    root: Path,
    *,
    seed: int = 0,
    model: str = "embedded",
    data: str = DATA,
    recipe: str = GRPO_RECIPE,
    control: str | None = None,
    control_minutes: float | None = None,
    settings: tuple[str, ...] = (),
    limit: int | None = None,
) -> list[Stage]:
    """The commands of a quickstart, in order.

    Args:
        root: The folder of everything.
        seed: Of training and of drawn completions.
        model: The policy to start from.
        data: A data set with the splits `EVALUATED`.
        recipe: Of the training from rewards.
        control: A recipe of supervised training from the same start, or None for no control.
        control_minutes: How long the control trains; None as its recipe says.
        settings: Changes to the training recipe, each `key.path=value`.
        limit: Samples of each split and task at most.
    """
    at = Folders(root)
    changes = [f"seed={seed}", f"model.source={model}", *settings]
    stages = [
        *_measured(at, "before", model, "the policy as it is", seed, data, limit),
        Stage(
            "grpo",
            ("train", "grpo", recipe, "--out", str(at.run("grpo")), *_set(changes)),
            "learn the new tasks from rewards alone",
        ),
        _blended(at, "grpo", model),
        *_measured(at, "after", str(at.model("grpo")), "what it has learned", seed, data, limit),
    ]
    compared = ["--run", str(at.run("grpo"))]
    if control is not None:
        own = [f"seed={seed}", f"model.source={model}"]
        if control_minutes is not None:
            own.append(f"time_limit_minutes={control_minutes:.2f}")
        stages += [
            Stage(
                "sft",
                ("train", "sft", control, "--out", str(at.run("sft")), *_set(own)),
                "the control: as long, but shown the right answers",
            ),
            _blended(at, "sft", model),
            *_measured(at, "control", str(at.model("sft")), "the control", seed, data, limit),
        ]
        compared += ["--control", str(at.evaluation("control"))]
    report = Stage(
        "report" if control is None else "report-with-control",
        (
            *("report", "--data", data, "--out", str(at.report)),
            *("--before", str(at.evaluation("before")), "--after", str(at.evaluation("after"))),
            *("--sampled-before", str(at.evaluation("before-sampled"))),
            *("--sampled-after", str(at.evaluation("after-sampled"))),
            *compared,
        ),
        "write the page",
    )
    return [*stages, report]


def headline_figures(root: Path, after: str = "after") -> dict[str, dict[str, Difference]]:
    """What a finished quickstart came to: paired differences by split and measure.

    Args:
        root: Its folder.
        after: `after` for reinforcement learning, `control` for the control.

    Returns:
        For each split, and for `adapt_test (sampled)`: `iou`, `trace_reward` (mean of the task's
        terms, format aside), `dfd_diagonal`, `execution`.

    Raises:
        UserError: the quickstart is not finished.
    """
    at = Folders(root)
    figures = _figures(at, "before", after)
    sampled = _figures(at, "before-sampled", f"{after}-sampled")
    return figures | {f"{split} (sampled)": own for split, own in sampled.items()}


def _blended(at: Folders, name: str, start: str) -> Stage:
    trained, out = str(at.run(name) / "model"), str(at.model(name))
    return Stage(
        f"blend-{name}",
        ("blend", start, trained, "--share", BLEND, "--out", out),
        "pull it back a little, so that it forgets less",
    )


def _measured(
    at: Folders, name: str, model: str, purpose: str, seed: int, data: str, limit: int | None
) -> list[Stage]:
    few = () if limit is None else ("--limit", str(limit))
    common = ("evaluate", model, "--data", data, *_TOKENS, *few)
    greedy, sampled = at.evaluation(name), at.evaluation(f"{name}-sampled")
    draw = ("--temperature", "1.0", "--seed", str(seed))
    return [
        Stage(
            name,
            (
                *(*common, "--splits", ",".join(EVALUATED)),
                *("--execute-splits", ",".join(EXECUTED), "--out", str(greedy)),
            ),
            f"measure {purpose}",
        ),
        Stage(
            f"{name}-sampled",
            (*common, "--splits", LEARNED, *draw, "--out", str(sampled)),
            f"measure {purpose}, completions drawn at temperature 1",
        ),
    ]


def _figures(at: Folders, before: str, after: str) -> dict[str, dict[str, Difference]]:
    first, second = (list(read_samples(at.evaluation(name))) for name in (before, after))
    figures = figures_of(compare_samples(first, second))
    if not figures:
        raise UserError(f"{at.root}: the evaluations have no sample in common")
    return figures


def _set(changes: list[str]) -> tuple[str, ...]:
    return tuple(word for change in changes for word in ("--set", change))


def figures_of(
    compared: Mapping[str, Mapping[Task, Mapping[str, Difference]]],
) -> dict[str, dict[str, Difference]]:
    """The headline's measures out of all that was compared, by split."""
    figures: dict[str, dict[str, Difference]] = {}
    for split, tasks in compared.items():
        boxes, traces = tasks[Task.AFFORDANCE], tasks[Task.TRAJECTORY]
        own = {"iou": boxes["iou"], "trace_reward": traces["task_reward"]}
        own |= {name: traces[name] for name in ("dfd_diagonal", "execution") if name in traces}
        figures[split] = own
    return figures


def plain_figures(figures: Mapping[str, Mapping[str, Difference]]) -> dict[str, Any]:
    """Figures as plain data."""
    return {
        split: {
            name: {
                "before": own.before,
                "after": own.after,
                "difference": own.difference.to_json(),
            }
            for name, own in measures.items()
        }
        for split, measures in figures.items()
    }
