import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from maniplvm.errors import UserError
from maniplvm.models import blend, load_model


@pytest.fixture
def two(checkpoint, tmp_path):
    """A checkpoint and one whose weights all lie a little elsewhere."""
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


def test_every_weight_lies_on_the_line_between_both(two, tmp_path):
    start, trained = two
    made = weights_of(blend(start, trained, 0.25, tmp_path / "out"))
    first, second = weights_of(start), weights_of(trained)
    assert made.keys() == first.keys()
    for name, value in made.items():
        torch.testing.assert_close(value, 0.75 * first[name] + 0.25 * second[name])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_ends_of_the_line_are_the_two_themselves(two, tmp_path, share):
    made = weights_of(blend(two[0], two[1], share, tmp_path / "out"))
    expected = weights_of(two[int(share)])
    for name, value in made.items():
        torch.testing.assert_close(value, expected[name])


def test_a_checkpoint_in_several_files_blends_with_one_in_a_single_file(two, tmp_path):
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
    made = weights_of(blend(start, trained, 0.5, tmp_path / "out"))
    first = weights_of(start)
    for name, value in made.items():
        torch.testing.assert_close(value, 0.5 * (first[name] + weights[name]))


def test_a_blend_loads_as_a_model_and_keeps_its_precision(two, tmp_path):
    start, trained = two
    halved = {n: v.to(torch.bfloat16) for n, v in load_file(trained / "model.safetensors").items()}
    save_file(halved, trained / "model.safetensors", metadata={"format": "pt"})
    out = blend(start, trained, 0.5, tmp_path / "out")
    assert {value.dtype for value in weights_of(out).values()} == {torch.bfloat16}
    assert load_model(out, device="cpu").parameters == load_model(start, device="cpu").parameters
    assert json.loads((out / "blend.json").read_text())["share"] == 0.5


def test_the_same_blend_again_is_done_already_another_one_is_refused(two, tmp_path):
    out = blend(two[0], two[1], 0.5, tmp_path / "out")
    stamp = (out / "model.safetensors").stat().st_mtime_ns
    assert blend(two[0], two[1], 0.5, out) == out
    assert (out / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(UserError, match="exists already"):
        blend(two[0], two[1], 0.6, out)


def test_an_interrupted_blend_leaves_no_folder_that_looks_finished(two, tmp_path):
    (tmp_path / "out.unfinished").mkdir()
    (tmp_path / "out.unfinished" / "model.safetensors").write_bytes(b"cut off")
    assert load_file(blend(two[0], two[1], 0.5, tmp_path / "out") / "model.safetensors")
    assert not (tmp_path / "out.unfinished").exists()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(two, tmp_path, share):
    with pytest.raises(UserError, match="--share"):
        blend(two[0], two[1], share, tmp_path / "out")


def test_models_that_are_not_alike_are_told_apart(two, checkpoint, tmp_path):
    start, trained = two
    with pytest.raises(UserError, match=r"has no weight|is .* in"):
        blend(checkpoint("qwen3_vl"), trained, 0.5, tmp_path / "out")
    weights = load_file(trained / "model.safetensors")
    name = sorted(weights)[0]
    save_file(weights | {name: weights[name][..., :-1].contiguous()}, trained / "model.safetensors")
    with pytest.raises(UserError, match=name):
        blend(start, trained, 0.5, tmp_path / "out")
    del weights[name]
    save_file(weights, trained / "model.safetensors")
    with pytest.raises(UserError, match=f"no weight {name}"):
        blend(start, trained, 0.5, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_weights_are_one_clear_line(two, tmp_path):
    start, trained = two
    (trained / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        blend(start, trained, 0.5, tmp_path / "out")
