"""Signs that a run is collapsing, said once each and early enough to stop it."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from statistics import fmean

WINDOW = 10
"""Logged steps that are averaged: one bad batch is no collapse."""

SILENT_GROUPS, LOST_PARSES, HIGH_KL, LEAST_VARIETY = 0.95, 0.2, 1.0, 0.25


class CollapseWatch:
    """Reads the lines of a log as they come and warns."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._best_parse_rate = 0.0
        self._said = set[str]()

    def observe(self, line: Mapping[str, float]) -> list[str]:
        """The new warnings that a line gives rise to.

        Args:
            line: Of `log.jsonl`.
        """
        found = list[tuple[str, str]]()
        for key in ("loss", "grad_norm"):
            if key in line and not math.isfinite(line[key]):
                found.append((key, f"{key} is not finite; lower the learning rate"))
        for key in ("groups_without_signal", "parse_rate", "kl", "answer_variety"):
            if key in line and math.isfinite(line[key]):
                self._recent[key].append(line[key])
        found += self._slow_signs()
        fresh = [(kind, text) for kind, text in found if kind not in self._said]
        self._said.update(kind for kind, _ in fresh)
        return [f"step {line['step']:.0f}: {text}" for _, text in fresh]

    def _slow_signs(self) -> list[tuple[str, str]]:
        found = list[tuple[str, str]]()
        silent = self._average("groups_without_signal")
        if silent is not None and silent >= SILENT_GROUPS:
            text = (
                f"{silent:.0%} of the groups earn the same reward throughout, so they teach "
                "nothing; raise the temperature or choose a reward with a slope"
            )
            found.append(("groups", text))
        parsed = self._average("parse_rate")
        if parsed is not None:
            self._best_parse_rate = max(self._best_parse_rate, parsed)
            if self._best_parse_rate - parsed >= LOST_PARSES:
                text = (
                    f"the parse rate fell from {self._best_parse_rate:.0%} to {parsed:.0%}; "
                    "lower the learning rate or add KL (trainer.beta)"
                )
                found.append(("parse_rate", text))
        kl = self._average("kl")
        if kl is not None and kl >= HIGH_KL:
            text = f"KL to the reference is {kl:.2f} nats a token; lower the learning rate"
            found.append(("kl", text))
        variety = self._average("answer_variety")
        if variety is not None and variety < LEAST_VARIETY:
            text = (
                "nearly every question gets the same answer; the policy no longer looks at the "
                "image or the instruction"
            )
            found.append(("answer_variety", text))
        return found

    def _average(self, key: str) -> float | None:
        values = self._recent.get(key)
        return fmean(values) if values is not None and len(values) == WINDOW else None
