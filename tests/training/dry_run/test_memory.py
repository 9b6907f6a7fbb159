"""The memory estimate: exact where it can be, and held against measurements where it cannot."""

import json

import pytest

from maniplvm.errors import UserError
from maniplvm.models import (
    ARCHITECTURES,
    LoraSettings,
    build_meta_model,
    load_model,
    write_architecture,
    write_tiny_checkpoint,
)
from maniplvm.training.config.launch import Launch, Sharding
from maniplvm.training.dry_run.activations import Workload
from maniplvm.training.dry_run.memory import MemorySettings, estimate_memory, weight_bytes
from tests.training.measured_memory import measured_peak

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"  # peft still calls it
)

LANGUAGE = LoraSettings().targets
WORK = Workload(rows=4, prompt_tokens=700, completion_tokens=256, image_tokens=400)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folders = tmp_path_factory.mktemp("tiny")
    return {
        family: write_tiny_checkpoint(folders / family, family)
        for family in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
    }


@pytest.fixture(scope="module")
def architectures(tmp_path_factory):
    """By name: a folder with the sizes of a published model."""
    root = tmp_path_factory.mktemp("architectures")
    return {name: write_architecture(root / name, name) for name in ARCHITECTURES}


@pytest.fixture(scope="module")
def meta_model(architectures):
    return build_meta_model(architectures["qwen2.5-vl-3b"])


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_meta_model_has_the_bytes_of_the_loaded_model(tiny, family, dtype):
    loaded = load_model(tiny[family], dtype=dtype, device="cpu")
    assert weight_bytes(build_meta_model(tiny[family], dtype=dtype)) == weight_bytes(loaded.model)


def test_a_meta_model_with_adapters_trains_the_same_weights_as_the_loaded_model(tiny):
    settings = {"dtype": "bfloat16", "lora": LoraSettings(rank=4), "freeze_vision": True}
    loaded = load_model(tiny["qwen3_vl"], device="cpu", **settings)
    meta_model = build_meta_model(tiny["qwen3_vl"], **settings)
    planned = [(n, p.shape, p.dtype, p.requires_grad) for n, p in meta_model.named_parameters()]
    real = [(n, p.shape, p.dtype, p.requires_grad) for n, p in loaded.model.named_parameters()]
    assert planned == real


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("adapters", [False, True])
def test_activations_and_gradients_are_estimated_within_thirty_percent_of_the_measured_peak(
    family, checkpointing, adapters
):
    # A busy machine may miss a peak, never invent one: the larger of two measurements counts.
    peaks = [measured_peak(family, checkpointing, adapters) for _ in range(2)]
    measured, estimated = max(peaks)
    assert 0.75 < estimated / measured < 1.3


def test_every_byte_of_the_state_is_split_over_the_processes(meta_model):
    alone = estimate_memory(meta_model, WORK, MemorySettings()).parts
    eight = estimate_memory(
        meta_model, WORK, MemorySettings(), Launch(8, sharding=Sharding.ZERO3)
    ).parts
    assert eight["weights"] == alone["weights"] // 8
    assert eight["gradients"] == alone["gradients"] // 8
    # bfloat16 weights need float32 masters beside two float32 averages: 12 bytes each
    assert eight["optimizer"] == 12 * 3_754_622_976 // 8


def test_zero2_keeps_the_weights_whole(meta_model):
    split = estimate_memory(
        meta_model, WORK, MemorySettings(), Launch(8, sharding=Sharding.ZERO2)
    ).parts
    assert split["weights"] == weight_bytes(meta_model)


def test_fsdp_holds_learning_weights_in_float32(meta_model):
    parts = estimate_memory(
        meta_model, WORK, MemorySettings(), Launch(2, sharding=Sharding.FSDP2)
    ).parts
    assert parts["weights"] == 4 * 3_754_622_976 // 2


def test_adapters_cost_a_few_percent_of_full_gradients(meta_model, architectures):
    adapted = build_meta_model(architectures["qwen2.5-vl-3b"], lora=LoraSettings())
    full = estimate_memory(meta_model, WORK, MemorySettings())
    lora = estimate_memory(adapted, WORK, MemorySettings(adapters=LANGUAGE))
    assert lora.parts["gradients"] < 0.03 * full.parts["gradients"]
    assert lora.peak < full.peak


def test_a_reference_is_a_second_model_but_for_adapters_only_a_second_adapter(
    meta_model, architectures
):
    adapted = build_meta_model(architectures["qwen2.5-vl-3b"], lora=LoraSettings())
    held = MemorySettings(reference=True)
    assert estimate_memory(meta_model, WORK, held).parts["reference"] == weight_bytes(meta_model)
    lora = MemorySettings(reference=True, adapters=LANGUAGE)
    assert estimate_memory(adapted, WORK, lora).parts["reference"] < 0.03 * weight_bytes(meta_model)


def test_sharing_the_prefix_saves_activations(meta_model):
    usual = Workload(rows=8, prompt_tokens=700, completion_tokens=256, image_tokens=400)
    packed = Workload(1, 700, 256, 400, completions_per_row=8)
    assert packed.tokens < usual.tokens
    one, other = (
        estimate_memory(meta_model, work, MemorySettings()).update for work in (usual, packed)
    )
    assert other["activations"] < one["activations"]


def test_the_key_value_cache_is_two_numbers_a_layer_and_head_channel(meta_model):
    work = Workload(8, 700, 256, 400, generated_rows=8)
    cache = estimate_memory(meta_model, work, MemorySettings()).generation["key-value cache"]
    assert cache == 2 * 8 * 956 * 36 * 2 * 128 * 2  # rows, tokens, layers, heads, channels, bytes


def test_checkpointing_trades_memory_for_time(meta_model):
    kept = estimate_memory(meta_model, WORK, MemorySettings(checkpointing=False)).update[
        "activations"
    ]
    again = estimate_memory(meta_model, WORK, MemorySettings()).update["activations"]
    assert again < kept / 4


def test_the_peak_is_held_plus_the_larger_phase(meta_model):
    work = Workload(1, 700, 256, 400, generated_rows=64)
    estimate = estimate_memory(meta_model, work, MemorySettings())
    held, generated = sum(estimate.parts.values()), sum(estimate.generation.values())
    assert generated > sum(estimate.update.values())
    assert estimate.peak == held + generated
    assert json.dumps(estimate.to_json())


def test_a_config_without_weights_suffices_and_one_that_is_broken_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl", "text_config": 3}')
    with pytest.raises(UserError, match=r"config\.json"):
        build_meta_model(tmp_path)
