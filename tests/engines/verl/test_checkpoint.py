"""A checkpoint of verl becomes the same model, and nothing of it runs as code."""

import json
import pickle
import shutil

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor._dtensor_spec import DTensorSpec, TensorMeta
from typer.testing import CliRunner

from maniplvm.cli.app import app
from maniplvm.engines.verl import checkpoint
from maniplvm.engines.verl.checkpoint import find_actor, import_checkpoint
from maniplvm.errors import UserError
from maniplvm.models import load_interface, load_model, write_tiny_checkpoint

ROWS = (Shard(0),)
PREFIX = "base_model.model."
MERGED = "model.language_model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "model", "qwen2_5_vl", seed=3)


@pytest.fixture(scope="module")
def weights(tiny):
    return load_model(str(tiny), device="cpu").model.state_dict()


def part(whole, rank, ranks, placements=ROWS, shape=None):
    """One rank's part of a weight, as FSDP2 stores it; no process group is needed."""
    mesh = DeviceMesh(
        "cpu", torch.arange(ranks).reshape(shape or ranks), _init_backend=False, _rank=0
    )
    shards = mesh.mesh.shape[-1]
    pieces = list(whole.chunk(shards)) if isinstance(placements[-1], Shard) else [whole] * shards
    pieces += [whole[:0]] * (shards - len(pieces))
    local = pieces[rank % shards].clone()
    spec = DTensorSpec(mesh, placements, TensorMeta(whole.shape, whole.stride(), whole.dtype))
    return DTensor(local, spec, requires_grad=False)


def written(folder, tiny, content, ranks=2, step=4):
    """A run of verl with one checkpoint; `content(rank)` gives the weights of a rank."""
    actor = folder / f"global_step_{step}" / "actor"
    ignored = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(tiny, actor / "huggingface", ignore=ignored)
    for rank in range(ranks):
        torch.save(content(rank), actor / f"model_world_size_{ranks}_rank_{rank}.pt")
    (folder / "latest_checkpointed_iteration.txt").write_text(str(step))
    return folder


def sharded(weights, ranks=2, **options):
    return lambda rank: {name: part(w, rank, ranks, **options) for name, w in weights.items()}


def whole(weights):
    return lambda rank: dict(weights)


def assert_equal(folder, weights, **options):
    loaded = load_model(str(folder), device="cpu", **options).model.state_dict()
    assert loaded.keys() == weights.keys()
    for name, weight in weights.items():
        assert torch.equal(loaded[name], weight), name


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_the_parts_of_all_ranks_make_the_model(tiny, weights, tmp_path, ranks):
    run = written(tmp_path / "run", tiny, sharded(weights, ranks), ranks)
    imported = import_checkpoint(run, tmp_path / "model")
    assert (imported.ranks, imported.weights, imported.adapters) == (ranks, len(weights), 0)
    assert_equal(tmp_path / "model", weights)


def test_weights_that_every_rank_holds_and_two_dimensional_meshes_are_joined(
    tiny, weights, tmp_path
):
    plain = written(tmp_path / "plain", tiny, whole(weights))
    import_checkpoint(plain, tmp_path / "a")
    assert_equal(tmp_path / "a", weights)
    hybrid = sharded(weights, 4, placements=(Replicate(), Shard(0)), shape=(2, 2))
    import_checkpoint(written(tmp_path / "hybrid", tiny, hybrid, 4), tmp_path / "b")
    assert_equal(tmp_path / "b", weights)


def adapted(weights, names, rank=2):
    """The weights as peft holds them, with an adapter on the named layers."""
    generator = torch.Generator().manual_seed(0)
    content = {}
    for name, weight in weights.items():
        layer = name.removesuffix(".weight")
        if layer not in names:
            content[PREFIX + name] = weight
            continue
        content[f"{PREFIX}{layer}.base_layer.weight"] = weight
        up, down = weight.shape
        for side, shape in (("A", (rank, down)), ("B", (up, rank))):
            content[f"{PREFIX}{layer}.lora_{side}.default.weight"] = torch.randn(
                shape, generator=generator
            )
    return content


def with_meta(run, content):
    meta = run / "global_step_4" / "actor" / "lora_train_meta.json"
    meta.write_text(json.dumps(content))
    return run


def test_an_adapter_is_merged_with_its_scale(tiny, weights, tmp_path):
    content = adapted(weights, {MERGED})
    run = written(tmp_path / "run", tiny, sharded(content))
    imported = import_checkpoint(with_meta(run, {"r": 2, "lora_alpha": 6}), tmp_path / "model")
    assert imported.adapters == 1
    down = content[f"{PREFIX}{MERGED}.lora_A.default.weight"]
    up = content[f"{PREFIX}{MERGED}.lora_B.default.weight"]
    expected = {**weights, f"{MERGED}.weight": weights[f"{MERGED}.weight"] + 3 * (up @ down)}
    assert_equal(tmp_path / "model", expected)


@pytest.mark.parametrize("meta", [{}, {"r": 0, "lora_alpha": 6}, {"r": 2}])
def test_an_adapter_without_its_scale_is_refused(tiny, weights, tmp_path, meta):
    run = written(tmp_path / "run", tiny, sharded(adapted(weights, {MERGED})))
    with pytest.raises(UserError, match=r"lora_train_meta\.json: the rank and alpha"):
        import_checkpoint(with_meta(run, meta), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_adapters_without_the_model_are_refused(tiny, weights, tmp_path):
    content = {n: w for n, w in adapted(weights, {MERGED}).items() if "lora_" in n}
    run = written(tmp_path / "run", tiny, whole(content))
    with pytest.raises(UserError, match="holds only adapters; set save_contents"):
        import_checkpoint(with_meta(run, {"r": 2, "lora_alpha": 6}), tmp_path / "model")


def test_large_weights_are_divided_over_files_with_an_index(tiny, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_FILE_BYTES", 100_000)
    import_checkpoint(written(tmp_path / "run", tiny, sharded(weights)), tmp_path / "model")
    assert len(list((tmp_path / "model").glob("model-*.safetensors"))) > 2
    assert not (tmp_path / "model" / "model.safetensors").exists()
    assert_equal(tmp_path / "model", weights)


def test_options_of_the_recipe_are_stored_with_the_model(tiny, weights, tmp_path):
    run = written(tmp_path / "run", tiny, sharded(weights))
    out = tmp_path / "model"
    options = {"family": "qwen3_vl", "min_pixels": 6400, "max_pixels": 12800, "dtype": "bfloat16"}
    import_checkpoint(run, out, **options)
    interface = load_interface(str(out))
    assert interface.family.name == "qwen3_vl"
    size = interface.processor.image_processor.size
    assert (size["shortest_edge"], size["longest_edge"]) == (6400, 12800)
    loaded = load_model(str(out), device="cpu", dtype="auto").model.state_dict()
    name = f"{MERGED}.weight"
    assert torch.equal(loaded[name], weights[name].to(torch.bfloat16))


def without(weights, name=f"{MERGED}.weight"):
    return {each: weight for each, weight in weights.items() if each != name}


def changed(weights, change, name=f"{MERGED}.weight"):
    """Only rank 1 has another weight."""
    return lambda rank: {**weights, name: change(weights[name])} if rank else dict(weights)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda w: whole(without(w)), f"weight {MERGED}.weight is missing; the files do not fit"),
        (lambda w: whole({**w, "head.weight": torch.zeros(2)}), "head.weight is not part of the model"),
        (lambda w: lambda rank: without(w) if rank else w, f"ranks 0 and 1 differ in the weight {MERGED}"),
        (lambda w: changed(w, lambda x: x + 1), "differs between ranks 0 and 1"),
        (lambda w: changed(w, lambda x: part(x, 1, 2)), "differs between ranks 0 and 1"),
        (lambda w: sharded({**w, f"{MERGED}.weight": w[f"{MERGED}.weight"] / 0}), "is not finite; use an earlier"),
        (lambda w: lambda rank: {n: part(x, rank, 3) for n, x in w.items()}, "its device mesh does not hold the 2 ranks"),
        (lambda w: lambda rank: list(w.values()), "expected a mapping of weights"),
        (lambda w: whole({**w, "step": 3}), "'step' is no tensor with a name"),
        (lambda w: whole({}), "expected a mapping of weights"),
    ],
)  # fmt: skip
def test_weights_that_are_not_those_of_the_model_are_refused(
    tiny, weights, tmp_path, content, message
):
    run = tmp_path / "run"
    written(run, tiny, content(weights))
    with pytest.raises(UserError, match=message):
        import_checkpoint(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return open, (str(self._path), "w")


@pytest.mark.parametrize("protocol", [2, "torch"])
def test_pickled_code_is_refused_and_does_not_run(tiny, weights, tmp_path, protocol):
    marker = tmp_path / "ran"
    run = written(tmp_path / "run", tiny, sharded(weights))
    path = run / "global_step_4" / "actor" / "model_world_size_2_rank_1.pt"
    content = {"a": Attack(marker)}
    if protocol == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(UserError, match=r"rank_1.pt: cannot be read as tensors only .* run code"):
        import_checkpoint(run, tmp_path / "model")
    assert not marker.exists()
    assert not (tmp_path / "model").exists()


def test_a_cut_file_is_refused(tiny, weights, tmp_path):
    run = written(tmp_path / "run", tiny, sharded(weights))
    path = run / "global_step_4" / "actor" / "model_world_size_2_rank_0.pt"
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UserError, match=r"rank_0.pt: cannot be read as tensors only"):
        import_checkpoint(run, tmp_path / "model")


def test_a_missing_rank_and_files_of_two_runs_are_refused_by_name(tiny, weights, tmp_path):
    run = written(tmp_path / "run", tiny, sharded(weights))
    actor = run / "global_step_4" / "actor"
    second = actor / "model_world_size_2_rank_1.pt"
    other = actor / "model_world_size_4_rank_1.pt"
    shutil.copy(second, other)
    with pytest.raises(UserError, match="files of 2 and 4 ranks; keep those of one run"):
        import_checkpoint(run, tmp_path / "model")
    other.unlink()
    second.unlink()
    with pytest.raises(UserError, match=r"1 of 2 files are missing, such as .*_rank_1.pt; copy"):
        import_checkpoint(run, tmp_path / "model")


def test_an_existing_folder_and_an_unknown_precision_are_refused_first(tmp_path):
    out = tmp_path / "model"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(UserError, match="model: exists already; choose another --out"):
        import_checkpoint(tmp_path / "nothing", out)
    assert (out / "mine").read_text() == "kept"
    with pytest.raises(UserError, match="--dtype int8: choose from bfloat16, float16, float32"):
        import_checkpoint(tmp_path / "nothing", tmp_path / "new", dtype="int8")


def test_the_latest_checkpoint_of_a_run_is_found_and_others_are_named(tiny, tmp_path):
    run = tmp_path / "run"
    for step in (10, 4):
        written(run, tiny, lambda rank: {"a": torch.zeros(1)}, step=step)
    assert find_actor(run) == run / "global_step_4" / "actor"  # the file names it
    assert find_actor(run / "global_step_10") == run / "global_step_10" / "actor"
    assert find_actor(run / "global_step_10" / "actor") == run / "global_step_10" / "actor"
    (run / "latest_checkpointed_iteration.txt").unlink()
    with pytest.raises(
        UserError, match=r"no checkpoint of verl here .*global_step_10, global_step_4"
    ):
        find_actor(run)
    with pytest.raises(UserError, match="nothing: no checkpoint of verl here"):
        find_actor(tmp_path / "nothing")


def test_the_command_reports_what_it_wrote_and_errors_are_one_line(tiny, weights, tmp_path):
    run = written(tmp_path / "run", tiny, sharded(weights))
    words = ["import-checkpoint", str(run), "--out", str(tmp_path / "model")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert f"{len(weights)} weights of 2 ranks from {run}" in done.stderr
    assert_equal(tmp_path / "model", weights)
