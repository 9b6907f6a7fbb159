"""What a simulated sample remembers: enough to rebuild its scene without rendering anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.tasks.sample import Sample


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where a simulated sample comes from.

    The traced point is the point of the gripper that touches the part. The end effector is at
    the traced point minus `traced_offset`; the hand keeps its orientation, so that holds
    throughout.

    Attributes:
        world: Name of the world.
        task: Name of the task in its world.
        seed: Of the scene's reset.
        view: Number of the image among those of the scene.
        camera: Pose and intrinsics.
        part: What the affordance is called.
        goal_marker: Whether a marker shows the goal.
        touched_body: Name of the touched body, or `#id` when it has none.
        touched_geoms: Ids of its geoms that carry the force.
        visible_fraction: Of the touched patch in the image, 0..1.
        trace: `(N, 2)` the reference trace, unrounded [px].
        waypoint_depths: `(N,)` of the reference trace, along the optical axis [m].
        gripper: `(N,)` command that holds from each waypoint on, -1 open to 1 closed.
        contact_waypoint: Index of the waypoint nearest in time to the first touch.
        traced_offset: `(3,)` from the end effector to the traced point [m, world axes].
        expert_steps: Control steps that the expert needed.
        look: What randomisation chose.
        versions: Of the packages that decide the physics.
    """

    world: str
    task: str
    seed: int
    view: int
    camera: Camera
    part: str
    goal_marker: bool
    touched_body: str
    touched_geoms: tuple[int, ...]
    visible_fraction: float
    trace: FloatArray
    waypoint_depths: FloatArray
    gripper: FloatArray
    contact_waypoint: int
    traced_offset: FloatArray
    expert_steps: int
    look: Mapping[str, Any]
    versions: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `Sample.provenance`."""
        plain = {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }
        return plain | {
            "camera": self.camera.to_json(),
            "touched_geoms": list(self.touched_geoms),
            "look": dict(self.look),
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Provenance:
        """The record that `to_json` described.

        Raises:
            ValueError: a field is missing.
        """
        missing = [name for name in cls.__dataclass_fields__ if name not in plain]
        if missing:
            raise ValueError(f"provenance of a simulated sample lacks {', '.join(missing)}")
        fields = {name: plain[name] for name in cls.__dataclass_fields__}
        for name in ("trace", "waypoint_depths", "gripper", "traced_offset"):
            fields[name] = np.array(fields[name], dtype=np.float64)
        fields["camera"] = Camera.from_json(plain["camera"])
        fields["touched_geoms"] = tuple(plain["touched_geoms"])
        return cls(**fields)


def is_simulated(sample: Sample) -> bool:
    """Whether the simulator can rebuild the sample's scene: it holds all fields of `Provenance`."""
    return Provenance.__dataclass_fields__.keys() <= sample.provenance.keys()


def task_of(sample: Sample) -> str:
    """Name of the simulator's task, or an empty string for a sample that is not simulated."""
    return str(sample.provenance["task"]) if is_simulated(sample) else ""
