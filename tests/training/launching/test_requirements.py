"""What a machine needs before a launch starts."""

from dataclasses import replace
from importlib import metadata

import pytest

from maniplvm.errors import UserError
from maniplvm.training.config.launch import Launch, Sharding
from maniplvm.training.launching import requirements
from maniplvm.training.launching.commands import Command, LaunchPlan

TRAINING = LaunchPlan(None, Command(("accelerate",)), Launch(2), gpus=2)


def test_the_versions_of_vllm_are_those_that_trl_declares():
    needed = requirements.vllm_requirement()
    from trl.import_utils import is_vllm_available

    assert needed.name == "vllm"
    assert "0.22.0" in needed.specifier
    assert "0.31.0" in needed.specifier
    assert "0.32.0" not in needed.specifier
    assert not is_vllm_available()


@pytest.mark.parametrize(
    ("found", "message"), [(None, "not installed here"), ("0.21.0", r"vLLM 0\.21\.0 is installed")]
)
def test_a_missing_or_wrong_vllm_is_one_line_with_the_versions(monkeypatch, found, message):
    def version(name):
        if name == "vllm" and found is None:
            raise metadata.PackageNotFoundError(name)
        return found if name == "vllm" else metadata.version(name)

    monkeypatch.setattr(requirements, "version", version)
    with pytest.raises(UserError, match=message) as caught:
        requirements.check_machine(TRAINING, uses_vllm=True)
    assert str(requirements.vllm_requirement().specifier) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_supported_vllm_passes(monkeypatch):
    monkeypatch.setattr(requirements, "version", lambda _: "0.30.1")
    requirements.check_vllm()


def test_missing_gpus_are_one_line_and_a_cpu_launch_needs_none():
    with pytest.raises(UserError, match="needs 512 GPUs"):
        requirements.check_machine(replace(TRAINING, gpus=512), uses_vllm=False)
    requirements.check_machine(replace(TRAINING, gpus=0), uses_vllm=False)


def test_zero_needs_deepspeed(monkeypatch):
    monkeypatch.setattr(requirements.importlib.util, "find_spec", lambda _: None)
    sharded = replace(TRAINING, launch=Launch(2, sharding=Sharding.ZERO3))
    with pytest.raises(UserError, match="pip install deepspeed"):
        requirements.check_machine(sharded, uses_vllm=False)
