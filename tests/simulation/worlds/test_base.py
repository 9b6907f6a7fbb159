import importlib
import sys

import pytest

from maniplvm.errors import UserError
from maniplvm.simulation.worlds import load_world, require_mujoco


def failing(error):
    def import_module(name):
        raise error

    return import_module


def test_without_mujoco_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", failing(ModuleNotFoundError(name="mujoco")))
    with pytest.raises(UserError, match=r'simulation needs mujoco .*pip install "maniplvm\[sim\]"'):
        require_mujoco()


def test_a_broken_opengl_backend_is_named(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setattr(importlib, "import_module", failing(AttributeError("glGetError")))
    with pytest.raises(UserError, match=r"MUJOCO_GL=osmesa: .*glGetError.*unset MUJOCO_GL"):
        require_mujoco()


def test_other_import_errors_are_raised_unchanged(monkeypatch):
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
def test_mujoco_can_be_imported():
    require_mujoco()


@pytest.mark.sim
def test_an_unknown_world_lists_the_known_ones():
    with pytest.raises(UserError, match="metaworld, robosuite"):
        load_world("isaac")


@pytest.mark.sim
def test_a_missing_simulator_names_the_extra_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "maniplvm.simulation.worlds.metaworld", raising=False)
    monkeypatch.setitem(sys.modules, "metaworld", None)
    monkeypatch.setitem(sys.modules, "metaworld.policies", None)
    with pytest.raises(UserError, match=r"pip install \"maniplvm\[sim\]\""):
        load_world("metaworld")
