"""Settings of domain randomization, and random camera framings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from maniplvm.errors import UserError
from maniplvm.simulation.scene.cameras import Framing
from maniplvm.simulation.worlds.base import Viewpoint

DEFAULT_FILL = 0.74
"""Share of the image's side that the subject spans without camera randomization."""


@dataclass(frozen=True)
class DomainRandomization:
    """The kinds of randomization, each on or off.

    Attributes:
        camera: Azimuth, elevation, distance and placement of the subject in the image.
        field_of_view: Field of view of the camera.
        light: Strength, warmth and direction of the lights.
        colours: Colours of table, walls and objects. No instruction names a colour.
        textures: Textures of table, walls and floor. Training and test splits share none.
        distractors: Objects on the table that have no role in the task.
    """

    camera: bool = True
    field_of_view: bool = True
    light: bool = True
    colours: bool = True
    textures: bool = True
    distractors: bool = True

    @classmethod
    def without(cls, names: Iterable[str]) -> DomainRandomization:
        """All kinds except the named ones; `all` names every kind.

        Raises:
            UserError: A name is unknown.
        """
        kinds = [field.name for field in fields(cls)]
        off: set[str] = set()
        for name in names:
            if name != "all" and name not in kinds:
                raise UserError(
                    f"unknown kind of randomization {name!r}; "
                    f"choose from {', '.join([*kinds, 'all'])}"
                )
            off.update(kinds if name == "all" else [name])
        return cls(**{kind: kind not in off for kind in kinds})


def sample_framing(
    rng: np.random.Generator,
    viewpoint: Viewpoint,
    azimuth: float,
    randomization: DomainRandomization,
) -> Framing:
    """Draw a random framing near one of the scene's viewing directions.

    Args:
        rng: Random generator. The number of draws does not depend on the settings.
        viewpoint: Viewing directions of the scene.
        azimuth: The chosen direction [deg].
        randomization: Kinds of randomization.
    """
    turn, tilt = rng.uniform(-25, 25), rng.uniform(-8, 8)
    fill, widen = rng.uniform(0.62, 0.84), rng.uniform(-9, 9)
    across, down = rng.uniform(0, 1), rng.uniform(0, 1)
    is_random = randomization.camera
    return Framing(
        azimuth=round(azimuth + (turn if is_random else 0.0), 3),
        elevation=round(viewpoint.elevation + (tilt if is_random else 0.0), 3),
        fovy=round(viewpoint.fovy + (widen if randomization.field_of_view else 0.0), 3),
        fill=fill if is_random else DEFAULT_FILL,
        shift=(across, down) if is_random else (0.5, 0.5),
    )
