"""Checks of a checkpoint's folder before the heavy libraries open its files.

A checkpoint is data from a stranger. These checks limit what its files can make a library do: read
outside of the folder, wait for ever, or take all memory. Files are never unpickled, and code beside
the weights never runs unless the caller trusts it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.optional import safetensors
from maniplvm.text import shortened

_MIB = 2**20
_MAX_BYTES = {".json": 256 * _MIB, ".jinja": _MIB, ".txt": 64 * _MIB, ".model": 64 * _MIB}
"""Largest file that is read, by suffix; vocabularies of 250,000 entries take about 35 MB."""

_MAX_HEADER = 32 * _MIB
"""Largest header of a safetensors file; one of 100,000 tensors takes about 12 MB."""

_READ_AS_JSON = (
    "config.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
)
_SIZES = (
    (re.compile(r"(^|_)(layers|depth)$"), 2**10),
    (re.compile(r"(^|_)(heads|experts|experts_per_tok|channels)$"), 2**13),
    (re.compile(r"(^|_)(patch_size|merge_size|patch_dim)$"), 2**10),
    (re.compile(r"(hidden_size|intermediate_size|_dim|_rank)$"), 2**18),
    (re.compile(r"(vocab_size|num_position_embeddings)$"), 2**23),
)
"""Largest values of sizes in `config.json`, by key; the largest published models are far below."""

_LARGEST_INTEGER = 2**40
_ATTENTION_CODE = re.compile(r"(attn|attention|experts)_implementation$")
_PLAIN_ATTENTION = ("sdpa", "eager", "flash_attention_2", "flash_attention_3", "grouped_mm")
_FLOATS = ("F64", "F32", "F16", "BF16")
_PARAMETER = re.compile(r"\.(weight|bias)$")
_MOST_DESCRIBED = 4.0
"""Described weights for each stored one; quantized files pack several into one number."""


@contextmanager
def library_errors(name: str, what: str) -> Iterator[None]:
    """Turn any error of a library on files from outside into one line.

    Libraries raise almost any type of error on damaged files; a panic of Rust code is no
    `Exception`.

    Args:
        name: The checkpoint.
        what: What failed, such as `its processor cannot be loaded`.

    Raises:
        UserError: the block raised an error.
    """
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{name}: {what} (it needs more memory than there is)") from error
    except Exception as error:
        if "out of memory" in str(error):  # of a GPU: callers may try smaller batches
            raise
        raise UserError(f"{name}: {what} ({first_line(error)})") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise UserError(f"{name}: {what} ({first_line(error)})") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not empty, else its type."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shortened(lines[0], 300) if lines else type(error).__name__


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        UserError: the file is unreadable, is not JSON, or holds no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object")
    return content


def check_files(folder: Path, name: str) -> None:
    """Check the files of a checkpoint that libraries read, but not the content of weights.

    Raises:
        UserError: a file is no regular file, links to a place outside of the folder, is too large,
            or is not JSON.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix not in (*_MAX_BYTES, ".safetensors"):
            continue
        if not _is_inside(path, folder):
            raise UserError(
                f"{name}: {path.name} links to a file outside of the checkpoint; replace the link by "
                "the file"
            )
        if not path.is_file():
            raise UserError(f"{name}: {path.name} is no regular file")
        largest = _MAX_BYTES.get(path.suffix)
        if largest is not None and path.stat().st_size > largest:
            raise UserError(f"{name}: {path.name} is larger than {largest // _MIB} MiB")
    for file in _READ_AS_JSON:
        if (folder / file).is_file():
            read_json(folder / file)


def check_settings(settings: Mapping[str, Any], name: str) -> None:
    """Check the numbers of a `config.json`, and that it names no attention code to download.

    Raises:
        UserError: a size is outside the range of real models, or a value could load code.
    """
    for key, value in _entries(settings):
        if isinstance(value, str) and _ATTENTION_CODE.search(key) and value not in _PLAIN_ATTENTION:
            raise UserError(f"{name}: bad config.json ({key} {value!r:.60} could load other code)")
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        largest = next((most for pattern, most in _SIZES if pattern.search(key)), _LARGEST_INTEGER)
        is_size = largest != _LARGEST_INTEGER
        if (is_size and not 0 <= value <= largest) or (
            isinstance(value, int) and abs(value) > largest
        ):
            raise UserError(
                f"{name}: bad config.json ({key} is {shortened(repr(value), 30)}, but at most "
                f"{largest} is possible)"
            )


def check_weight_files(folder: Path, settings: Mapping[str, Any], name: str) -> None:
    """Check the headers of the weight files, and that they are not far smaller than described.

    Raises:
        UserError: a header is damaged; weights are stored as integers; or `config.json` describes
            far more weights, for which a library would take memory.
    """
    is_quantized = "quantization_config" in settings
    stored = sum(
        stored_weights(path, name, only_floats=not is_quantized)
        for path in sorted(folder.glob("*.safetensors"))
    )
    described = _at_least(settings)
    factor = _MOST_DESCRIBED * (8 if is_quantized else 1)
    if described > factor * stored:
        raise UserError(
            f"{name}: config.json describes at least {described:,} weights, but the files hold "
            f"{stored:,}; they do not belong together"
        )


def stored_weights(path: Path, name: str, only_floats: bool) -> int:
    """Number of values in a weight file, from its header.

    Args:
        path: A safetensors file.
        name: The checkpoint.
        only_floats: Refuse parameters of another type.

    Raises:
        UserError: the header is damaged, or parameters are stored as integers.
    """
    stored = 0
    with library_errors(name, f"{path.name} cannot be read as safetensors"):
        _check_header_length(path)
        with safetensors().safe_open(path, framework="np") as file:
            for key in file.keys():  # noqa: SIM118 - no mapping
                part = file.get_slice(key)
                stored += math.prod(part.get_shape())
                dtype = part.get_dtype()
                if only_floats and _PARAMETER.search(key) and dtype not in _FLOATS:
                    raise UserError(f"{name}: {path.name}: {key:.80} has the type {dtype}")
    return stored


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a file is in the folder itself; links of the Hub's cache lead to its `blobs`."""
    if not path.is_symlink():
        return True
    try:
        home, target = folder.resolve(), path.resolve()
    except (RuntimeError, OSError):  # a circle of links
        return False
    if target.is_relative_to(home):
        return True
    return home.parent.name == "snapshots" and target.is_relative_to(home.parents[1] / "blobs")


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _entries(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All values below a JSON object with their own keys; those of a list have its key."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _entries(value, str(name))
    elif isinstance(content, list):
        for value in content:
            yield from _entries(value, key)
    else:
        yield key, content


def _check_header_length(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(_MAX_HEADER, path.stat().st_size):
        raise ValueError(f"its header would be {length:,} bytes long")


def _at_least(settings: Mapping[str, Any]) -> int:
    """A lower bound of the number of weights that a `config.json` describes."""
    total = 0
    for part in (settings, settings.get("text_config"), settings.get("vision_config")):
        if not isinstance(part, Mapping):
            continue
        width = _size(part, "hidden_size") or _size(part, "embed_dim")
        layers = _size(part, "num_hidden_layers") or _size(part, "depth")
        entries = _size(part, "vocab_size") + _size(part, "num_position_embeddings")
        total += width * (entries + layers * _size(part, "intermediate_size"))
        total += width * layers * _size(part, "num_attention_heads") * _size(part, "head_dim")
    return total


def _size(part: Mapping[str, Any], key: str) -> int:
    value = part.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
