"""Which parts of the world the hand touches, how hard, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from maniplvm.geometry.arrays import FloatArray, IntArray
from maniplvm.simulation.worlds.base import Scene


@dataclass(frozen=True, eq=False)
class ContactLog:
    """Contacts between the hand and everything that is not the robot, in the order of time.

    Attributes:
        step: `(C,)` control step after which the contact was seen, from 1.
        hand_geom: `(C,)` geom of the hand.
        geom: `(C,)` geom that it touches.
        body: `(C,)` body of that geom.
        impulse: `(C,)` normal force times the duration of a control step [N s].
        local: `(C, 3)` contact point in the touched body's frame [m].
        reach: `(C, 3)` contact point seen from the end effector, world axes [m].
    """

    step: IntArray
    hand_geom: IntArray
    geom: IntArray
    body: IntArray
    impulse: FloatArray
    local: FloatArray
    reach: FloatArray

    def __len__(self) -> int:
        return len(self.step)

    def where(self, mask: NDArray[np.bool_]) -> ContactLog:
        """The contacts that the mask `(C,)` selects."""
        return ContactLog(**{name: values[mask] for name, values in vars(self).items()})

    @staticmethod
    def joined(logs: Sequence[ContactLog]) -> ContactLog:
        """One log after the other."""
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
        """The contacts of the present state.

        Args:
            step: The control step just done.
            duration: What one control step lasts [s].
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
            reach=points - self._scene.end_effector(),
        )
