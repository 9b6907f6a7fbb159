import subprocess
import sys

import pytest

import maniplvm.simulation

pytestmark = pytest.mark.sim


def test_every_public_name_can_be_imported():
    for name in maniplvm.simulation.__all__:
        assert getattr(maniplvm.simulation, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="levitate"):
        maniplvm.simulation.__getattr__("levitate")


def test_the_package_and_its_plan_need_no_simulator():
    code = (
        "import sys, maniplvm.simulation, maniplvm.simulation.generation.plan, maniplvm.cli.simulate\n"
        "assert not {'mujoco', 'metaworld', 'robosuite'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
