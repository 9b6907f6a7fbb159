"""Contact monitor: was the part touched, carried or lost during a motion?"""

from __future__ import annotations

import numpy as np

from maniplvm.simulation.worlds.base import Scene

MIN_CARRY_DISTANCE = 0.02
"""A part that a closed hand has moved this far counts as carried [m]."""
LOST_STEPS = 10
"""A carried part without contact for this number of steps counts as lost."""


class ContactMonitor:
    """Tracks the contacts between the hand and a part since the scene's reset.

    Attributes:
        touched: Whether the hand has touched the part.
        dropped: Whether the part was carried and then lost.
    """

    def __init__(self, scene: Scene, body_name: str) -> None:
        """Start to monitor a scene.

        Args:
            scene: The scene in its initial state.
            body_name: Name of the part's body, or `#id`; empty if the task needs no contact.

        Raises:
            ValueError: The scene has no such body.
        """
        body_of = np.asarray(scene.model.geom_bodyid)
        self.touched = not body_name
        self.dropped = False
        self._data = scene.data
        self._body = _body_id(scene, body_name) if body_name else -1
        self._hand = np.isin(body_of, list(scene.hand_bodies))
        self._part = body_of == self._body
        self._start = scene.data.xpos[self._body].copy()
        self._carried = False
        self._steps_without_contact = 0

    def update(self, is_closed: bool) -> None:
        """Read the current state.

        Args:
            is_closed: Whether the gripper is commanded to hold the part.
        """
        if self._body < 0:
            return
        if self._is_touching():
            self.touched, self._steps_without_contact = True, 0
            moved = np.linalg.norm(self._data.xpos[self._body] - self._start)
            self._carried = self._carried or (is_closed and bool(moved > MIN_CARRY_DISTANCE))
        else:
            self._steps_without_contact += 1
        if is_closed:
            self.dropped = self._carried and self._steps_without_contact >= LOST_STEPS

    def _is_touching(self) -> bool:
        pairs = np.asarray(self._data.contact.geom).reshape(-1, 2)
        first, second = pairs[:, 0], pairs[:, 1]
        met = (self._hand[first] & self._part[second]) | (self._hand[second] & self._part[first])
        return bool(met.any())


def _body_id(scene: Scene, name: str) -> int:
    model = scene.model
    if name.startswith("#"):
        body = int(name[1:]) if name[1:].isdecimal() else -1
    else:
        names = [model.body(index).name for index in range(model.nbody)]
        body = names.index(name) if name in names else -1
    if not 0 <= body < model.nbody:
        raise ValueError(f"{scene.world}, {scene.task}: there is no body {name!r}")
    return body
