import pytest

from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.models import FAMILIES, resolve_family
from maniplvm.tasks import PROMPTS


@pytest.mark.parametrize(
    ("model_type", "family"),
    [
        ("qwen2_vl", "qwen2_vl"),
        ("qwen2_5_vl", "qwen2_5_vl"),
        ("qwen3_vl", "qwen3_vl"),
        ("qwen3_vl_moe", "qwen3_vl"),
    ],
)
def test_the_architecture_decides_the_family(model_type, family):
    resolved = resolve_family({"model_type": model_type}, None, "here")
    assert resolved.frame is FRAMES[family]
    assert resolved.prompt is PROMPTS[family]


def test_the_caller_overrides_the_config_and_the_config_overrides_the_architecture():
    config = {"model_type": "qwen2_5_vl", "maniplvm_family": "unit"}
    assert resolve_family(config, None, "here").name == "unit"
    assert resolve_family(config, "robopoint", "here").name == "robopoint"


@pytest.mark.parametrize("config", [{"model_type": "llava"}, {"model_type": None}, {}])
def test_an_unknown_architecture_is_refused_with_the_valid_families(config):
    with pytest.raises(UserError) as caught:
        resolve_family(config, None, "some/model")
    assert str(caught.value).startswith("some/model: ")
    assert "family=" in str(caught.value)
    assert all(name in str(caught.value) for name in FAMILIES)


@pytest.mark.parametrize("config", [{}, {"maniplvm_family": "gpt"}])
def test_an_unknown_family_is_refused_with_the_valid_ones(config):
    with pytest.raises(UserError, match=r"unknown model family 'gpt'; choose from .*qwen2_5_vl"):
        resolve_family(config, None if config else "gpt", "here")
