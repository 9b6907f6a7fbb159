"""Expert demonstrations: the path, the gripper and every touch on the way to success."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.labels.contacts import ContactLog, ContactSensor
from maniplvm.simulation.worlds.base import Scene


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What the expert did from one initial state.

    Attributes:
        seed: Of the initial state.
        initial: The initial state, to look at.
        path: `(T + 1, 3)` end effector before the first and after every step [m, world].
        gripper: `(T,)` command of every step, -1 open to 1 closed.
        contacts: What the hand touched.
        success: Whether the task was solved; the demonstration ends there.
    """

    seed: int
    initial: mujoco.MjData
    path: FloatArray
    gripper: FloatArray
    contacts: ContactLog
    success: bool

    @property
    def steps(self) -> int:
        """Number of control steps, T."""
        return len(self.gripper)


def demonstrate(scene: Scene, seed: int) -> Demonstration:
    """Reset the scene and let its expert act until success or the horizon.

    Args:
        scene: Any scene; it is left in the demonstration's last state.
        seed: Of the initial state.
    """
    scene.reset(seed)
    initial = scene.snapshot()
    sensor = ContactSensor(scene)
    path, gripper, contacts = [scene.end_effector()], [], [sensor.read(0, 0.0)]
    success = False
    for command in scene.expert():
        began = scene.data.time
        success = scene.apply(command)
        path.append(scene.end_effector())
        gripper.append(command.gripper)
        contacts.append(sensor.read(len(gripper), scene.data.time - began))
        if success or len(gripper) >= scene.horizon:
            break
    return Demonstration(
        seed=seed,
        initial=initial,
        path=np.array(path),
        gripper=np.array(gripper),
        contacts=ContactLog.joined(contacts),
        success=success,
    )
