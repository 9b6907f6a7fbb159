"""The quickstart: evaluate the shipped policy, train it with GRPO, and evaluate it again."""

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
"""Evaluated splits: new tasks, pretraining tasks, unseen tasks, another robot."""

EXECUTED = ("adapt_test", "id_test", "ood_tasks")
"""Splits whose traces are executed in physics. robosuite (`ood_robot`) is six times slower."""

TRAINED = "adapt_test"
"""Test split of the tasks that the quickstart trains on."""
DATA = "datasets/sim-small"
GRPO_RECIPE, SFT_RECIPE = "recipes/grpo/embedded.yaml", "recipes/sft/embedded.yaml"
ALPHA = "0.75"
"""Weight of the trained model in the weight interpolation, against forgetting."""
_TOKENS = ("--max-new-tokens", "80")


@dataclass(frozen=True)
class Folders:
    """Folders of a quickstart.

    Attributes:
        root: The folder that contains them.
    """

    root: Path

    @property
    def report(self) -> Path:
        """The report page."""
        return self.root / "report.html"

    def evaluation(self, name: str) -> Path:
        """Evaluation folder of `before`, `after` or `control`; `-sampled` for sampled answers."""
        return self.root / "evaluations" / name

    def run(self, name: str) -> Path:
        """Run folder of `grpo` or `sft`."""
        return self.root / name

    def model(self, name: str) -> Path:
        """The interpolated model of `grpo` or `sft`."""
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
        root: The folder of the quickstart.
        seed: Seed of training and of sampled answers.
        model: The model to start from.
        data: A data set with the splits `EVALUATED`.
        recipe: The GRPO recipe.
        control: An SFT recipe for a control from the same start; None for no control.
        control_minutes: Training time of the control; None takes its recipe's.
        settings: Changes to the GRPO recipe, each `key.path=value`.
        limit: Largest number of samples of each split and task.
    """
    at = Folders(root)
    changes = [f"seed={seed}", f"model.source={model}", *settings]
    stages = [
        *_measured(at, "before", model, "the starting model", seed, data, limit),
        Stage(
            "grpo",
            ("train", "grpo", recipe, "--out", str(at.run("grpo")), *_set(changes)),
            "train on the new tasks with GRPO",
        ),
        _interpolated(at, "grpo", model),
        *_measured(at, "after", str(at.model("grpo")), "the trained model", seed, data, limit),
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
                "train the SFT control for the same time",
            ),
            _interpolated(at, "sft", model),
            *_measured(at, "control", str(at.model("sft")), "the SFT control", seed, data, limit),
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
        "write the report",
    )
    return [*stages, report]


def headline_results(root: Path, after: str = "after") -> dict[str, dict[str, Difference]]:
    """Results of a finished quickstart: paired differences by split and measure.

    Args:
        root: Folder of the quickstart.
        after: `after` for GRPO, `control` for the control.

    Returns:
        For each split, and for `adapt_test (sampled)`: `iou`, `trace_reward` (mean of the task's
        terms without format), `dfd_diagonal`, `execution`.

    Raises:
        UserError: the quickstart is not finished.
    """
    at = Folders(root)
    results = _results(at, "before", after)
    sampled = _results(at, "before-sampled", f"{after}-sampled")
    return results | {f"{split} (sampled)": own for split, own in sampled.items()}


def _interpolated(at: Folders, name: str, start: str) -> Stage:
    trained, out = str(at.run(name) / "model"), str(at.model(name))
    return Stage(
        f"interpolate-{name}",
        ("interpolate", start, trained, "--alpha", ALPHA, "--out", out),
        "interpolate the weights with the starting model, against forgetting",
    )


def _measured(
    at: Folders, name: str, model: str, purpose: str, seed: int, data: str, limit: int | None
) -> list[Stage]:
    few = () if limit is None else ("--limit", str(limit))
    common = ("evaluate", model, "--data", data, *_TOKENS, *few)
    greedy, sampled = at.evaluation(name), at.evaluation(f"{name}-sampled")
    sampling = ("--temperature", "1.0", "--seed", str(seed))
    return [
        Stage(
            name,
            (
                *(*common, "--splits", ",".join(EVALUATED)),
                *("--execute-splits", ",".join(EXECUTED), "--out", str(greedy)),
            ),
            f"evaluate {purpose}",
        ),
        Stage(
            f"{name}-sampled",
            (*common, "--splits", TRAINED, *sampling, "--out", str(sampled)),
            f"evaluate {purpose}, sampled at temperature 1",
        ),
    ]


def _results(at: Folders, before: str, after: str) -> dict[str, dict[str, Difference]]:
    first, second = (list(read_samples(at.evaluation(name))) for name in (before, after))
    results = results_of(compare_samples(first, second))
    if not results:
        raise UserError(f"{at.root}: the evaluations have no sample in common")
    return results


def _set(changes: list[str]) -> tuple[str, ...]:
    return tuple(word for change in changes for word in ("--set", change))


def results_of(
    compared: Mapping[str, Mapping[Task, Mapping[str, Difference]]],
) -> dict[str, dict[str, Difference]]:
    """The measures in the table of the quickstart, by split."""
    results: dict[str, dict[str, Difference]] = {}
    for split, tasks in compared.items():
        boxes, traces = tasks[Task.AFFORDANCE], tasks[Task.TRAJECTORY]
        own = {"iou": boxes["iou"], "trace_reward": traces["task_reward"]}
        own |= {name: traces[name] for name in ("dfd_diagonal", "execution") if name in traces}
        results[split] = own
    return results


def results_to_json(results: Mapping[str, Mapping[str, Difference]]) -> dict[str, Any]:
    """Results as JSON values."""
    return {
        split: {
            name: {
                "before": own.before,
                "after": own.after,
                "difference": own.difference.to_json(),
            }
            for name, own in measures.items()
        }
        for split, measures in results.items()
    }
