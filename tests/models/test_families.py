import pytest

from maniplvm.errors import UserError
from maniplvm.geometry import FRAMES
from maniplvm.models import FAMILIES, resolve_family
from maniplvm.models.families import family_in_name
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


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Qwen/Qwen2.5-VL-3B-Instruct", "qwen2_5_vl"),
        ("unsloth/Qwen2.5-VL-7B-Instruct-bnb-4bit", "qwen2_5_vl"),
        ("qwen2.5vl:7b", "qwen2_5_vl"),
        ("qwen2-5-vl-72b", "qwen2_5_vl"),
        ("Qwen/Qwen2-VL-7B", "qwen2_vl"),
        ("Qwen/Qwen3-VL-4B-Instruct", "qwen3_vl"),
        ("BAAI/RoboBrain2.0-7B", "robobrain2"),
        ("BAAI/RoboBrain", "robobrain1"),
        ("VLA-R1-3B", "vla_r1"),
        ("wentao-yuan/robopoint-v1-vicuna-v1.5-13b", "robopoint"),
        ("gemini-robotics-er-1.5-preview", "gemini_er"),
        ("allenai/Molmo-7B-D-0924", "molmo"),
        ("allenai/MolmoE-1B-0924", "molmo"),
        ("allenai/MolmoAct-7B-D-0812", "molmoact"),
        ("/models/models--BAAI--RoboBrain2.0-7B/snapshots/" + "0a" * 20, "robobrain2"),
    ],
)
def test_the_name_of_a_published_model_states_its_family(name, family):
    assert family_in_name(name) is FAMILIES[family]


@pytest.mark.parametrize(
    "name",
    [
        "allenai/Molmo2-8B",
        "allenai/MolmoPoint-8B",
        "allenai/MolmoAct2-7B",
        "BAAI/RoboBrain2.5-8B-NV",
        "Qwen/Qwen3.5-VL-4B",
        "Qwen/Qwen3.5-9B",
        "nvidia/Cosmos-Reason2-8B",
        "runs/robobrain2/model",
        "embedded",
        "",
    ],
)
def test_a_name_with_the_prefix_of_another_family_states_none(name):
    assert family_in_name(name) is None


@pytest.mark.parametrize("name", ["org/RoboBrain2.0-7B", "/data/RoboBrain2.0-7B"])
def test_a_model_trained_on_another_architecture_has_its_own_family(name):
    assert resolve_family({"model_type": "qwen2_5_vl"}, None, name).name == "robobrain2"


def test_a_name_that_contradicts_the_architecture_is_an_error_that_shows_both():
    with pytest.raises(UserError, match=r"family qwen3_vl, but .* qwen2_5_vl; .*--family") as error:
        resolve_family({"model_type": "qwen2_5_vl"}, None, "mine/qwen3-vl-4b")
    assert "maniplvm_family" in str(error.value)
    assert resolve_family({"model_type": "qwen2_5_vl"}, "unit", "mine/qwen3-vl-4b").name == "unit"


def test_a_name_decides_for_an_architecture_without_a_family_of_its_own():
    assert resolve_family({"model_type": "llava"}, None, "x/robopoint-v1-7b").name == "robopoint"
