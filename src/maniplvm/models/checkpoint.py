"""Find or download a checkpoint, and check it before its weights are loaded."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.models.shipped import EMBEDDED, shipped_folder
from maniplvm.models.untrusted import (
    check_files,
    check_settings,
    check_weight_files,
    first_line,
    library_errors,
    read_json,
)
from maniplvm.optional import huggingface_hub, transformers

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_DESCRIPTIONS = ("*.json", "*.txt", "*.jinja", "*.model")
_WEIGHTS = "*.safetensors"
_INDEX = "model.safetensors.index.json"
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,200}\.safetensors", re.ASCII)
_PICKLES = ("pytorch_model*.bin", "model*.bin", "model*.pt", "consolidated*.pth", "*.ckpt")


class NotDownloadedError(UserError):
    """A model id that is not on this machine and could not be downloaded."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A folder that holds an image-text-to-text model which transformers can build.

    Attributes:
        name: Name that the user gave, for messages.
        folder: Folder of its files.
        settings: Content of its `config.json`.
        config: The same content as a `PreTrainedConfig` of transformers.
        trust_remote_code: Whether Python files beside the weights may run.
    """

    name: str
    folder: Path
    settings: Mapping[str, Any]
    config: Any
    trust_remote_code: bool = False


def open_checkpoint(
    source: str | Path,
    *,
    weights: bool = True,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Checkpoint:
    """Find a checkpoint and check that it can be loaded.

    Args:
        source: Folder, id of a model on the Hugging Face Hub, or `embedded` for the model that
            ships with this package.
        weights: Whether the weights are needed; False neither downloads nor checks them.
        revision: Branch, tag or commit of a model on the Hub.
        trust_remote_code: Whether Python files that come with the model may run.

    Raises:
        NotDownloadedError: an id that is not on this machine and could not be downloaded.
        UserError: no such folder; a missing or damaged `config.json`; a model
            that is no image-text-to-text model; code that was not trusted; or weights that are
            missing or not in safetensors.
    """
    folder = _find_folder(source, weights, revision, trust_remote_code)
    check_files(folder, str(source))
    settings = _read_settings(folder, source)
    check_settings(settings, str(source))
    with library_errors(str(source), "bad config.json"):
        config = _read_config(folder, source, settings, trust_remote_code)
    if weights:
        _check_weights(folder, source)
        check_weight_files(folder, settings, str(source))
    return Checkpoint(str(source), folder, settings, config, trust_remote_code)


def _find_folder(
    source: str | Path, weights: bool, revision: str | None, trust_remote_code: bool
) -> Path:
    path = shipped_folder() if source == EMBEDDED else Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise UserError(f"{source} is a file; give the folder of its checkpoint")
    if isinstance(source, Path) or not _HUB_ID.fullmatch(source):
        raise UserError(f"{source}: no such folder")
    patterns = [*_DESCRIPTIONS, *([_WEIGHTS] if weights else [])]
    if trust_remote_code:
        patterns.append("*.py")
    try:
        return Path(
            huggingface_hub().snapshot_download(source, revision=revision, allow_patterns=patterns)
        )
    except (OSError, ValueError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if huggingface_hub().constants.HF_HUB_OFFLINE else ""
        raise NotDownloadedError(
            f"{source}: neither a folder here nor a model that could be downloaded from the "
            f"Hugging Face Hub{offline}: {first_line(error)}"
        ) from error


def _read_settings(folder: Path, source: str | Path) -> dict[str, Any]:
    path = folder / "config.json"
    if path.is_file():
        return read_json(path)
    if (folder / "adapter_config.json").is_file():
        base = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
        raise UserError(
            f"{source} holds a LoRA adapter of {base}, not a whole model; load that model and "
            "pass this folder as adapter="
        )
    raise UserError(f"{source}: no config.json; this is no checkpoint that transformers can load")


def _read_config(
    folder: Path, source: str | Path, settings: Mapping[str, Any], trust_remote_code: bool
) -> Any:
    library = transformers()
    model_type = settings.get("model_type")
    known = model_type in library.CONFIG_MAPPING
    if not known and "auto_map" in settings and not trust_remote_code:
        raise UserError(
            f"{source}: model type {model_type!r} needs the Python code that comes with it; "
            "read that code, and pass trust_remote_code=True if you trust it"
        )
    if not known and "auto_map" not in settings:
        raise UserError(
            f"{source}: transformers {library.__version__} does not know model type {model_type!r}"
        )
    config = library.AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    fitting = type(config) in library.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    if not fitting and "AutoModelForImageTextToText" not in settings.get("auto_map", {}):
        named = ", ".join(settings.get("architectures") or [str(model_type)])
        raise UserError(
            f"{source}: {named} is no image-text-to-text model; expected one such as Qwen2.5-VL "
            "or Qwen3-VL"
        )
    return config


def _shard_names(index: Path) -> set[str]:
    """The weight files that an index lists: plain names of safetensors files in its own folder.

    transformers would load a file of another kind with pickle, which can execute code.

    Raises:
        UserError: the index lists no file, or one that is not a plain name of a safetensors file.
    """
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{index}: 'weight_map' must be an object that maps weights to files")
    for name in weight_map.values():
        if not isinstance(name, str) or not _SHARD_NAME.fullmatch(name):
            raise UserError(
                f"{index}: {name!r:.80} is not the plain name of a .safetensors file; use the "
                "checkpoint as its author published it"
            )
    return set(weight_map.values())


def _check_weights(folder: Path, source: str | Path) -> None:
    if (folder / "adapter_config.json").is_file():
        raise UserError(
            f"{source} holds a model and a LoRA adapter, and transformers would load the base of the "
            "adapter instead; move the adapter to a folder of its own"
        )
    index = folder / _INDEX
    if index.is_file():
        shards = _shard_names(index)
        missing = sorted(name for name in shards if not (folder / name).is_file())
        if missing:
            raise UserError(
                f"{source}: {len(missing)} of {len(shards)} weight files are missing: "
                f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
            )
        return
    if any(folder.glob(_WEIGHTS)):
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise UserError(
            f"{source}: the weights are only in {pickles[0]}, a pickle, which can run code when "
            "it is loaded; convert it to safetensors"
        )
    raise UserError(f"{source}: no weights (*.safetensors)")


@contextmanager
def only_errors_logged() -> Iterator[None]:
    """Without warnings of transformers, which repeat names from the files, in colour."""
    logging = transformers().utils.logging
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


@contextmanager
def quiet_unless_terminal() -> Iterator[None]:
    """Without progress bars of transformers where standard error is not a terminal."""
    logging = transformers().utils.logging
    if sys.stderr.isatty() or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
