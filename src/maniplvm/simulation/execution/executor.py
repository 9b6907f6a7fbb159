"""Follows a trace in physics and reports whether the task is solved."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from numpy.typing import ArrayLike

from maniplvm.simulation.execution.backprojection import EndEffectorPath, backproject
from maniplvm.simulation.execution.contact_monitor import ContactMonitor
from maniplvm.simulation.execution.controller import PathController
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.worlds import Scene, load_world
from maniplvm.simulation.worlds.base import Closeable
from maniplvm.tasks.sample import Sample

StepCallback = Callable[[Scene], None]

MAX_MISS = 0.05
"""A waypoint that stays farther away than this is out of reach [m]."""

UNRELIABLE_TASKS = frozenset(
    {
        "dial-turn-v3",
        "handle-pull-side-v3",
        "handle-pull-v3",
        "lever-pull-v3",
        "peg-unplug-side-v3",
        "pick-out-of-hole-v3",
        "soccer-v3",
    }
)
"""Tasks in which fewer than 70 % of 20 reference traces succeed.

Their experts react to contact or slip, which a path cannot repeat. A failure there says little
about a trace, so exclude these tasks from rewards and success rates. `benchmarks/execution.py`
measures them; the numbers are in `results/execution.json`.
"""


class Reason(StrEnum):
    """Why an execution ended. Every failure has exactly one reason."""

    SOLVED = "solved"
    """The world's own success test was met."""
    NEVER_TOUCHED = "never_touched"
    """The path was followed, but the hand never touched the part."""
    OUT_OF_REACH = "out_of_reach"
    """The hand never touched the part and could not reach the path."""
    DROPPED = "dropped"
    """The part was carried and then lost while the gripper was closed."""
    WRONG_END = "wrong_end"
    """The part was touched, but the path ended before the task was solved."""
    TIMEOUT = "timeout"
    """The episode's steps or the allowed seconds were used up."""
    INVALID = "invalid"
    """The trace is not a path: not readable, not finite, or without length."""
    CRASHED = "crashed"
    """The simulator failed. This says nothing about the trace."""


@dataclass(frozen=True)
class Execution:
    """The result of following one trace.

    Attributes:
        reason: Why the execution ended.
        steps: Number of control steps.
        detail: An explanation for `invalid` and `crashed`, else empty.
        progress: Covered share of the initial distance to the goal, 0..1. It is 1 if the task is
            solved, and 0 if the world measures no distance.
    """

    reason: Reason
    steps: int = 0
    detail: str = ""
    progress: float = 0.0

    @property
    def success(self) -> bool:
        """Whether the task was solved."""
        return self.reason is Reason.SOLVED


class SceneCache(Closeable):
    """A cache of compiled scenes, because opening a scene takes longer than an execution.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, capacity: int = 4) -> None:
        """Keep the `capacity` most recently used scenes."""
        self._capacity = max(1, capacity)
        self._scenes: OrderedDict[tuple[str, str], Scene] = OrderedDict()

    def get(self, world: str, task: str) -> Scene:
        """The scene of a task, in any state.

        Raises:
            UserError: The world or the task is unknown, or the simulator is not installed.
        """
        key = (world, task)
        if key not in self._scenes:
            while len(self._scenes) >= self._capacity:
                self._scenes.popitem(last=False)[1].close()
            self._scenes[key] = load_world(world).open(task)
        self._scenes.move_to_end(key)
        return self._scenes[key]

    def close(self) -> None:
        """Close all scenes."""
        while self._scenes:
            self._scenes.popitem()[1].close()


def execute(
    sample: Sample,
    trace: ArrayLike,
    *,
    scenes: SceneCache | None = None,
    timeout: float | None = None,
) -> Execution:
    """Follow a trace in physics and report whether the task is solved.

    The scene is rebuilt from the sample's provenance, and nothing is rendered. The trace gives
    the path. The reference gives the depth and the gripper commands. The result is a pure
    function of the arguments unless the time limit is reached.

    Args:
        sample: A simulated sample.
        trace: `(N, 2)` [px of the original image].
        scenes: Cache of compiled scenes for repeated calls.
        timeout: Time limit of the motion [s].

    Raises:
        UserError: The sample's world cannot be opened.
        ValueError: The sample does not come from simulation.
    """
    reference = Provenance.from_json(sample.provenance)
    if scenes is not None:
        return follow_trace(reference, trace, scenes, timeout)
    with SceneCache(1) as own:
        return follow_trace(reference, trace, own, timeout)


def follow_trace(
    reference: Provenance,
    trace: ArrayLike,
    scenes: SceneCache,
    timeout: float | None = None,
    on_step: StepCallback = lambda scene: None,
) -> Execution:
    """The same as `execute`, for a parsed provenance.

    Args:
        reference: Provenance of the sample.
        trace: `(N, 2)` [px of the original image].
        scenes: Cache of compiled scenes.
        timeout: Time limit of the motion [s].
        on_step: Called before the first step and after every step.
    """
    try:
        path = backproject(trace, reference)
    except ValueError as error:
        return Execution(Reason.INVALID, detail=str(error))
    scene = scenes.get(reference.world, reference.task)
    scene.reset(reference.seed)
    monitor = ContactMonitor(scene, reference.touched_body)
    on_step(scene)
    return _run(scene, path, monitor, timeout, on_step)


def _run(
    scene: Scene,
    path: EndEffectorPath,
    monitor: ContactMonitor,
    timeout: float | None,
    on_step: StepCallback,
) -> Execution:
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    controller = PathController(scene, path)
    steps = 0
    first_distance: float | None = None
    for command in controller:
        if steps >= scene.horizon or time.monotonic() > deadline:
            return Execution(Reason.TIMEOUT, steps, progress=_progress(scene, first_distance))
        solved = scene.apply(command)
        steps += 1
        first_distance = scene.goal_distance() if steps == 1 else first_distance
        on_step(scene)
        if solved:
            return Execution(Reason.SOLVED, steps, progress=1.0)
        monitor.update(is_closed=command.gripper > path.gripper[0])
    reason = _failure(monitor, controller)
    return Execution(reason, steps, progress=_progress(scene, first_distance))


def _progress(scene: Scene, first_distance: float | None) -> float:
    last_distance = scene.goal_distance()
    if first_distance is None or last_distance is None:
        return 0.0
    return min(1.0, max(0.0, 1 - last_distance / first_distance))


def _failure(monitor: ContactMonitor, controller: PathController) -> Reason:
    if monitor.dropped:
        return Reason.DROPPED
    if monitor.touched:
        return Reason.WRONG_END
    return Reason.OUT_OF_REACH if controller.max_miss > MAX_MISS else Reason.NEVER_TOUCHED
