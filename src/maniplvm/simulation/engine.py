"""Is the physics engine there? Asked before anything imports it."""

from __future__ import annotations

import importlib
import os

from maniplvm.errors import UserError


def require_mujoco() -> None:
    """Import MuJoCo, or say in one line why it cannot be.

    MuJoCo loads the OpenGL backend that `MUJOCO_GL` names as soon as it is imported, even where
    nothing will be rendered.

    Raises:
        UserError: the package is missing, or its OpenGL backend cannot be loaded.
    """
    try:
        importlib.import_module("mujoco")
    except ModuleNotFoundError as error:
        if error.name != "mujoco":
            raise
        raise UserError(
            "simulation needs the package mujoco; pip install 'maniplvm[sim]'"
        ) from error
    except (AttributeError, ImportError, OSError, RuntimeError) as error:
        backend = os.environ.get("MUJOCO_GL")
        if not backend:
            raise
        raise UserError(
            f"MUJOCO_GL={backend}: MuJoCo cannot load this OpenGL backend ({error}); unset "
            "MUJOCO_GL, or install the backend (Debian: apt-get install -y libosmesa6)"
        ) from error
