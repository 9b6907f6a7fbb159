"""Hostile recipes: YAML and JSON files that `train --dry-run` refuses with one line."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.reliability.hostile.forks import run_command, user_error_fault

LIMIT_S = 60.0
MEMORY_MB = 700
_DATA = Path(__file__).resolve().parents[3] / "datasets" / "sim-small"
_WHOLE = f"model: {{source: embedded}}\ndata: {{path: '{_DATA}', split: adapt}}\n"
_ALIASES = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
_MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 12)
)
_KEYS = [f"key_{number}: {number}" for number in range(20_000)]

RECIPES: dict[str, str | bytes] = {
    "empty.yaml": "",
    "null.yaml": "null",
    "list.yaml": "- 1\n- 2",
    "deep-lists.yaml": "name: " + "[" * 20_000,
    "deep-lists-closed.yaml": "name: " + "[" * 20_000 + "]" * 20_000,
    "deep-blocks.yaml": "\n".join(" " * depth + "a:" for depth in range(1500)),
    "deep-dashes.yaml": _WHOLE + "name: 1\nx:\n " + "- " * 20_000,
    "aliases.yaml": _ALIASES,
    "merges.yaml": _MERGES,
    "alias-of-itself.yaml": "name: &a [*a]",
    "merge-of-itself.yaml": "name: &a {<<: *a}",
    "alias-unknown.yaml": "name: *nothing",
    "date.yaml": _WHOLE + "name: 2024-13-45",
    "date-time.yaml": _WHOLE + "name: 2024-01-01T99:99:99Z",
    "date-far.yaml": _WHOLE + "seed: 9999-12-31T23:59:59-23:59",
    "date-zone.yaml": _WHOLE + "name: x\nseed: 2024-01-01T00:00:00+99:99",
    "date-seed.yaml": _WHOLE + "name: x\nseed: 2024-01-01",
    "keys-20000.yaml": _WHOLE + "name: x\n" + "\n".join(_KEYS),
    "keys-20000-inside.yaml": _WHOLE + "name: x\ntrainer:\n  " + "\n  ".join(_KEYS),
    "keys-20000-flow.yaml": _WHOLE + "name: x\ntrainer: {" + ", ".join(_KEYS) + "}",
    "keys-twice.yaml": "name: a\nname: b",
    "key-list.yaml": "? [1, 2]\n: 3",
    "key-ansi.yaml": '"\\e[2Jname": 1',
    "key-long.yaml": "x" * 900 + ": 1\n",
    "tag-python.yaml": "name: !!python/object/apply:os.system [id]",
    "tag-bool.yaml": "name: !!bool x",
    "tag-timestamp.yaml": "name: !!timestamp x",
    "tag-binary.yaml": _WHOLE + "name: !!binary ===",
    "tag-own.yaml": "name: !<tag:evil> 1",
    "digits.yaml": _WHOLE + "name: x\nseed: " + "9" * 5000,
    "digits-400.yaml": _WHOLE + "seed: " + "9" * 400,
    "base-60.yaml": _WHOLE + "seed: " + ":".join(["59"] * 5000),
    "infinity.yaml": _WHOLE + "name: x\ntrainer: {learning_rate: .inf}",
    "nan.yaml": _WHOLE + "name: x\ntrainer: {learning_rate: .nan}",
    "ansi.yaml": 'name: "\\e]0;owned\\a"\nx: "\\e[2J"',
    "path.yaml": "name: ../../../etc\nmodel: {source: /dev/zero}\ndata: {path: /dev/zero}",
    "nul.yaml": "name: a\0b",
    "not-utf8.yaml": b"name: \xff\xfe",
    "utf-16.yaml": "name: x".encode("utf-16"),
    "binary.yaml": bytes(range(256)),
    "tabs.yaml": "name:\n\t- x",
    "documents.yaml": "name: x\n---\nname: y",
    "directive.yaml": "%YAML 99.9\n---\nname: x",
    "open-quote.yaml": 'name: "' + "x" * 100_000,
    "deep.json": '{"name":' * 50_000 + "1" + "}" * 50_000,
    "deep-900.json": '{"name":' * 900 + "1" + "}" * 900,
    "keys-20000.json": json.dumps({f"key_{number}": number for number in range(20_000)}),
    "keys-twice.json": '{"name": "a", "name": "b"}',
    "digits.json": '{"seed": ' + "9" * 5000 + "}",
    "nan.json": '{"name": "x", "seed": NaN}',
    "surrogate.json": '{"name": "\\ud800", "\\ud800": 1}',
}
"""Contents by file name."""


def recipe_fault(name: str, folder: Path) -> str | None:
    """Why a recipe of `RECIPES` is not refused with one line, or None."""
    path = folder / name
    content = RECIPES[name]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    command = ["train", "grpo", str(path), "--dry-run"]
    return user_error_fault(run_command(command, LIMIT_S, MEMORY_MB, folder))
