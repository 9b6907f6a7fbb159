import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from maniplvm.errors import UserError
from maniplvm.files import unfinished_path
from maniplvm.models import interpolate_weights, load_model


@pytest.fixture
def two(checkpoint, tmp_path):
    """A checkpoint, and a copy with noise added to all weights."""
    start = checkpoint("qwen2_5_vl")
    trained = tmp_path / "trained"
    shutil.copytree(start, trained)
    torch.manual_seed(0)
    weights = load_file(trained / "model.safetensors")
    moved = {name: each + 0.1 * torch.randn_like(each) for name, each in weights.items()}
    save_file(moved, trained / "model.safetensors", metadata={"format": "pt"})
    return start, trained


def weights_of(folder):
    files = sorted(folder.glob("*.safetensors"))
    return {name: value for path in files for name, value in load_file(path).items()}


def test_each_weight_lies_on_the_line_between_both_checkpoints(two, tmp_path):
    start, trained = two
    written = weights_of(interpolate_weights(start, trained, tmp_path / "out", alpha=0.25))
    first, second = weights_of(start), weights_of(trained)
    assert written.keys() == first.keys()
    for name, value in written.items():
        torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name])


def test_the_folders_above_the_output_are_created(two, tmp_path):
    out = interpolate_weights(*two, tmp_path / "new" / "folder" / "out", alpha=0.5)
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_alpha_0_and_1_give_the_two_checkpoints(two, tmp_path, alpha):
    written = weights_of(interpolate_weights(two[0], two[1], tmp_path / "out", alpha=alpha))
    expected = weights_of(two[int(alpha)])
    for name, value in written.items():
        torch.testing.assert_close(value, expected[name])


def test_a_checkpoint_in_several_files_is_interpolated_with_one_in_a_single_file(two, tmp_path):
    start, trained = two
    weights = load_file(trained / "model.safetensors")
    (trained / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2]}
    parts["model-00002-of-00002.safetensors"] = names[1::2]
    for file, own in parts.items():
        save_file({name: weights[name] for name in own}, trained / file)
    index = {"weight_map": {name: file for file, own in parts.items() for name in own}}
    (trained / "model.safetensors.index.json").write_text(json.dumps(index))
    written = weights_of(interpolate_weights(start, trained, tmp_path / "out", alpha=0.5))
    first = weights_of(start)
    for name, value in written.items():
        torch.testing.assert_close(value, 0.5 * (first[name] + weights[name]))


def test_the_result_loads_as_a_model_and_keeps_the_precision_of_the_trained_one(two, tmp_path):
    start, trained = two
    halved = {n: v.to(torch.bfloat16) for n, v in load_file(trained / "model.safetensors").items()}
    save_file(halved, trained / "model.safetensors", metadata={"format": "pt"})
    out = interpolate_weights(start, trained, tmp_path / "out", alpha=0.5)
    assert {value.dtype for value in weights_of(out).values()} == {torch.bfloat16}
    assert load_model(out, device="cpu").parameters == load_model(start, device="cpu").parameters
    assert json.loads((out / "interpolation.json").read_text())["alpha"] == 0.5


def test_the_same_call_again_does_nothing_and_another_alpha_is_refused(two, tmp_path):
    out = interpolate_weights(two[0], two[1], tmp_path / "out", alpha=0.5)
    stamp = (out / "model.safetensors").stat().st_mtime_ns
    assert interpolate_weights(two[0], two[1], out, alpha=0.5) == out
    assert (out / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(UserError, match="exists already"):
        interpolate_weights(two[0], two[1], out, alpha=0.6)


def test_the_record_of_an_earlier_version_is_read(two, tmp_path):
    out = interpolate_weights(two[0], two[1], tmp_path / "out", alpha=0.5)
    (out / "interpolation.json").unlink()
    record = {"start": str(two[0]), "trained": str(two[1]), "share": 0.5}
    (out / "blend.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert interpolate_weights(two[0], two[1], out, alpha=0.5) == out
    with pytest.raises(UserError, match="exists already"):
        interpolate_weights(two[0], two[1], out, alpha=0.6)


def test_the_record_of_an_interpolated_checkpoint_is_not_copied(two, tmp_path):
    start, trained = two
    (trained / "blend.json").write_text("{}", encoding="utf-8")
    out = interpolate_weights(start, trained, tmp_path / "out", alpha=0.5)
    assert not (out / "blend.json").exists()
    assert json.loads((out / "interpolation.json").read_text())["trained"] == str(trained)


def test_an_interrupted_call_leaves_no_folder_that_looks_finished(two, tmp_path):
    unfinished = unfinished_path(tmp_path / "out")
    unfinished.mkdir()
    (unfinished / "model.safetensors").write_bytes(b"cut off")
    assert load_file(
        interpolate_weights(two[0], two[1], tmp_path / "out", alpha=0.5) / "model.safetensors"
    )
    assert not unfinished.exists()


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_outside_0_to_1_is_refused(two, tmp_path, alpha):
    with pytest.raises(UserError, match="alpha must lie in"):
        interpolate_weights(two[0], two[1], tmp_path / "out", alpha=alpha)


def test_checkpoints_of_different_models_are_refused(two, checkpoint, tmp_path):
    start, trained = two
    with pytest.raises(UserError, match=r"has no weight|is .* in"):
        interpolate_weights(checkpoint("qwen3_vl"), trained, tmp_path / "out", alpha=0.5)
    weights = load_file(trained / "model.safetensors")
    name = sorted(weights)[0]
    save_file(weights | {name: weights[name][..., :-1].contiguous()}, trained / "model.safetensors")
    with pytest.raises(UserError, match=name):
        interpolate_weights(start, trained, tmp_path / "out", alpha=0.5)
    del weights[name]
    save_file(weights, trained / "model.safetensors")
    with pytest.raises(UserError, match=f"no weight {name}"):
        interpolate_weights(start, trained, tmp_path / "out", alpha=0.5)
    assert not (tmp_path / "out").exists()


def test_damaged_weights_are_one_clear_line(two, tmp_path):
    start, trained = two
    (trained / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        interpolate_weights(start, trained, tmp_path / "out", alpha=0.5)


@pytest.mark.parametrize("size", [0, 4, 1000])
def test_a_result_whose_weights_were_cut_is_written_again(two, tmp_path, size):
    out = interpolate_weights(*two, tmp_path / "out", alpha=0.5)
    path = out / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:size])
    interpolate_weights(*two, out, alpha=0.5)
    assert path.read_bytes() == content
    assert not list(tmp_path.glob("*.unfinished"))
