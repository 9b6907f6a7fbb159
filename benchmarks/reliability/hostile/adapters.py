"""Ways to damage a LoRA adapter of the embedded checkpoint."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from benchmarks.reliability.hostile.damage import (
    Damage,
    all_overlap,
    code,
    entry,
    fifo,
    header,
    linked,
    pickled,
    put,
    void,
    without,
    written,
)

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_BACKTRACKING = r"(.|[^!])*!"
"""A pattern that takes 2 to the length of a name steps."""


def setting(key: str, value: object) -> Damage:
    """Set a value of the adapter's config."""
    return put(key, value, _CONFIG)


def _both(*damages: Damage) -> Damage:
    def damage(folder: Path) -> None:
        for each in damages:
            each(folder)

    return damage


REFUSED_ADAPTERS: dict[str, Damage] = {
    "adapter-rank": setting("r", 10**9),
    "adapter-rank-text": setting("r", "4"),
    "adapter-rank-zero": setting("r", 0),
    "adapter-alpha": setting("lora_alpha", 1e308),
    "adapter-alpha-text": setting("lora_alpha", "x"),
    "adapter-targets-pattern": setting("target_modules", _BACKTRACKING),
    "adapter-targets-bad": setting("target_modules", "("),
    "adapter-targets-number": setting("target_modules", 7),
    "adapter-targets-none": setting("target_modules", ["nothing\x1b[2J"]),
    "adapter-excluded-pattern": setting("exclude_modules", _BACKTRACKING),
    "adapter-layers-pattern": _both(
        setting("layers_to_transform", [0]), setting("layers_pattern", _BACKTRACKING)
    ),
    "adapter-alpha-pattern": setting("alpha_pattern", {_BACKTRACKING: 3}),
    "adapter-rank-pattern": setting("rank_pattern", {".*": 10**6}),
    "adapter-replication": setting("layer_replication", [[0, 10**6]]),
    "adapter-megatron": _both(
        setting("megatron_config", {"x": 1}), setting("megatron_core", "antigravity")
    ),
    "adapter-type": setting("peft_type", "PROMPT_TUNING"),
    "adapter-type-unknown": setting("peft_type", "\x1b[2J"),
    "adapter-saved-modules": setting("modules_to_save", ["lm_head"]),
    "adapter-saved-pattern": setting("modules_to_save", [_BACKTRACKING]),
    "adapter-dora": setting("use_dora", True),
    "adapter-config-list": written(_CONFIG, "[]"),
    "adapter-config-deep": written(_CONFIG, '{"r":' * 50_000 + "1" + "}" * 50_000),
    "adapter-config-digits": written(_CONFIG, '{"r": ' + "9" * 5000 + "}"),
    "adapter-config-link": linked(_CONFIG, "/etc/passwd"),
    "adapter-config-fifo": fifo(_CONFIG),
    "adapter-pickle": pickled("adapter_model.bin", without(_WEIGHTS)),
    "adapter-weights-link": linked(_WEIGHTS, "/dev/zero"),
    "adapter-weights-fifo": fifo(_WEIGHTS),
    "adapter-weights-cut": lambda folder: os.truncate(folder / _WEIGHTS, 5000),
    "adapter-header-length": written(_WEIGHTS, b"\xff" * 8 + b"{}"),
    "adapter-header-100mb": written(_WEIGHTS, struct.pack("<Q", 99_000_000) + b" " * 100),
    "adapter-offsets": header(all_overlap, _WEIGHTS),
    "adapter-shape": entry(_WEIGHTS, shape=[10**9, 10**9]),
    "adapter-integers": entry(_WEIGHTS, dtype="I32"),
}
"""Damage that must be refused."""

LOADED_ADAPTERS: dict[str, Damage] = {
    "adapter-whole": void,
    "adapter-base-elsewhere": setting("base_model_name_or_path", "/etc/passwd"),
    "adapter-pickle-beside": pickled("adapter_model.bin"),
    "adapter-mapping": code("x.py", setting("auto_mapping", {"base_model_class": "x.C"})),
    "adapter-code-beside": code("modeling_x.py"),
}
"""Odd content that changes no output."""
