"""Summary of many scores: means with confidence intervals, and the parse rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from maniplvm.evaluation.statistics.intervals import Interval, bootstrap_mean
from maniplvm.rewards import Score
from maniplvm.tasks.sample import Task


@dataclass(frozen=True)
class TaskSummary:
    """All scores of one task. A completion that could not be parsed counts as 0 in every mean.

    Attributes:
        task: The task.
        parse_rate: Share of completions with a parsed answer.
        format_rate: Share of completions with exactly the requested format.
        total: The total reward.
        terms: Each reward term by name.
        failures: Number of failed parses by status.
        guesses: Number of parsed completions by assumption of the parser.
    """

    task: Task
    parse_rate: Interval
    format_rate: Interval
    total: Interval
    terms: dict[str, Interval]
    failures: dict[str, int]
    guesses: dict[str, int]


def summarise(scores: Sequence[Score], *, seed: int = 0) -> list[TaskSummary]:
    """One summary for each task in the scores."""
    summaries = list[TaskSummary]()
    for task in Task:
        own = [score for score in scores if score.answer.task is task]
        if not own:
            continue
        terms = {
            name: bootstrap_mean([score.terms[name] for score in own], seed=seed)
            for name in own[0].terms
        }
        failed = Counter(score.status.value for score in own if not score.answer.parsed)
        guesses = Counter(guess.value for score in own for guess in score.answer.guesses)
        summaries.append(
            TaskSummary(
                task,
                bootstrap_mean([score.answer.parsed for score in own], seed=seed),
                bootstrap_mean([score.answer.well_formed for score in own], seed=seed),
                bootstrap_mean([score.total for score in own], seed=seed),
                terms,
                dict(failed.most_common()),
                dict(guesses.most_common()),
            )
        )
    return summaries
