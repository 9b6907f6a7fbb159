"""Random damage to the text files of the embedded checkpoint."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from benchmarks.reliability.hostile.damage import Damage, edited

_JSON_FILES = (
    "config.json",
    "generation_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
)
_TEXT_FILES = (*_JSON_FILES, "chat_template.jinja")
_VALUES = (
    0,
    -1,
    1,
    3,
    10**6,
    10**18,
    1e308,
    -0.0,
    0.5,
    "",
    "x",
    None,
    True,
    [],
    {},
    [[[]]],
    "9" * 100,
)


def random_damage(seed: int) -> Damage:
    """Flip, remove, repeat or cut bytes of a text file, or replace one number or value in it."""
    rng = random.Random(seed)  # noqa: S311
    name = rng.choice(_TEXT_FILES)
    kind = rng.randrange(6)

    def damage(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        for _ in range(rng.choice([1, 1, 3, 20])):
            start = rng.randrange(max(1, len(data)))
            if kind == 0 and data:
                data[min(start, len(data) - 1)] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del data[start : start + rng.choice([1, 4, 40])]
            elif kind == 2:
                data[start:start] = data[start : start + 30] * rng.choice([1, 5])
            elif kind == 3:
                data[start:start] = rng.randbytes(rng.choice([1, 4]))
        if kind == 4:
            del data[rng.randrange(len(data)) :]
        (folder / name).write_bytes(data)
        if kind == 5 and name in _JSON_FILES:
            edited(name, lambda content: _replace_value(content, rng))(folder)

    return damage


def _replace_value(content: Any, rng: random.Random) -> None:
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        key = rng.choice(keys)
        inner = content[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            content = inner
        else:
            content[key] = rng.choice(_VALUES)
            return
