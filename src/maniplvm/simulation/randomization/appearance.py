"""How an image may differ from the plain scene: six kinds of variety, each with a switch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maniplvm.errors import UserError
from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.randomization.distractors import is_backdrop
from maniplvm.simulation.randomization.textures import BANK_SIZE, texture
from maniplvm.simulation.scene.cameras import Framing
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds.base import Scene, Viewpoint

PLAIN_FILL = 0.74
TEXTURE_SIDE = 256
"""Textures of the room are made this coarse [px], because changing them takes time."""


@dataclass(frozen=True)
class Variety:
    """What may vary from image to image.

    Attributes:
        camera: Azimuth, elevation, distance and where the action lies in the image.
        field_of_view: Of the camera.
        light: Strength, warmth and direction.
        colours: Of table, walls and objects; no instruction names a colour.
        textures: Of table, walls and floor; teaching and testing splits share none.
        distractors: Things on the table that have no part in the task.
    """

    camera: bool = True
    field_of_view: bool = True
    light: bool = True
    colours: bool = True
    textures: bool = True
    distractors: bool = True

    @classmethod
    def without(cls, names: Iterable[str]) -> Variety:
        """Everything varies but the named kinds; `all` names every kind.

        Raises:
            UserError: there is no such kind.
        """
        kinds = [field.name for field in fields(cls)]
        off: set[str] = set()
        for name in names:
            if name != "all" and name not in kinds:
                raise UserError(
                    f"unknown variety {name!r}; choose from {', '.join([*kinds, 'all'])}"
                )
            off.update(kinds if name == "all" else [name])
        return cls(**{kind: kind not in off for kind in kinds})


def any_framing(
    rng: np.random.Generator, viewpoint: Viewpoint, azimuth: float, variety: Variety
) -> Framing:
    """How to look at a scene, near one of its good directions.

    Args:
        rng: Source of chance; the draws do not depend on the switches.
        viewpoint: Of the scene.
        azimuth: The direction to stay close to [deg].
        variety: What may vary.
    """
    turn, tilt = rng.uniform(-25, 25), rng.uniform(-8, 8)
    fill, widen = rng.uniform(0.62, 0.84), rng.uniform(-9, 9)
    across, down = rng.uniform(0, 1), rng.uniform(0, 1)
    moves = variety.camera
    return Framing(
        azimuth=round(azimuth + (turn if moves else 0.0), 3),
        elevation=round(viewpoint.elevation + (tilt if moves else 0.0), 3),
        fovy=round(viewpoint.fovy + (widen if variety.field_of_view else 0.0), 3),
        fill=fill if moves else PLAIN_FILL,
        shift=(across, down) if moves else (0.5, 0.5),
    )


class Appearance:
    """Dresses a scene's model in new light, colours and textures.

    Make it before the scene's renderer, which copies the textures once and for all.
    """

    _FIELDS = ("light_diffuse", "light_ambient", "mat_rgba", "geom_rgba")

    def __init__(self, scene: Scene) -> None:
        self._model = scene.model
        self._plain = {name: getattr(scene.model, name).copy() for name in self._FIELDS}
        self._headlight = tuple(
            np.array(getattr(scene.model.vis.headlight, name)) for name in ("ambient", "diffuse")
        )
        self._painted = _painted_parts(scene)
        self._images = {number: self._coarsened(number) for number in self._painted.textures}
        self._swing: FloatArray | None = None
        self._worn: dict[int, tuple[int, bool] | None] = dict.fromkeys(self._images)

    def dress(
        self, rng: np.random.Generator, variety: Variety, teaches: bool, renderer: Renderer
    ) -> dict[str, Any]:
        """Put a new look on; it starts from the plain one, whatever was worn before.

        Args:
            rng: Source of chance.
            variety: What may vary.
            teaches: Whether to use the textures of the teaching splits.
            renderer: Of the same scene.

        Returns:
            What was chosen, ready for JSON.
        """
        light, colour, cloth = (np.random.default_rng(rng.integers(2**32)) for _ in range(3))
        self._undress()
        look: dict[str, Any] = {}
        if variety.light:
            look["light"] = self._change_light(light)
        if variety.colours:
            look["recoloured"] = self._change_colours(colour)
        chosen = self._choose_textures(cloth, teaches) if variety.textures else {}
        for number in self._images:
            self._wear(number, chosen.get(number), renderer)
        if variety.textures:
            look["textures"] = {str(number): pick[0] for number, pick in chosen.items()}
        return look

    def aim_lights(self, drawn: mujoco.MjvScene) -> None:
        """Turn the lamps of a scene that is about to be rendered."""
        if self._swing is None:
            return
        lamps = [light for light in drawn.lights[: drawn.nlight] if not light.headlight]
        for lamp, swing in zip(lamps, self._swing, strict=False):
            turned = np.asarray(lamp.dir) + swing
            lamp.dir[:] = turned / np.linalg.norm(turned)

    def _undress(self) -> None:
        for name, values in self._plain.items():
            getattr(self._model, name)[:] = values
        headlight = self._model.vis.headlight
        headlight.ambient[:], headlight.diffuse[:] = self._headlight
        self._swing = None

    def _change_light(self, rng: np.random.Generator) -> dict[str, float]:
        model = self._model
        brightness, warmth = rng.uniform(0.65, 1.25), rng.uniform(-0.08, 0.08)
        lamps, ambient, front = rng.uniform(0.6, 1.3), rng.uniform(0.8, 1.2), rng.uniform(0.6, 1.3)
        tint = brightness * np.array([1 + warmth, 1.0, 1 - warmth])
        model.light_diffuse[:] *= lamps * tint
        model.light_ambient[:] *= ambient * tint
        model.vis.headlight.ambient[:] *= ambient * tint
        model.vis.headlight.diffuse[:] *= front * tint
        self._swing = rng.normal(0, 0.3, model.light_dir.shape)
        return {"brightness": round(brightness, 3), "warmth": round(warmth, 3)}

    def _change_colours(self, rng: np.random.Generator) -> int:
        """Shade every material a little, and give some objects a new colour altogether."""
        model, painted = self._model, self._painted
        shade = rng.uniform(0.8, 1.15, (model.nmat, 1)) * rng.uniform(0.9, 1.1, (model.nmat, 3))
        model.mat_rgba[:, :3] = np.clip(model.mat_rgba[:, :3] * shade, 0, 1)
        recoloured = 0
        for materials, geoms in painted.objects:
            fresh, colour = rng.uniform() < 0.35, rng.uniform(0.15, 0.95, 3)
            if fresh:
                recoloured += 1
                model.mat_rgba[materials, :3] = colour
                model.geom_rgba[geoms, :3] = colour
        return recoloured

    def _choose_textures(
        self, rng: np.random.Generator, teaches: bool
    ) -> dict[int, tuple[int, bool]]:
        chosen = {}
        for number in self._images:
            changed, pick = rng.uniform() < 0.6, int(rng.integers(BANK_SIZE))
            if changed:
                chosen[number] = (pick, teaches)
        return chosen

    def _wear(self, number: int, pick: tuple[int, bool] | None, renderer: Renderer) -> None:
        if self._worn[number] == pick:
            return
        data = self._texture_data(number)
        data[:] = self._images[number] if pick is None else texture(*pick, *data.shape)
        renderer.upload_texture(number)
        self._worn[number] = pick

    def _coarsened(self, number: int) -> NDArray[np.uint8]:
        """Shrink a texture in the model; returns a copy of what it then looks like."""
        model, data = self._model, self._texture_data(number)
        if max(data.shape[:2]) > TEXTURE_SIDE and data.shape[2] == 3:
            small = Image.fromarray(data).resize((TEXTURE_SIDE, TEXTURE_SIDE), Image.Resampling.BOX)
            model.tex_width[number] = model.tex_height[number] = TEXTURE_SIDE
            self._texture_data(number)[:] = np.asarray(small)
        return self._texture_data(number).copy()

    def _texture_data(self, number: int) -> NDArray[np.uint8]:
        model = self._model
        shape = tuple(
            int(values[number])
            for values in (model.tex_height, model.tex_width, model.tex_nchannel)
        )
        start = int(model.tex_adr[number])
        return model.tex_data[start : start + int(np.prod(shape))].reshape(shape)


@dataclass(frozen=True)
class _PaintedParts:
    """Textures of the room, and the materials and geoms of each object in it."""

    textures: tuple[int, ...]
    objects: tuple[tuple[list[int], list[int]], ...]


def _painted_parts(scene: Scene) -> _PaintedParts:
    model = scene.model
    room: set[int] = set()
    robot: set[int] = set()
    bodies: dict[int, list[int]] = {}
    for geom in range(model.ngeom):
        body, material = int(model.geom_bodyid[geom]), int(model.geom_matid[geom])
        if body in scene.robot_bodies:
            robot.add(material)
        elif is_backdrop(model, geom):
            room.add(material)
        else:
            bodies.setdefault(material, []).append(geom)
    textures = {
        int(number)
        for material in room - {-1}
        for number in model.mat_texid[material]
        if number >= 0 and int(model.tex_type[number]) != int(mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    }
    objects = tuple(
        ([material], [geom for geom in geoms if not _has_default_colour(model, geom)])
        for material, geoms in sorted(bodies.items())
        if material >= 0 and material not in robot and material not in room
    )
    return _PaintedParts(tuple(sorted(textures)), objects)


def _has_default_colour(model: mujoco.MjModel, geom: int) -> bool:
    return bool(np.allclose(model.geom_rgba[geom], (0.5, 0.5, 0.5, 1.0)))
