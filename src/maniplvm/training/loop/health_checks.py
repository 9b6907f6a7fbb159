"""Health checks of a run: warnings about a collapse, early enough to stop the run."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from statistics import fmean

WINDOW = 10
"""Logged steps that are averaged, so that one bad batch gives no warning."""

MAX_ZERO_STD_GROUPS = 0.95
"""Share of groups with equal rewards from which on a warning is given."""
MAX_PARSE_RATE_DROP = 0.2
"""Drop of the parse rate below its best value from which on a warning is given."""
MAX_KL = 1.0
"""KL divergence to the reference [nats a token] from which on a warning is given."""
MIN_ANSWER_DIVERSITY = 0.25
"""Answer diversity below which a warning is given."""

_AVERAGED = ("frac_reward_zero_std", "parse_rate", "kl", "answer_diversity")


class HealthChecks:
    """Checks the lines of a log one by one. Each kind of warning is given once."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._best_parse_rate = 0.0
        self._warned = set[str]()

    def observe(self, line: Mapping[str, float]) -> list[str]:
        """The new warnings after a line.

        Args:
            line: A line of `log.jsonl`, from `read_log` or `log_line`.
        """
        found = list[tuple[str, str]]()
        for key in ("loss", "grad_norm"):
            if key in line and not math.isfinite(line[key]):
                found.append((key, f"{key} is not finite; lower the learning rate"))
        for key in _AVERAGED:
            if key in line and math.isfinite(line[key]):
                self._recent[key].append(line[key])
        found += self._check_averages()
        new = [(kind, text) for kind, text in found if kind not in self._warned]
        self._warned.update(kind for kind, _ in new)
        return [f"step {line['step']:.0f}: {text}" for _, text in new]

    def _check_averages(self) -> list[tuple[str, str]]:
        found = list[tuple[str, str]]()
        zero_std = self._average("frac_reward_zero_std")
        if zero_std is not None and zero_std >= MAX_ZERO_STD_GROUPS:
            text = (
                f"in {zero_std:.0%} of the groups all completions have the same reward, so they "
                "give no gradient; raise the temperature or choose a denser reward"
            )
            found.append(("groups", text))
        parsed = self._average("parse_rate")
        if parsed is not None:
            self._best_parse_rate = max(self._best_parse_rate, parsed)
            if self._best_parse_rate - parsed >= MAX_PARSE_RATE_DROP:
                text = (
                    f"the parse rate fell from {self._best_parse_rate:.0%} to {parsed:.0%}; "
                    "lower the learning rate or add KL (trainer.beta)"
                )
                found.append(("parse_rate", text))
        kl = self._average("kl")
        if kl is not None and kl >= MAX_KL:
            text = f"KL to the reference is {kl:.2f} nats a token; lower the learning rate"
            found.append(("kl", text))
        diversity = self._average("answer_diversity")
        if diversity is not None and diversity < MIN_ANSWER_DIVERSITY:
            text = (
                "nearly every prompt gets the same answer; the policy ignores the image or the "
                "instruction"
            )
            found.append(("answer_diversity", text))
        return found

    def _average(self, key: str) -> float | None:
        values = self._recent.get(key)
        return fmean(values) if values is not None and len(values) == WINDOW else None
