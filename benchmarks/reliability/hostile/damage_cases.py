"""Named ways to damage the embedded checkpoint: those that are refused, and those that are not."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from benchmarks.reliability.hostile.damage import (
    WEIGHTS,
    Damage,
    all_overlap,
    code,
    dropped,
    edited,
    entry,
    fifo,
    header,
    linked,
    pickled,
    put,
    template,
    void,
    without,
    written,
)


def _metadata(entries: dict[str, Any], rest: bytes) -> tuple[dict[str, Any], bytes]:
    entries["__metadata__"] = {"x": "y" * (40 * 2**20)}
    return entries, rest


def _index(shard: Any) -> Damage:
    """Add an index that lists one file."""
    return written(_INDEX, json.dumps({"weight_map": {"a": shard}}))


_MAP = {"AutoConfig": "x.C", "AutoModelForImageTextToText": "x.M", "AutoProcessor": "x.M"}
_INDEX = "model.safetensors.index.json"
_MANY_KEYS = {f"key_{number}": number for number in range(20_000)}
_MANY_SHARDS = {f"w{number}": f"x{number}.safetensors" for number in range(20_000)}
_SPIN = "{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(9999) %}"
_ENDS = "{% endfor %}{% endfor %}{% endfor %}"

REFUSED: dict[str, Damage] = {
    "template-range": template("{% for i in range(10**9) %}a{% endfor %}"),
    "template-nested": template(_SPIN + _ENDS),
    "template-nested-text": template(_SPIN + "a" + _ENDS),
    "template-multiply": template("{{ 'a' * 10**12 }}"),
    "template-multiply-list": template("{{ [1] * 10**10 }}"),
    "template-power": template("{{ 9 ** 9 ** 9 }}"),
    "template-width": template("{{ '%1000000000d' | format(1) }}"),
    "template-center": template("{{ 'a' | center(10**11) }}"),
    "template-doubling": template(
        "{% set n = namespace(s='aa') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}"
        "{{ n.s }}"
    ),
    "template-output": template("{% for i in range(99999) %}{{ messages }}{% endfor %}"),
    "template-recursion": template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
    "template-classes": template("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    "template-globals": template("{{ cycler.__init__.__globals__.os.popen('id').read() }}"),
    "template-import": template("{% import 'os' as os %}{{ os.system('id') }}"),
    "template-include": template("{% include '/etc/passwd' %}"),
    "template-syntax": template("{% for %}"),
    "template-deep": template("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"),
    "template-raise": template("{{ raise_exception('\x1b[2Jboo') }}"),
    "template-empty": template(""),
    "template-constant": template("hello"),
    "template-long": template("a" * (3 * 2**20)),
    "template-not-utf8": written("chat_template.jinja", b"\xff\xfe{{"),
    "hidden-size": put("text_config.hidden_size", 10**9),
    "layers": put("text_config.num_hidden_layers", 10**9),
    "vocabulary": put("text_config.vocab_size", 10**12),
    "vocabulary-2e6": put("text_config.vocab_size", 2 * 10**6),
    "intermediate": put("text_config.intermediate_size", 10**5),
    "heads": put("text_config.num_attention_heads", 10**8),
    "head-dim": put("text_config.head_dim", 10**9),
    "vision-depth": put("vision_config.depth", 10**6),
    "vision-patch": put("vision_config.patch_size", 10**6),
    "vision-positions": put("vision_config.num_position_embeddings", 10**7),
    "negative-size": put("text_config.hidden_size", -160),
    "zero-heads": put("text_config.num_attention_heads", 0),
    "size-text": put("text_config.hidden_size", "160"),
    "size-list": put("text_config.hidden_size", [160]),
    "digits": written("config.json", '{"model_type": ' + "9" * 5000 + "}"),
    "deep-config": written("config.json", '{"a":' * 100_000 + "1" + "}" * 100_000),
    "nan-config": written("config.json", '{"model_type": NaN}'),
    "list-config": written("config.json", "[]"),
    "empty-config": written("config.json", ""),
    "binary-config": written("config.json", bytes(range(256))),
    "model-type-list": put("model_type", ["qwen3_vl"]),
    "model-type-ansi": put("model_type", "\x1b[2J\u202e"),
    "architectures-number": edited(
        "config.json", lambda c: c.update(model_type="llama", architectures=[7])
    ),
    "remote-code": code("x.py", put("auto_map", _MAP), put("model_type", "x")),
    "remote-code-hub": edited(
        "config.json", lambda c: c.update(model_type="x", auto_map={"AutoConfig": "a/b--x.C"})
    ),
    "kernel-code": put("attn_implementation", "org/kernel"),
    "kernel-code-inside": put("text_config._attn_implementation", "org/kernel:f"),
    "experts-code": put("text_config._experts_implementation", "org/kernel"),
    "adapter-inside": written("adapter_config.json", '{"base_model_name_or_path": "/elsewhere"}'),
    "pickle-weights": pickled("pytorch_model.bin", without(WEIGHTS)),
    "pickle-shard": pickled("x.bin", _index("x.bin")),
    "shard-outside": _index("../x.safetensors"),
    "shard-absolute": _index("/etc/x.safetensors"),
    "shard-below": _index("a/../../x.safetensors"),
    "shard-home": _index("~/x.safetensors"),
    "shard-windows": _index("..\\x.safetensors"),
    "shard-nul": _index("x\0.safetensors"),
    "shard-ansi": _index("\x1b[2Jx.safetensors"),
    "shard-long": _index("x" * 5000 + ".safetensors"),
    "shard-number": _index(7),
    "shard-null": _index(None),
    "shard-list": _index(["x.safetensors"]),
    "shard-missing": _index("x.safetensors"),
    "shards-20000": written(_INDEX, json.dumps({"weight_map": _MANY_SHARDS})),
    "index-list": written(_INDEX, '{"weight_map": ["model.safetensors"]}'),
    "index-empty": written(_INDEX, '{"weight_map": {}}'),
    "index-deep": written(_INDEX, '{"weight_map":' * 50_000 + "1" + "}" * 50_000),
    "index-not-json": written(_INDEX, "weight_map: {}"),
    "index-fifo": fifo(_INDEX),
    "link-outside": linked("config.json", "/etc/passwd"),
    "link-weights": linked(WEIGHTS, "/dev/zero"),
    "link-loop": linked("tokenizer.json", "tokenizer.json"),
    "link-parent": linked("generation_config.json", "../../generation_config.json"),
    "fifo-config": fifo("config.json"),
    "fifo-tokenizer": fifo("tokenizer.json"),
    "fifo-template": fifo("chat_template.jinja"),
    "fifo-weights": fifo(WEIGHTS),
    "header-length": written(WEIGHTS, b"\xff" * 8 + b"{}"),
    "header-100mb": written(WEIGHTS, struct.pack("<Q", 99_000_000) + b" " * 100),
    "header-not-json": written(WEIGHTS, struct.pack("<Q", 4) + b"abcd"),
    "header-empty": written(WEIGHTS, b""),
    "offsets-overlap": header(all_overlap),
    "offsets-outside": entry(data_offsets=[0, 10**15]),
    "offsets-reversed": entry(data_offsets=[100, 0]),
    "offsets-negative": entry(data_offsets=[-4, 0]),
    "shape-lie": entry(shape=[10**9, 10**9]),
    "shape-overflow": entry(shape=[2**63, 2]),
    "shape-negative": entry(shape=[-1]),
    "dtype-unknown": entry(dtype="Z9"),
    "dtype-integer": entry(dtype="I16"),
    "metadata-huge": header(_metadata),
    "tensor-missing": header(dropped),
    "weights-cut": lambda folder: os.truncate(folder / WEIGHTS, 1_000_000),
    "no-tokenizer": without("tokenizer.json"),
    "no-processor": without("processor_config.json"),
    "tokenizer-empty": written("tokenizer.json", "{}"),
    "tokenizer-list": written("tokenizer.json", "[]"),
    "tokenizer-model": put(
        "model", {"type": "BPE", "vocab": {"a": -1}, "merges": ["x"]}, "tokenizer.json"
    ),
    "tokenizer-regex": put(
        "pre_tokenizer",
        {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"},
        "tokenizer.json",
    ),
    "max-pixels": put(
        "image_processor.size",
        {"shortest_edge": 10**12, "longest_edge": 10**12},
        "processor_config.json",
    ),
    "max-pixels-only": put("image_processor.size.longest_edge", 10**12, "processor_config.json"),
    "min-pixels": put("image_processor.size.shortest_edge", 10**9, "processor_config.json"),
    "pixels-negative": put("image_processor.size.shortest_edge", -1, "processor_config.json"),
    "pixels-text": put("image_processor.size.longest_edge", "9", "processor_config.json"),
    "patch-zero": put("image_processor.patch_size", 0, "processor_config.json"),
    "patch-huge": put("image_processor.patch_size", 10**9, "processor_config.json"),
    "merge-huge": put("image_processor.merge_size", 10**6, "processor_config.json"),
    "std-zero": put("image_processor.image_std", [0.0, 0.0, 0.0], "processor_config.json"),
    "mean-short": put("image_processor.image_mean", [0.5], "processor_config.json"),
    "rescale-huge": put("image_processor.rescale_factor", 1e300, "processor_config.json"),
    "processor-class": put("processor_class", "pipeline", "processor_config.json"),
    "end-token-outside": put("eos_token_id", 10**9, "generation_config.json"),
    "end-token-text": put("eos_token_id", ["x"], "generation_config.json"),
}
"""Damage that must be refused."""

LOADED: dict[str, Damage] = {
    "whole": void,
    "pickle-beside": pickled("training_args.bin"),
    "pickle-tokenizer": pickled("vocab.pkl"),
    "pickle-named": pickled(
        "tokenizer.pkl", put("vocab_file", "tokenizer.pkl", "tokenizer_config.json")
    ),
    "code-beside": code("modeling_x.py", put("auto_map", {"AutoModel": "modeling_x.M"})),
    "code-generate": code("custom_generate/generate.py"),
    "generation-absurd": edited(
        "generation_config.json",
        lambda c: c.update(num_beams=1000, min_new_tokens=10**6, suppress_tokens=[1, 2, 3, 50]),
    ),
    "generation-penalty": put("repetition_penalty", 1e9, "generation_config.json"),
    "template-same": lambda folder: void(
        (folder / "chat_template.jinja").open("a").write("{# x #}")
    ),
    "keys-20000": edited("config.json", lambda c: c.update(_MANY_KEYS)),
    "keys-20000-generation": edited("generation_config.json", lambda c: c.update(_MANY_KEYS)),
    "keys-20000-tokenizer": edited("tokenizer_config.json", lambda c: c.update(_MANY_KEYS)),
    "dates": put("date", ["2024-13-45", "0000-00-00T99:99:99Z", 10**12]),
    "unknown-keys": put("x", {"y": ["\x1b[2J"] * 1000}),
    "max-length": put("model_max_length", 10**40, "tokenizer_config.json"),
}
"""Odd content that changes no output."""
