import json
import os
import struct

import pytest

from maniplvm.errors import UserError
from maniplvm.models import load_interface, load_model
from maniplvm.models.untrusted import (
    check_files,
    check_settings,
    check_weight_files,
    library_errors,
    read_json,
)


class PanicException(BaseException):
    """As Rust code raises it."""


def edit(folder, name, *keys, value):
    content = json.loads((folder / name).read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / name).write_text(json.dumps(content))


def refused(call, *arguments, **options):
    with pytest.raises(UserError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 10**9),
        ("hidden_size", -1),
        ("num_hidden_layers", 10**6),
        ("depth", 5000),
        ("vocab_size", 10**10),
        ("num_experts", 10**6),
        ("patch_size", 10**5),
        ("rope_theta", 10**50),
    ],
)
def test_a_size_that_no_model_has_is_refused_by_name(key, value):
    message = refused(check_settings, {"text_config": {"list": [{key: value}]}}, "m")
    assert f"m: bad config.json ({key} is {value}"[:40] in message


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_attention_code_that_would_be_downloaded_is_refused(key):
    assert "could load other code" in refused(check_settings, {"a": {key: "org/kernel"}}, "m")
    check_settings({key: "sdpa", "rope_theta": 1e6, "image_token_id": 151655}, "m")


def test_a_link_out_of_the_folder_and_a_pipe_are_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "outside.json").write_text("{}")
    (folder / "config.json").symlink_to("../outside.json")
    assert "config.json links to a file outside" in refused(check_files, folder, "m")
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")
    assert "config.json links to a file outside" in refused(check_files, folder, "m")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    assert "config.json is no regular file" in refused(check_files, folder, "m")


def test_the_links_of_the_cache_of_the_hub_are_allowed(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / ("a" * 40)
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    (blobs / "1").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/1")
    check_files(snapshot, "m")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "chat_template.jinja").open("wb") as file:
        file.truncate(2**20 + 1)
    assert "larger than 1 MiB" in refused(check_files, tmp_path, "m")


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"a": ' + "9" * 5000 + "}", '{"a": NaN}', "[]", "\x00", ""]
)
def test_a_file_without_a_json_object_is_one_line(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert "a.json" in refused(read_json, tmp_path / "a.json")


def write_weights(path, entries, data=b""):
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def test_weights_with_a_lying_header_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    whole = {"a.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    write_weights(path, whole, bytes(8))
    check_weight_files(tmp_path, {}, "m")
    for name, changed in {
        "shape": {"shape": [2**40]},
        "offsets": {"data_offsets": [0, 80]},
        "type": {"dtype": "X9"},
        "integer": {"dtype": "I32"},
    }.items():
        write_weights(path, {"a.weight": whole["a.weight"] | changed}, bytes(8))
        assert "m: model.safetensors" in refused(check_weight_files, tmp_path, {}, "m"), name
    path.write_bytes(b"\xff" * 8)
    assert "its header would be" in refused(check_weight_files, tmp_path, {}, "m")


def test_a_config_of_far_more_weights_than_the_files_hold_is_refused(tmp_path):
    entries = {"a.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    write_weights(tmp_path / "model.safetensors", entries, bytes(8))
    settings = {"text_config": {"hidden_size": 4096, "vocab_size": 100_000}}
    message = refused(check_weight_files, tmp_path, settings, "m")
    assert "describes at least 409,600,000 weights, but the files hold 2" in message


def test_errors_of_libraries_are_one_line():
    for error in (AttributeError("a\nb"), KeyError("x"), PanicException("boom"), MemoryError()):

        def work(error=error):
            with library_errors("m", "it cannot be loaded"):
                raise error

        assert refused(work).startswith("m: it cannot be loaded (")


def test_an_interrupt_and_an_error_of_a_gpu_without_memory_pass():
    for error in (KeyboardInterrupt(), RuntimeError("CUDA out of memory")):
        with pytest.raises(type(error)), library_errors("m", "x"):
            raise error


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patch_size", 0),
        ("patch_size", 10**9),
        ("merge_size", "2"),
        ("size", {"shortest_edge": 10**12, "longest_edge": 10**12}),
        ("size", {"shortest_edge": 1, "longest_edge": 10**12}),
        ("image_std", [0, 0, 0]),
        ("image_mean", [0.5]),
    ],
)
def test_an_image_processor_with_absurd_settings_is_refused(copied, key, value):
    folder = copied()
    name = next(
        each
        for each in ("processor_config.json", "preprocessor_config.json")
        if (folder / each).exists()
    )
    content = json.loads((folder / name).read_text())
    holder = content.get("image_processor", content)
    holder[key] = value
    (folder / name).write_text(json.dumps(content))
    assert "process" in refused(load_interface, folder)


def test_a_model_beside_an_adapter_is_refused(copied):
    folder = copied()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')
    assert "holds a model and a LoRA adapter" in refused(load_model, folder)


def test_an_end_token_outside_of_the_vocabulary_is_refused(copied):
    folder = copied()
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 1000000000]}')
    assert "the end token 1000000000 is no integer below" in refused(load_model, folder)
