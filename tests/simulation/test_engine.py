import importlib

import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.engine import require_mujoco


def failing(error):
    def import_module(name):
        raise error

    return import_module


def test_a_missing_engine_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", failing(ModuleNotFoundError(name="mujoco")))
    with pytest.raises(UserError, match=r"needs the package mujoco; pip install 'maniplvm\[sim\]'"):
        require_mujoco()


def test_a_broken_opengl_backend_is_named(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(importlib, "import_module", failing(AttributeError("glGetError")))
    with pytest.raises(UserError, match=r"MUJOCO_GL=osmesa: .*glGetError.*unset MUJOCO_GL"):
        require_mujoco()


def test_other_failures_are_not_explained_away(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(importlib, "import_module", failing(ModuleNotFoundError(name="absl")))
    with pytest.raises(ModuleNotFoundError):
        require_mujoco()
    monkeypatch.setattr(importlib, "import_module", failing(ImportError("libmujoco.so")))
    with pytest.raises(ImportError, match=r"libmujoco\.so"):
        require_mujoco()


@pytest.mark.sim
def test_the_engine_is_there():
    require_mujoco()
