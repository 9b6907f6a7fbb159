"""Expert demonstrations with the contacts of the robot's hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from maniplvm.geometry.arrays import BoolArray, FloatArray, IntArray
from maniplvm.simulation.worlds.base import Scene


@dataclass(frozen=True, eq=False)
class ContactLog:
    """Contacts between the hand and everything except the robot, in order of time.

    Attributes:
        step: `(C,)` control step after which the contact was read, from 1.
        hand_geom: `(C,)` id of the hand's geom.
        geom: `(C,)` id of the touched geom.
        body: `(C,)` id of the touched geom's body.
        impulse: `(C,)` normal force times the duration of the control step [N s].
        local: `(C, 3)` contact point in the touched body's frame [m].
        offset: `(C, 3)` contact point relative to the end effector [m, world axes].
    """

    step: IntArray
    hand_geom: IntArray
    geom: IntArray
    body: IntArray
    impulse: FloatArray
    local: FloatArray
    offset: FloatArray

    def __len__(self) -> int:
        return len(self.step)

    def where(self, mask: BoolArray) -> ContactLog:
        """The contacts that the mask `(C,)` selects."""
        return ContactLog(**{name: values[mask] for name, values in vars(self).items()})

    @staticmethod
    def concatenate(logs: Sequence[ContactLog]) -> ContactLog:
        """Join logs in the given order."""
        return ContactLog(
            **{
                name: np.concatenate([getattr(log, name) for log in logs])
                for name in ContactLog.__dataclass_fields__
            }
        )


class ContactSensor:
    """Reads the hand's contacts from a scene's state."""

    def __init__(self, scene: Scene) -> None:
        model = scene.model
        self._scene = scene
        self._body = np.asarray(model.geom_bodyid, dtype=np.int64)
        self._hand = np.isin(self._body, list(scene.hand_bodies))
        self._robot = np.isin(self._body, list(scene.robot_bodies))

    def read(self, step: int, duration: float) -> ContactLog:
        """The contacts of the current state.

        Args:
            step: Number of the latest control step.
            duration: Duration of that control step [s].
        """
        model, data = self._scene.model, self._scene.data
        pairs = np.asarray(data.contact.geom, dtype=np.int64).reshape(-1, 2)
        hand_first = self._hand[pairs[:, 0]] & ~self._robot[pairs[:, 1]]
        hand_second = self._hand[pairs[:, 1]] & ~self._robot[pairs[:, 0]]
        found = np.flatnonzero(hand_first | hand_second)
        hand = np.where(hand_first, pairs[:, 0], pairs[:, 1])[found]
        geom = np.where(hand_first, pairs[:, 1], pairs[:, 0])[found]
        body = self._body[geom]
        points = np.asarray(data.contact.pos, dtype=np.float64).reshape(-1, 3)[found]
        force, forces = np.zeros(6), np.zeros(len(found))
        for row, index in enumerate(found):
            mujoco.mj_contactForce(model, data, int(index), force)
            forces[row] = max(force[0], 0.0)
        rotation = data.xmat[body].reshape(-1, 3, 3)
        return ContactLog(
            step=np.full(len(found), step, dtype=np.int64),
            hand_geom=hand,
            geom=geom,
            body=body,
            impulse=forces * duration,
            local=np.einsum("cij,ci->cj", rotation, points - data.xpos[body]),
            offset=points - self._scene.end_effector(),
        )


@dataclass(frozen=True, eq=False)
class Demonstration:
    """One episode of the scripted expert.

    Attributes:
        seed: Seed of the initial state.
        initial: The initial state.
        path: `(T + 1, 3)` end effector before the first and after every step [m, world].
        gripper: `(T,)` gripper command of every step, -1 open to 1 closed.
        contacts: Contacts of the hand.
        success: Whether the task was solved. The demonstration ends at that step.
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
    """Reset the scene and run its expert until success or until the horizon.

    Args:
        scene: Any scene. It stays in the last state of the demonstration.
        seed: Seed of the initial state.
    """
    scene.reset(seed)
    initial = scene.snapshot()
    sensor = ContactSensor(scene)
    path, gripper, contacts = [scene.end_effector()], [], [sensor.read(0, 0.0)]
    success = False
    for command in scene.expert():
        start = scene.data.time
        success = scene.apply(command)
        path.append(scene.end_effector())
        gripper.append(command.gripper)
        contacts.append(sensor.read(len(gripper), scene.data.time - start))
        if success or len(gripper) >= scene.horizon:
            break
    return Demonstration(
        seed=seed,
        initial=initial,
        path=np.array(path),
        gripper=np.array(gripper),
        contacts=ContactLog.concatenate(contacts),
        success=success,
    )
