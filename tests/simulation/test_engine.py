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
    with pytest.raises(UserError, match=r'simulation needs mujoco .*pip install "maniplvm\[sim\]"'):
        require_mujoco()


def test_a_broken_opengl_backend_is_named(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(importlib, "import_module", failing(AttributeError("glGetError")))
    with pytest.raises(UserError, match=r"MUJOCO_GL=osmesa: .*glGetError.*unset MUJOCO_GL"):
        require_mujoco()


def test_other_failures_are_not_explained_away(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(importlib, "import_module", failing(RuntimeError("out of memory")))
    with pytest.raises(RuntimeError, match="out of memory"):
        require_mujoco()


@pytest.mark.parametrize(
    "error",
    [ModuleNotFoundError("No module named 'absl'", name="absl"), ImportError("libmujoco.so")],
)
def test_an_incomplete_installation_names_what_is_missing(monkeypatch, error):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(importlib, "import_module", failing(error))
    with pytest.raises(UserError, match=f"simulation needs mujoco .*{error.args[0]}"):
        require_mujoco()


def test_a_missing_engine_is_not_blamed_on_the_opengl_backend(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr(importlib, "import_module", failing(ModuleNotFoundError(name="mujoco")))
    with pytest.raises(UserError, match=r"^simulation needs mujoco"):
        require_mujoco()


@pytest.mark.sim
def test_the_engine_is_there():
    require_mujoco()
