"""Random lights, colours and procedural textures of a scene."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maniplvm.geometry.arrays import FloatArray
from maniplvm.simulation.randomization.distractors import is_background
from maniplvm.simulation.randomization.domain_randomization import DomainRandomization
from maniplvm.simulation.scene.rendering import Renderer
from maniplvm.simulation.worlds.base import Scene

Pattern = Callable[[np.random.Generator, int], FloatArray]

MAX_TEXTURE_SIDE = 256
"""Maximum side of the room's textures [px]. Larger textures take long to change."""
BANK_SIZE = 8
"""Number of textures for training splits, and of those for test splits. They share none."""
_TILE = 128


class Appearance:
    """Changes the lights, colours and textures of a scene's model.

    Create it before the scene's renderer, because the renderer copies the textures once.
    """

    _FIELDS = ("light_diffuse", "light_ambient", "mat_rgba", "geom_rgba")

    def __init__(self, scene: Scene) -> None:
        self._model = scene.model
        self._original = {name: getattr(scene.model, name).copy() for name in self._FIELDS}
        self._headlight = tuple(
            np.array(getattr(scene.model.vis.headlight, name)) for name in ("ambient", "diffuse")
        )
        self._recolourable = _find_recolourable(scene)
        self._original_textures = {
            number: self._shrink(number) for number in self._recolourable.textures
        }
        self._light_rotation: FloatArray | None = None
        self._applied: dict[int, tuple[int, bool] | None] = dict.fromkeys(self._original_textures)

    def apply(
        self,
        rng: np.random.Generator,
        randomization: DomainRandomization,
        is_training: bool,
        renderer: Renderer,
    ) -> dict[str, Any]:
        """Apply a new random appearance. It always starts from the original appearance.

        Args:
            rng: Random generator.
            randomization: Kinds of randomization.
            is_training: Whether to use the textures of the training splits.
            renderer: Renderer of the same scene.

        Returns:
            The chosen values, JSON-ready.
        """
        light_rng, colour_rng, texture_rng = (
            np.random.default_rng(rng.integers(2**32)) for _ in range(3)
        )
        self._reset()
        look: dict[str, Any] = {}
        if randomization.light:
            look["light"] = self._change_light(light_rng)
        if randomization.colours:
            look["recoloured"] = self._change_colours(colour_rng)
        chosen = self._choose_textures(texture_rng, is_training) if randomization.textures else {}
        for number in self._original_textures:
            self._set_texture(number, chosen.get(number), renderer)
        if randomization.textures:
            look["textures"] = {str(number): pick[0] for number, pick in chosen.items()}
        return look

    def rotate_lights(self, visual: mujoco.MjvScene) -> None:
        """Rotate the lights of the visual scene; a scene callback of `Renderer`."""
        if self._light_rotation is None:
            return
        lights = [light for light in visual.lights[: visual.nlight] if not light.headlight]
        for light, change in zip(lights, self._light_rotation, strict=False):
            direction = np.asarray(light.dir) + change
            light.dir[:] = direction / np.linalg.norm(direction)

    def _reset(self) -> None:
        for name, values in self._original.items():
            getattr(self._model, name)[:] = values
        headlight = self._model.vis.headlight
        headlight.ambient[:], headlight.diffuse[:] = self._headlight
        self._light_rotation = None

    def _change_light(self, rng: np.random.Generator) -> dict[str, float]:
        model = self._model
        brightness, warmth = rng.uniform(0.65, 1.25), rng.uniform(-0.08, 0.08)
        diffuse, ambient, headlight = (
            rng.uniform(0.6, 1.3),
            rng.uniform(0.8, 1.2),
            rng.uniform(0.6, 1.3),
        )
        tint = brightness * np.array([1 + warmth, 1.0, 1 - warmth])
        model.light_diffuse[:] *= diffuse * tint
        model.light_ambient[:] *= ambient * tint
        model.vis.headlight.ambient[:] *= ambient * tint
        model.vis.headlight.diffuse[:] *= headlight * tint
        self._light_rotation = rng.normal(0, 0.3, model.light_dir.shape)
        return {"brightness": round(brightness, 3), "warmth": round(warmth, 3)}

    def _change_colours(self, rng: np.random.Generator) -> int:
        """Shade every material slightly, and replace the colour of some objects."""
        model = self._model
        shade = rng.uniform(0.8, 1.15, (model.nmat, 1)) * rng.uniform(0.9, 1.1, (model.nmat, 3))
        model.mat_rgba[:, :3] = np.clip(model.mat_rgba[:, :3] * shade, 0, 1)
        recoloured = 0
        for materials, geoms in self._recolourable.objects:
            is_recoloured, colour = rng.uniform() < 0.35, rng.uniform(0.15, 0.95, 3)
            if is_recoloured:
                recoloured += 1
                model.mat_rgba[materials, :3] = colour
                model.geom_rgba[geoms, :3] = colour
        return recoloured

    def _choose_textures(
        self, rng: np.random.Generator, is_training: bool
    ) -> dict[int, tuple[int, bool]]:
        chosen = {}
        for number in self._original_textures:
            is_changed, pick = rng.uniform() < 0.6, int(rng.integers(BANK_SIZE))
            if is_changed:
                chosen[number] = (pick, is_training)
        return chosen

    def _set_texture(self, number: int, pick: tuple[int, bool] | None, renderer: Renderer) -> None:
        if self._applied[number] == pick:
            return
        data = self._texture_data(number)
        data[:] = self._original_textures[number] if pick is None else texture(*pick, *data.shape)
        renderer.upload_texture(number)
        self._applied[number] = pick

    def _shrink(self, number: int) -> NDArray[np.uint8]:
        """Shrink a texture in the model and return a copy of the result."""
        model, data = self._model, self._texture_data(number)
        if max(data.shape[:2]) > MAX_TEXTURE_SIDE and data.shape[2] == 3:
            small = Image.fromarray(data).resize(
                (MAX_TEXTURE_SIDE, MAX_TEXTURE_SIDE), Image.Resampling.BOX
            )
            model.tex_width[number] = model.tex_height[number] = MAX_TEXTURE_SIDE
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
class _Recolourable:
    """The room's textures, and the materials and geoms of each object."""

    textures: tuple[int, ...]
    objects: tuple[tuple[list[int], list[int]], ...]


def _find_recolourable(scene: Scene) -> _Recolourable:
    model = scene.model
    room: set[int] = set()
    robot: set[int] = set()
    bodies: dict[int, list[int]] = {}
    for geom in range(model.ngeom):
        body, material = int(model.geom_bodyid[geom]), int(model.geom_matid[geom])
        if body in scene.robot_bodies:
            robot.add(material)
        elif is_background(model, geom):
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
    return _Recolourable(tuple(sorted(textures)), objects)


def _has_default_colour(model: mujoco.MjModel, geom: int) -> bool:
    return bool(np.allclose(model.geom_rgba[geom], (0.5, 0.5, 0.5, 1.0)))


@functools.lru_cache(maxsize=64)
def texture(
    number: int, is_training: bool, height: int, width: int, channels: int
) -> NDArray[np.uint8]:
    """A procedural texture.

    Args:
        number: 0 to `BANK_SIZE - 1`.
        is_training: Whether the texture is for training splits or for test splits.
        height: Height [px].
        width: Width [px].
        channels: 1, 3 or 4. The fourth channel is opaque.

    Returns:
        `(height, width, channels)`.
    """
    rng = np.random.default_rng([int(is_training), number])
    pattern = _PATTERNS[number % len(_PATTERNS)](rng, _TILE)
    dark, light = _dark_and_light(rng)
    tile = dark + pattern[..., None] * (light - dark)
    rows, columns = (np.arange(side) * _TILE // side for side in (height, width))
    image = np.full((height, width, channels), 255, dtype=np.uint8)
    colour = np.clip(tile[rows][:, columns] * 255, 0, 255).astype(np.uint8)
    image[..., : min(channels, 3)] = colour[..., : min(channels, 3)]
    return image


def _dark_and_light(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    base = rng.uniform(0.35, 0.75, 3)
    base = base.mean() + 0.6 * (
        base - base.mean()
    )  # muted colours, so that objects are easy to see
    contrast = rng.uniform(0.06, 0.20)
    return np.clip(base - contrast, 0, 1), np.clip(base + contrast, 0, 1)


def _planks(rng: np.random.Generator, side: int) -> FloatArray:
    count = int(rng.integers(3, 7))
    shade = np.repeat(rng.uniform(0, 1, count), side // count + 1)[:side]
    grain = _smooth(rng, side, 2, 32)
    return np.clip(0.6 * shade[:, None] + 0.4 * grain, 0, 1)


def _checks(rng: np.random.Generator, side: int) -> FloatArray:
    period = side // int(rng.integers(2, 5))
    rows, columns = np.indices((side, side)) // period
    return ((rows + columns) % 2).astype(np.float64)


def _marble(rng: np.random.Generator, side: int) -> FloatArray:
    return 0.6 * _smooth(rng, side, 6, 6) + 0.4 * _smooth(rng, side, 16, 16)


def _speckle(rng: np.random.Generator, side: int) -> FloatArray:
    return (rng.uniform(0, 1, (side, side)) > 0.75).astype(np.float64)


def _tiles(rng: np.random.Generator, side: int) -> FloatArray:
    period = side // int(rng.integers(2, 6))
    inside = np.indices((side, side)) % period > 2
    return (inside[0] & inside[1]).astype(np.float64) * 0.8


_PATTERNS: tuple[Pattern, ...] = (_planks, _checks, _marble, _speckle, _tiles)


def _smooth(rng: np.random.Generator, side: int, rows: int, columns: int) -> FloatArray:
    """Interpolated noise on a grid of cells. It is periodic, so tiles connect smoothly."""
    coarse = rng.uniform(0, 1, (rows, columns))
    return _interpolated(_interpolated(coarse, side).T, side).T


def _interpolated(values: FloatArray, side: int) -> FloatArray:
    place = np.arange(side) * len(values) / side
    low = place.astype(np.int64)
    share = (place - low)[:, None]
    return values[low] * (1 - share) + values[(low + 1) % len(values)] * share
