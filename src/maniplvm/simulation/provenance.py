"""The provenance of a simulated sample: enough to rebuild its scene without rendering."""

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
    """The origin of a simulated sample. Attribute names are the stored keys.

    The traced point is the point of the gripper that touches the part. The end effector is at
    the traced point minus `traced_offset`. The hand keeps its orientation, so the offset is
    constant.

    Attributes:
        world: Name of the world.
        task: Name of the task in its world.
        seed: Seed of the scene's reset.
        view: Number of the image among the images of the scene.
        camera: Pose and intrinsics of the camera.
        part: Name of the touched part in the instructions.
        goal_marker: Whether a marker shows the goal.
        touched_body: Name of the touched body, or `#id` if it has no name.
        touched_geoms: Ids of the geoms that carry the force.
        visible_fraction: Visible fraction of the touched surface, 0..1.
        trace: `(N, 2)` reference trace, unrounded [px].
        waypoint_depths: `(N,)` depth of the reference trace along the optical axis [m].
        gripper: `(N,)` gripper command from each waypoint on, -1 open to 1 closed.
        contact_waypoint: Index of the waypoint nearest in time to the first contact.
        traced_offset: `(3,)` from the end effector to the traced point [m, world axes].
        expert_steps: Number of control steps of the expert.
        look: Values that domain randomization chose.
        versions: Versions of the packages that decide the physics.
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
        """JSON-ready values for `Sample.provenance`."""
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
        """The inverse of `to_json`.

        Raises:
            ValueError: A field is missing.
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
