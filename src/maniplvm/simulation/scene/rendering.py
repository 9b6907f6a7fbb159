"""Offscreen rendering of images and segmentations of a scene."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from maniplvm.errors import UserError
from maniplvm.simulation.scene.cameras import Camera
from maniplvm.simulation.worlds.base import Closeable

_HIDDEN_GROUP = 5
_MAX_GEOMS = 2000
_UNSET_VALUES = ("disable", "disabled", "off", "false", "0")

SceneCallback = Callable[[mujoco.MjvScene], None]
"""Changes the visual scene before it is rendered, for example adds geoms."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Geom id and depth of each pixel.

    Attributes:
        geom: `(H, W)` id of the visible geom, -1 for the background.
        depth: `(H, W)` depth along the optical axis [m].
    """

    geom: NDArray[np.int64]
    depth: NDArray[np.float64]


class Renderer(Closeable):
    """One OpenGL context for one model. Close it, or use it in a `with` block.

    Shadows and reflections are off, because they take most of the time on a CPU.

    Raises:
        UserError: OpenGL is not available.
    """

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int]) -> None:
        width, height = size
        self._model = model
        self._size = size
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._option = mujoco.MjvOption()
        self._groups = model.geom_group.copy()
        model.vis.quality.shadowsize = 0
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        self._gl: Any = _open_gl(width, height)
        self._scene = mujoco.MjvScene(model, maxgeom=_MAX_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR

    def close(self) -> None:
        """Free the OpenGL context."""
        if self._gl is not None:
            self._context.free()
            self._gl.free()
            self._gl = None

    def image(
        self, data: mujoco.MjData, camera: Camera, scene_callback: SceneCallback | None = None
    ) -> NDArray[np.uint8]:
        """Render an image.

        Args:
            data: The state to render.
            camera: The camera. Its size must be the renderer's size.
            scene_callback: Changes the visual scene before rendering. Physics is not affected.

        Returns:
            `(H, W, 3)` RGB image.
        """
        self._update(data, camera, scene_callback)
        width, height = self._size
        pixels = np.empty((height, width, 3), dtype=np.uint8)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(pixels, None, self._rect, self._context)
        return np.flipud(pixels)

    def segmentation(
        self, data: mujoco.MjData, camera: Camera, scene_callback: SceneCallback | None = None
    ) -> Segmentation:
        """Render the visible geom and the depth of each pixel."""
        self._update(data, camera, scene_callback)
        return self._read_segmentation()

    def segmentation_of(
        self, data: mujoco.MjData, camera: Camera, geoms: Iterable[int]
    ) -> Segmentation:
        """Render only the given geoms, without occlusion by others. Collision geoms are shown."""
        self._model.geom_group[:] = _HIDDEN_GROUP
        self._model.geom_group[list(geoms)] = 0
        try:
            self._update(data, camera, None)
        finally:
            self._model.geom_group[:] = self._groups
        return self._read_segmentation()

    def upload_texture(self, texture: int) -> None:
        """Upload changed texture data to OpenGL."""
        self._gl.make_current()
        mujoco.mjr_uploadTexture(self._model, self._context, texture)

    def _update(
        self, data: mujoco.MjData, camera: Camera, scene_callback: SceneCallback | None
    ) -> None:
        if camera.size != self._size:
            raise ValueError(f"the camera has {camera.size} px, the renderer has {self._size} px")
        self._gl.make_current()
        self._model.vis.global_.fovy = camera.fovy
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            mujoco_camera(camera),
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        if scene_callback is not None:
            scene_callback(self._scene)

    def _read_segmentation(self) -> Segmentation:
        width, height = self._size
        colour = np.empty((height, width, 3), dtype=np.uint8)
        depth = np.empty((height, width), dtype=np.float32)
        flags = self._scene.flags.copy()
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = True
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(colour, depth, self._rect, self._context)
        self._scene.flags[:] = flags
        index = colour.astype(np.int64) @ np.array([1, 1 << 8, 1 << 16])
        geom_of = np.full(self._scene.ngeom + 1, -1, dtype=np.int64)
        for visual in self._scene.geoms[: self._scene.ngeom]:
            if visual.segid >= 0 and visual.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                geom_of[visual.segid + 1] = visual.objid
        return Segmentation(geom=np.flipud(geom_of[index]), depth=np.flipud(self._metres(depth)))

    def _metres(self, buffer: NDArray[np.float32]) -> NDArray[np.float64]:
        extent = self._model.stat.extent
        near = self._model.vis.map.znear * extent
        far = self._model.vis.map.zfar * extent
        # The buffer is reversed: 1 at the near plane, 0 at the far plane.
        return near * far / (near + buffer.astype(np.float64) * (far - near))


def mujoco_camera(camera: Camera) -> mujoco.MjvCamera:
    """Convert to MuJoCo's free camera. The field of view is a setting of the model."""
    free = mujoco.MjvCamera()
    free.type = mujoco.mjtCamera.mjCAMERA_FREE
    free.lookat[:] = camera.lookat
    free.distance = camera.distance
    free.azimuth = camera.azimuth
    free.elevation = camera.elevation
    return free


def _open_gl(width: int, height: int) -> Any:
    """Create an OpenGL context. MuJoCo's default would need a display on Linux."""
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    backend = _default_backend() if wanted in ("", *_UNSET_VALUES) else wanted
    os.environ.setdefault("EGL_LOG_LEVEL", "fatal")  # Mesa would print lines of its own
    try:
        context_type = importlib.import_module(f"mujoco.{backend}").GLContext
        context_type._context = None  # its destructor reads it, also if the constructor failed
        context = context_type(width, height)
        context.make_current()
    except (ImportError, AttributeError, OSError, RuntimeError, mujoco.FatalError) as error:
        raise UserError(
            f"OpenGL is not available (MuJoCo backend {backend!r}: {_first_line(error)}); "
            "on Debian or Ubuntu run: apt-get install -y libegl1 libgl1 libgl1-mesa-dri"
        ) from error
    return context


def _default_backend() -> str:
    return {"Linux": "egl", "Darwin": "cgl"}.get(platform.system(), "glfw")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
