"""Measures the memory of a forward and backward pass of a small model with PyTorch's profiler."""

import torch
import transformers
from torch.profiler import ProfilerActivity, profile

from maniplvm.models import LoraSettings
from maniplvm.models.lora import add_lora
from maniplvm.models.parameters import freeze_vision_tower
from maniplvm.training.dry_run.activations import ActivationPolicy, Workload, activation_bytes
from maniplvm.training.dry_run.shapes import read_shape

_TEXT = {
    "vocab_size": 1000,
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 4, 4]}
_VISION = {
    "depth": 4,
    "num_heads": 4,
    "hidden_size": 96,
    "intermediate_size": 256,
    "out_hidden_size": 128,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
_FAMILIES = {
    "qwen2_5_vl": (
        "Qwen2_5_VL",
        {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1, 3]},
        {},
    ),
    "qwen3_vl": (
        "Qwen3VL",
        {"patch_size": 16, "deepstack_visual_indexes": [1], "num_position_embeddings": 64},
        {"mrope_interleaved": True},
    ),
}
_IMAGE, _SIDE = 5, 16
_ROWS, _PROMPT, _COMPLETION = 4, 200, 100


def measured_peak(family: str, checkpointing: bool, adapters: bool) -> tuple[int, int]:
    """Measured and estimated bytes of one pass: activations and gradients, without weights."""
    model = _model(family, checkpointing, adapters)
    inputs = _inputs(model)
    backbone = (model.get_base_model() if adapters else model).model
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        hidden = backbone(**inputs, use_cache=False).last_hidden_state
        hidden.float().pow(2).sum().backward()
    events = profiler.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    trained = [each for each in model.parameters() if each.requires_grad]
    gradients = sum(each.numel() * each.element_size() for each in trained)
    work = Workload(_ROWS, _PROMPT, _COMPLETION, _SIDE**2 // 4)
    policy = ActivationPolicy(
        checkpointing=checkpointing,
        text_trains=not adapters,
        adapters=LoraSettings().targets if adapters else (),
        vision_trains=not adapters,
    )
    return peak, activation_bytes(read_shape(model.config), work, policy) + gradients


def _model(family: str, checkpointing: bool, adapters: bool):
    prefix, vision, rope = _FAMILIES[family]
    config = getattr(transformers, f"{prefix}Config")(
        text_config={**_TEXT, "rope_parameters": {**_ROPE, **rope}},
        vision_config={**_VISION, **vision},
        image_token_id=_IMAGE,
        video_token_id=6,
        vision_start_token_id=7,
        vision_end_token_id=8,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{prefix}ForConditionalGeneration")(config)
    model = model.to(torch.bfloat16)
    if adapters:
        model = add_lora(model, LoraSettings())
        freeze_vision_tower(model)
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
        if adapters:
            model.enable_input_require_grads()
    return model.train()


def _inputs(model):
    tokens = torch.randint(10, 900, (_ROWS, _PROMPT + _COMPLETION))
    image = _SIDE**2 // 4
    tokens[:, 0], tokens[:, 1 : 1 + image], tokens[:, 1 + image] = 7, _IMAGE, 8
    patch = model.config.vision_config.patch_size
    return {
        "input_ids": tokens,
        "mm_token_type_ids": (tokens == _IMAGE).long(),
        "pixel_values": torch.randn(_ROWS * _SIDE**2, 3 * 2 * patch**2).to(torch.bfloat16),
        "image_grid_thw": torch.tensor([[1, _SIDE, _SIDE]] * _ROWS),
    }
