"""Settings of a pretraining run, and the schedules that follow from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of a pretraining run.

    The field names are stored in `state.pt`, so an old run can be resumed.

    Attributes:
        steps: Optimizer steps of all cycles together; a multiple of `cycles`.
        cycles: Number of learning rate cycles (warm restarts, Loshchilov and Hutter 2017). The
            final weights are the average of those at the ends of the cycles (Izmailov et al.
            2018).
        last_share: Weight of the last cycle in that average; the other cycles share the rest
            equally.
        absent: Probability, in the last cycle, that the image does not show the object of the
            instruction. A run of a single cycle does not use it.
        batch: Images of a step, each with both tasks.
        learning_rate: Highest learning rate, constant between `warmup` and the decay. So a longer
            run starts in the same way as a shorter one.
        warmup: Warmup steps of a cycle.
        decay: Fraction of a cycle, at its end, in which the learning rate decays to 0.
        weight_decay: Weight decay for matrices.
        text_weight: Weight of the loss on tokens that are no coordinates.
        trace_weight: Weight of the loss on the coordinates of a trace; that of a box has 1.
        auxiliary_weight: Weight of the losses of the auxiliary heads.
        blur: Standard deviation of the smoothed label of a coordinate, before and after the decay
            [steps of the frame].
        seed: Seed of data order and augmentation.
        save_every: Steps between saved states.
        log_every: Steps between lines of the log.
    """

    steps: int = 5000
    cycles: int = 1
    last_share: float = 0.6
    absent: float = 0.06
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: int = 100
    decay: float = 0.3
    weight_decay: float = 0.05
    text_weight: float = 0.5
    trace_weight: float = 2.5
    auxiliary_weight: float = 1.0
    blur: tuple[float, float] = (1.8, 0.8)
    seed: int = 0
    save_every: int = 200
    log_every: int = 20

    @property
    def cycle_steps(self) -> int:
        """Number of steps of a cycle."""
        return self.steps // self.cycles

    def absent_at(self, step: int) -> float:
        """Probability that the image does not show the object of the instruction, at a step."""
        return self.absent if 0 < step // self.cycle_steps == self.cycles - 1 else 0.0

    def cycle_weights(self) -> list[float]:
        """Weight of the end of each cycle in the final average."""
        if self.cycles == 1:
            return [1.0]
        before = (1 - self.last_share) / (self.cycles - 1)
        return [before] * (self.cycles - 1) + [self.last_share]

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        started = (step % self.cycle_steps + 1) / self.warmup
        return self.learning_rate * min(1.0, started, self._left(step))

    def blur_at(self, step: int) -> float:
        """Standard deviation of the smoothed label of a coordinate, at a step."""
        first, last = self.blur
        return last + (first - last) * min(1.0, self._left(step))

    def can_resume(self, saved: Mapping[str, Any], step: int) -> bool:
        """Whether a run with these settings can resume from the state of another run.

        Only the number of steps may differ, and only before the first decay of either run.

        Args:
            saved: Settings of the other run, as plain data.
            step: Step at which its state was saved.
        """
        own = json.loads(json.dumps(asdict(self)))
        undecayed = step <= (1 - self.decay) * min(self.cycle_steps, saved["steps"] // self.cycles)
        return saved == own or (undecayed and {**saved, "steps": self.steps} == own)

    def _left(self, step: int) -> float:
        """At least 1 before the decay of a cycle, then falling to almost 0."""
        return (self.cycle_steps - step % self.cycle_steps) / (self.decay * self.cycle_steps)
