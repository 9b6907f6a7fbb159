"""A sample: an image, an instruction and a target (a box, a trace or a region)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from maniplvm.geometry.arrays import FloatArray
from maniplvm.tasks.region_target import RegionTarget


class Task(StrEnum):
    """The task that the policy must solve."""

    AFFORDANCE = "affordance"
    TRAJECTORY = "trajectory"
    POINTING = "pointing"


@dataclass(frozen=True, eq=False)
class BoxTarget:
    """The box around the part that the gripper must touch.

    Attributes:
        xyxy: `(4,)` [px of the original image], `x1 < x2` and `y1 < y2`, x right, y down.

    Raises:
        ValueError: not four finite numbers, or a box without area.
    """

    xyxy: FloatArray

    def __init__(self, xyxy: ArrayLike) -> None:
        box = _numbers(xyxy, "box target")
        if box.shape != (4,):
            raise ValueError(
                f"box target: expected 4 numbers x1, y1, x2, y2, got shape {box.shape}"
            )
        if not (box[0] < box[2] and box[1] < box[3]):
            raise ValueError(f"box target: needs x1 < x2 and y1 < y2, got {box.tolist()}")
        object.__setattr__(self, "xyxy", box)

    @property
    def points(self) -> FloatArray:
        """The two corners, `(2, 2)` [px]."""
        return self.xyxy.reshape(2, 2)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoxTarget) and bool(np.array_equal(self.xyxy, other.xyxy))

    def __hash__(self) -> int:
        return hash(self.xyxy.tobytes())


@dataclass(frozen=True, eq=False)
class TraceTarget:
    """The path of the end effector in the image, in the order of time.

    Attributes:
        points: `(N, 2)` [px of the original image], `N >= 2`.

    Raises:
        ValueError: not an `(N, 2)` array of finite numbers, or fewer than two points.
    """

    points: FloatArray

    def __init__(self, points: ArrayLike) -> None:
        trace = _numbers(points, "trace target")
        if trace.ndim != 2 or trace.shape[1] != 2 or len(trace) < 2:
            raise ValueError(f"trace target: expected shape (N >= 2, 2), got {trace.shape}")
        object.__setattr__(self, "points", trace)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TraceTarget) and bool(np.array_equal(self.points, other.points))

    def __hash__(self) -> int:
        return hash(self.points.tobytes())


Target: TypeAlias = BoxTarget | TraceTarget | RegionTarget

_TARGET_OF: dict[Task, type[BoxTarget] | type[TraceTarget] | type[RegionTarget]] = {
    Task.AFFORDANCE: BoxTarget,
    Task.TRAJECTORY: TraceTarget,
    Task.POINTING: RegionTarget,
}


@dataclass(frozen=True)
class Sample:
    """One instruction with its image and its target, in pixels of the original image.

    Scoring needs only the image's size. Training, prediction and drawing need the encoded image.

    Attributes:
        id: Id of the sample, unique in its data set.
        task: `affordance`, `trajectory` or `pointing`.
        instruction: The instruction to the robot.
        image_size: `(width, height)` [px] of the original image.
        target: `BoxTarget` for affordance, `TraceTarget` for trajectory, `RegionTarget` for
            pointing; its mask has the image's size.
        image: The encoded image (JPEG or PNG bytes), or None.
        split: Name of the split, such as `train` or `id_test`.
        category: Group of the sample in results (a task type, an affordance class), or None.
        scene: Id of the scene. Samples with the same scene show the same situation. An empty
            string means that no other sample shows it.
        part: Name of the part that the gripper must touch, or an empty string.
        provenance: Where the sample comes from, as JSON-ready data that must not be changed. The
            core stores it and never looks up its keys.

    Raises:
        ValueError: an empty id or instruction, an unknown task, a size that is not two positive
            integers, a target that does not belong to the task, a mask of another size, or a
            scene or part that is not a string.
    """

    id: str
    task: Task
    instruction: str
    image_size: tuple[int, int]
    target: Target
    image: bytes | None = field(default=None, repr=False)
    split: str = "train"
    category: str | None = None
    scene: str = ""
    part: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False, hash=False)

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("sample: the id is empty")
        if self.task not in tuple(Task):
            raise ValueError(
                f"sample {self.id}: unknown task {self.task!r}; choose from {', '.join(Task)}"
            )
        object.__setattr__(self, "task", Task(self.task))
        if not self.instruction.strip():
            raise ValueError(f"sample {self.id}: the instruction is empty")
        for name in ("scene", "part"):
            if not isinstance(value := getattr(self, name), str):
                raise ValueError(f"sample {self.id}: {name} must be a string, got {value!r}")  # noqa: TRY004 - the docstring says so
        object.__setattr__(self, "image_size", _size(self.image_size, self.id))
        if not isinstance(self.target, _TARGET_OF[self.task]):
            raise ValueError(  # noqa: TRY004 - a mismatch of two values, as the docstring says
                f"sample {self.id}: task {self.task} needs a {_TARGET_OF[self.task].__name__}, "
                f"got {type(self.target).__name__}"
            )
        if isinstance(self.target, RegionTarget) and self.target.mask is not None:
            height, width = self.target.mask.shape
            if (width, height) != self.image_size:
                raise ValueError(
                    f"sample {self.id}: a mask of {width}x{height} for an image of "
                    f"{self.image_size[0]}x{self.image_size[1]}"
                )
        object.__setattr__(self, "provenance", dict(self.provenance))

    @property
    def diagonal(self) -> float:
        """Diagonal of the image [px], the length scale of the rewards."""
        return float(np.hypot(*self.image_size))


def _size(size: Sequence[int], sample_id: str) -> tuple[int, int]:
    if len(size) != 2 or any(int(side) != side or side <= 0 for side in size):
        raise ValueError(
            f"sample {sample_id}: image_size must be (width, height) as integers, got {size}"
        )
    return int(size[0]), int(size[1])


def _numbers(values: ArrayLike, name: str) -> FloatArray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: not an array of numbers") from error
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: every coordinate must be finite")
    array.setflags(write=False)
    return array
