"""Images and per-pixel ids of a scene, off screen."""

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
from maniplvm.simulation.closing import Closing
from maniplvm.simulation.scene.cameras import Camera

_HIDDEN_GROUP = 5
_MAX_GEOMS = 2000
_DISABLED = ("disable", "disabled", "off", "false", "0")

Decorate = Callable[[mujoco.MjvScene], None]


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What each pixel of an image shows.

    Attributes:
        geom: `(H, W)` id of the geom in front, -1 where there is none.
        depth: `(H, W)` along the optical axis [m].
    """

    geom: NDArray[np.int64]
    depth: NDArray[np.float64]


class Renderer(Closing):
    """One OpenGL context for one model; close it, or use it in a `with` block.

    Shadows and mirrors are switched off: on a CPU they cost most of the time.

    Raises:
        UserError: there is no OpenGL to render with.
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
        self, data: mujoco.MjData, camera: Camera, decorate: Decorate | None = None
    ) -> NDArray[np.uint8]:
        """The scene as the camera sees it.

        Args:
            data: The state to draw.
            camera: Its size must be the renderer's.
            decorate: Adds things to the drawn scene that physics does not know.

        Returns:
            `(H, W, 3)` RGB.
        """
        self._update(data, camera, decorate)
        width, height = self._size
        pixels = np.empty((height, width, 3), dtype=np.uint8)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(pixels, None, self._rect, self._context)
        return np.flipud(pixels)

    def surfaces(
        self, data: mujoco.MjData, camera: Camera, decorate: Decorate | None = None
    ) -> Surfaces:
        """Which geom is in front at each pixel, and how far away."""
        self._update(data, camera, decorate)
        return self._read_surfaces()

    def surfaces_of(self, data: mujoco.MjData, camera: Camera, geoms: Iterable[int]) -> Surfaces:
        """The same for some geoms alone, as if nothing hid them; collision geoms are shown."""
        self._model.geom_group[:] = _HIDDEN_GROUP
        self._model.geom_group[list(geoms)] = 0
        try:
            self._update(data, camera, None)
        finally:
            self._model.geom_group[:] = self._groups
        return self._read_surfaces()

    def upload_texture(self, texture: int) -> None:
        """Make changed texture data visible."""
        self._gl.make_current()
        mujoco.mjr_uploadTexture(self._model, self._context, texture)

    def _update(self, data: mujoco.MjData, camera: Camera, decorate: Decorate | None) -> None:
        if camera.size != self._size:
            raise ValueError(f"camera of {camera.size} px, renderer of {self._size} px")
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
        if decorate is not None:
            decorate(self._scene)

    def _read_surfaces(self) -> Surfaces:
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
        for drawn in self._scene.geoms[: self._scene.ngeom]:
            if drawn.segid >= 0 and drawn.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                geom_of[drawn.segid + 1] = drawn.objid
        return Surfaces(geom=np.flipud(geom_of[index]), depth=np.flipud(self._metres(depth)))

    def _metres(self, buffer: NDArray[np.float32]) -> NDArray[np.float64]:
        extent = self._model.stat.extent
        near = self._model.vis.map.znear * extent
        far = self._model.vis.map.zfar * extent
        # The buffer is reversed: 1 at the near plane, 0 at the far plane.
        return near * far / (near + buffer.astype(np.float64) * (far - near))


def mujoco_camera(camera: Camera) -> mujoco.MjvCamera:
    """The same view as MuJoCo's free camera; the field of view is the model's to set."""
    free = mujoco.MjvCamera()
    free.type = mujoco.mjtCamera.mjCAMERA_FREE
    free.lookat[:] = camera.lookat
    free.distance = camera.distance
    free.azimuth = camera.azimuth
    free.elevation = camera.elevation
    return free


def _open_gl(width: int, height: int) -> Any:
    """An OpenGL context, made current: MuJoCo's default would need a display on Linux."""
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    backend = _default_backend() if wanted in ("", *_DISABLED) else wanted
    try:
        context = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
        context.make_current()
    except (ImportError, AttributeError, OSError, RuntimeError, mujoco.FatalError) as error:
        raise UserError(
            f"no OpenGL to render with (MuJoCo backend {backend!r}: {_first_line(error)}); "
            "on Debian or Ubuntu run: apt-get install -y libegl1 libgl1 libgl1-mesa-dri"
        ) from error
    return context


def _default_backend() -> str:
    return {"Linux": "egl", "Darwin": "cgl"}.get(platform.system(), "glfw")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
