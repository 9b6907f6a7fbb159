"""The verifier: does following this trace do the task?"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from numpy.typing import ArrayLike

from maniplvm.simulation.closing import Closing
from maniplvm.simulation.execution.backprojection import Course, lift
from maniplvm.simulation.execution.contact_monitor import Watch
from maniplvm.simulation.execution.controller import Follower
from maniplvm.simulation.execution.outcome import Execution, Reason
from maniplvm.simulation.provenance import Provenance
from maniplvm.simulation.worlds import Scene, world
from maniplvm.tasks.sample import Sample

EachStep = Callable[[Scene], None]

FAR = 0.05
"""A waypoint that stays farther away than this was out of reach [m]."""


class Scenes(Closing):
    """Compiled scenes, kept for the next time: opening one takes longer than an execution.

    Use it as a context manager, or call `close`.
    """

    def __init__(self, capacity: int = 4) -> None:
        """Keep at most `capacity` scenes, those used last."""
        self._capacity = max(1, capacity)
        self._scenes: OrderedDict[tuple[str, str], Scene] = OrderedDict()

    def get(self, world_name: str, task: str) -> Scene:
        """The scene of a task, in any state.

        Raises:
            UserError: there is no such world or task, or its simulator is not installed.
        """
        key = (world_name, task)
        if key not in self._scenes:
            while len(self._scenes) >= self._capacity:
                self._scenes.popitem(last=False)[1].close()
            self._scenes[key] = world(world_name).open(task)
        self._scenes.move_to_end(key)
        return self._scenes[key]

    def close(self) -> None:
        """Free all scenes."""
        while self._scenes:
            self._scenes.popitem()[1].close()


def execute(
    sample: Sample,
    trace: ArrayLike,
    *,
    scenes: Scenes | None = None,
    timeout: float | None = None,
) -> Execution:
    """Follow a trace in physics and see whether the task gets done.

    The scene is rebuilt from the sample's provenance; nothing is rendered. The reference gives
    depth and the gripper's switches, the trace gives the path. A pure function of its arguments:
    the same trace always ends the same way, unless time runs out.

    Args:
        sample: A simulated sample.
        trace: `(N, 2)` [px of the original image].
        scenes: Where to keep the compiled scene for the next call.
        timeout: Most seconds to spend on the motion.

    Raises:
        UserError: the sample's world cannot be opened.
        ValueError: the sample does not come from simulation.
    """
    reference = Provenance.from_json(sample.provenance)
    if scenes is not None:
        return follow_trace(reference, trace, scenes, timeout)
    with Scenes(1) as own:
        return follow_trace(reference, trace, own, timeout)


def follow_trace(
    reference: Provenance,
    trace: ArrayLike,
    scenes: Scenes,
    timeout: float | None = None,
    each_step: EachStep = lambda scene: None,
) -> Execution:
    """As `execute`, for a reference that is read already.

    Args:
        reference: Of the sample that asked for the trace.
        trace: `(N, 2)` [px of the original image].
        scenes: Where compiled scenes are kept.
        timeout: Most seconds to spend on the motion.
        each_step: Called before the first step and after every step, to watch.
    """
    try:
        course = lift(trace, reference)
    except ValueError as error:
        return Execution(Reason.INVALID, detail=str(error))
    scene = scenes.get(reference.world, reference.task)
    scene.reset(reference.seed)
    watch = Watch(scene, reference.touched_body)
    each_step(scene)
    return _run(scene, course, watch, timeout, each_step)


def _run(
    scene: Scene, course: Course, watch: Watch, timeout: float | None, each_step: EachStep
) -> Execution:
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    follower = Follower(scene, course)
    steps = 0
    first: float | None = None
    for command in follower:
        if steps >= scene.horizon or time.monotonic() > deadline:
            return Execution(Reason.TIMEOUT, steps, progress=_progress(scene, first))
        solved = scene.apply(command)
        steps += 1
        first = scene.goal_distance() if steps == 1 else first
        each_step(scene)
        if solved:
            return Execution(Reason.SOLVED, steps, progress=1.0)
        watch.look(holding=command.gripper > course.gripper[0])
    return Execution(_failure(watch, follower), steps, progress=_progress(scene, first))


def _progress(scene: Scene, first: float | None) -> float:
    last = scene.goal_distance()
    if first is None or last is None:
        return 0.0
    return min(1.0, max(0.0, 1 - last / first))


def _failure(watch: Watch, follower: Follower) -> Reason:
    if watch.dropped:
        return Reason.DROPPED
    if watch.touched:
        return Reason.WRONG_END
    return Reason.OUT_OF_REACH if follower.miss > FAR else Reason.NEVER_TOUCHED
