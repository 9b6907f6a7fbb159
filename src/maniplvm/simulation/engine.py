"""A check that the physics engine can be imported, before anything else imports it."""

from __future__ import annotations

import os

from maniplvm.errors import UserError
from maniplvm.optional import import_optional


def require_mujoco() -> None:
    """Import MuJoCo, or say in one line why that fails.

    On import, MuJoCo loads the OpenGL backend that `MUJOCO_GL` names, even if nothing is rendered.

    Raises:
        UserError: the package is missing, or its OpenGL backend cannot be loaded.
    """
    try:
        import_optional("mujoco", "simulation needs", "sim")
    except (AttributeError, OSError, RuntimeError, UserError) as error:
        backend = os.environ.get("MUJOCO_GL")
        if not backend or isinstance(error.__cause__, ModuleNotFoundError):
            raise
        raise UserError(
            f"MUJOCO_GL={backend}: MuJoCo cannot load this OpenGL backend "
            f"({error.__cause__ or error}); unset MUJOCO_GL, or install the backend "
            "(Debian: apt-get install -y libosmesa6)"
        ) from error
