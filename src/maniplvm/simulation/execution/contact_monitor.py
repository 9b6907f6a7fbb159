"""An eye on the part while the arm moves: was it touched, was it carried, was it lost?"""

from __future__ import annotations

import numpy as np

from maniplvm.simulation.worlds.base import Scene

CARRIED = 0.02
"""A part that moved this far in a closed hand counts as carried [m]."""
LOST_STEPS = 10
"""A carried part that the hand has not touched for so long is lost."""


class Watch:
    """What happened between the hand and the part since the scene was reset.

    Attributes:
        touched: Whether the hand ever met the part.
        dropped: Whether the part was carried and is lost now.
    """

    def __init__(self, scene: Scene, part: str) -> None:
        """Start watching.

        Args:
            scene: In its initial state.
            part: Name of the part's body, or `#id`; empty where nothing is meant to be touched.

        Raises:
            ValueError: the scene has no such body.
        """
        owner = np.asarray(scene.model.geom_bodyid)
        self.touched = not part
        self.dropped = False
        self._data = scene.data
        self._body = _body(scene, part) if part else -1
        self._hand = np.isin(owner, list(scene.hand_bodies))
        self._part = owner == self._body
        self._start = scene.data.xpos[self._body].copy()
        self._carried = False
        self._apart = 0

    def look(self, holding: bool) -> None:
        """Take note of the present state.

        Args:
            holding: Whether the gripper has closed and is meant to hold.
        """
        if self._body < 0:
            return
        if self._touching():
            self.touched, self._apart = True, 0
            moved = np.linalg.norm(self._data.xpos[self._body] - self._start)
            self._carried = self._carried or (holding and bool(moved > CARRIED))
        else:
            self._apart += 1
        if holding:
            self.dropped = self._carried and self._apart >= LOST_STEPS

    def _touching(self) -> bool:
        pairs = np.asarray(self._data.contact.geom).reshape(-1, 2)
        first, second = pairs[:, 0], pairs[:, 1]
        met = (self._hand[first] & self._part[second]) | (self._hand[second] & self._part[first])
        return bool(met.any())


def _body(scene: Scene, part: str) -> int:
    model = scene.model
    if part.startswith("#"):
        body = int(part[1:]) if part[1:].isdecimal() else -1
    else:
        names = [model.body(index).name for index in range(model.nbody)]
        body = names.index(part) if part in names else -1
    if not 0 <= body < model.nbody:
        raise ValueError(f"{scene.world}, {scene.task}: there is no body {part!r}")
    return body
