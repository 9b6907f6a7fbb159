import json
import sys

import huggingface_hub
import pytest
from transformers import dynamic_module_utils

from maniplvm.errors import UserError
from maniplvm.models import load_interface, load_model
from maniplvm.models.checkpoint import open_checkpoint
from maniplvm.models.untrusted import read_json

OWN_CODE = """
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration


class OwnConfig(Qwen3VLConfig):
    model_type = "own"


class OwnModel(Qwen3VLForConditionalGeneration):
    config_class = OwnConfig
"""


def refused(source, **options):
    with pytest.raises(UserError) as caught:
        load_model(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def config_of(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def write_config(folder, content):
    folder.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "config.json").write_text(text, encoding="utf-8")
    return folder


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert refused(tmp_path / "none") == f"{tmp_path / 'none'}: no such folder"
    assert "no such folder" in refused("./none")
    assert "no such folder" in refused("runs/none/model")


def test_a_file_is_no_checkpoint(checkpoint):
    assert "give the folder of its checkpoint" in refused(checkpoint("qwen3_vl") / "config.json")


def test_an_id_that_cannot_be_fetched_says_so(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    message = refused("nobody-at-all/no-such-model")
    assert message.startswith("nobody-at-all/no-such-model: neither a folder here nor")
    assert "HF_HUB_OFFLINE is set" in message


def test_only_safetensors_and_descriptions_are_fetched(checkpoint, monkeypatch):
    asked = []

    def snapshot_download(source, revision, allow_patterns):
        asked.append((source, revision, allow_patterns))
        return str(checkpoint("qwen3_vl"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    load_model("some/model", revision="v1", device="cpu")
    load_interface("some/model")
    (source, revision, patterns), (_, _, light) = asked
    assert (source, revision) == ("some/model", "v1")
    assert "*.safetensors" in patterns
    assert "*.safetensors" not in light
    assert not any(pattern.endswith((".py", ".bin", ".pt", "*")) for pattern in patterns)


def test_a_folder_without_a_config_is_refused(tmp_path):
    assert "no config.json" in refused(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_damaged_config_is_named(tmp_path, content):
    assert "config.json" in refused(write_config(tmp_path, content))


def test_a_config_with_impossible_values_is_refused(copied):
    folder = copied()
    content = config_of(folder)
    content["text_config"]["hidden_size"] = "wide"
    assert "bad config.json" in refused(write_config(folder, content))


def test_an_unknown_architecture_is_refused(tmp_path):
    message = refused(write_config(tmp_path, {"model_type": "qwen99_vl"}))
    assert "does not know model type 'qwen99_vl'" in message


def test_a_text_model_is_refused(tmp_path):
    content = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}
    message = refused(write_config(tmp_path, content))
    assert "Qwen2ForCausalLM is no image-text-to-text model" in message


def test_a_model_without_a_known_family_asks_for_one(tmp_path):
    folder = write_config(tmp_path, {"model_type": "llava"})
    with pytest.raises(UserError, match="no family is known for model type 'llava'"):
        load_interface(folder)


def test_code_beside_the_weights_does_not_run_unless_trusted(tmp_path):
    folder = write_config(
        tmp_path, {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}
    )
    (folder / "own.py").write_text("raise RuntimeError('it ran')", encoding="utf-8")
    message = refused(folder)
    assert "trust_remote_code=True" in message
    assert "it ran" not in message


def test_trusted_code_builds_the_model_and_the_caller_names_its_family(
    copied, monkeypatch, tmp_path
):
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = copied("qwen3_vl")
    auto_map = {"AutoConfig": "own.OwnConfig", "AutoModelForImageTextToText": "own.OwnModel"}
    write_config(folder, {**config_of(folder), "model_type": "own", "auto_map": auto_map})
    (folder / "own.py").write_text(OWN_CODE, encoding="utf-8")
    loaded = load_model(folder, trust_remote_code=True, family="qwen3_vl", device="cpu")
    assert type(loaded.model).__name__ == "OwnModel"
    assert loaded.frame_for((640, 480)).limits == (1000, 1000)


def test_pickled_weights_are_refused(copied):
    folder = copied()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    message = refused(folder)
    assert "pytorch_model.bin, a pickle" in message
    assert "safetensors" in message


def test_missing_weights_are_refused_but_not_missed_where_none_are_needed(copied):
    folder = copied()
    (folder / "model.safetensors").unlink()
    assert "no weights" in refused(folder)
    assert load_interface(folder).family.name == "qwen3_vl"


def test_leftovers_of_a_trainer_are_not_taken_for_weights(copied):
    folder = copied()
    (folder / "model.safetensors").rename(folder / "training_args.bin")
    assert "no weights" in refused(folder)


def test_missing_shards_are_named(copied):
    folder = copied()
    index = {"weight_map": {f"w{i}": f"model-{i}-of-5.safetensors" for i in range(1, 6)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    message = refused(folder)
    assert "5 of 5 weight files are missing: model-1-of-5.safetensors" in message


def test_a_truncated_weight_file_is_refused(copied):
    path = copied() / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    assert "cannot be read as safetensors" in refused(path.parent)


def test_weights_of_another_size_are_refused(copied):
    folder = copied()
    content = config_of(folder)
    content["text_config"]["intermediate_size"] *= 2
    assert "weights cannot be loaded" in refused(write_config(folder, content))


def test_weights_that_are_not_all_there_are_refused_instead_of_invented(copied):
    folder = copied()
    content = config_of(folder)
    content["text_config"]["num_hidden_layers"] += 1
    message = refused(write_config(folder, content))
    assert "weights are missing, such as model.language_model.layers.2." in message


@pytest.mark.parametrize(
    "name",
    [
        "../model.safetensors",
        "/etc/passwd",
        "sub/model.safetensors",
        "pytorch_model.bin",
        "model.safetensors.bin",
        "model.ckpt",
        "..\\model.safetensors",
        "",
        7,
        None,
    ],
)
def test_an_index_lists_only_plain_names_of_safetensors_files(copied, name):
    folder = copied()
    index = {"weight_map": {"lm_head.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(UserError, match=r"is not the plain name of a \.safetensors file"):
        open_checkpoint(folder)


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": ["a.safetensors"]}])
def test_an_index_without_files_is_an_error(copied, index):
    folder = copied()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(UserError, match="'weight_map' must be an object"):
        open_checkpoint(folder)


def test_deeply_nested_json_is_a_one_line_error(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match="cannot be read as JSON"):
        read_json(path)
