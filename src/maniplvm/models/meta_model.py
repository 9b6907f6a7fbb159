"""A model's parameters without its weights: names, shapes and precisions on the meta device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.models.checkpoint import open_checkpoint
from maniplvm.models.lora import LoraSettings, add_lora
from maniplvm.models.parameters import freeze_vision_tower
from maniplvm.optional import torch, transformers


def build_skeleton(
    source: str | Path,
    *,
    dtype: str = "bfloat16",
    lora: LoraSettings | None = None,
    freeze_vision: bool = False,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """A model of the real class that occupies no memory; only `config.json` is read.

    What learns is what would learn after `load_model` with the same arguments, so parameters can
    be counted before anything is downloaded.

    Args:
        source: A folder, or the id of a model on the Hugging Face Hub.
        dtype: Of the weights: `bfloat16`, `float16` or `float32`.
        lora: As in `load_model`.
        freeze_vision: As in `load_model`.
        revision: As in `load_model`.
        trust_remote_code: As in `load_model`.

    Returns:
        A model of transformers on the meta device, or the `PeftModel` around it.

    Raises:
        UserError: as `open_checkpoint` and `add_lora`; also a config that its class refuses.
    """
    checkpoint = open_checkpoint(
        source, weights=False, revision=revision, trust_remote_code=trust_remote_code
    )
    library = transformers()
    try:
        with torch().device("meta"):
            model = library.AutoModelForImageTextToText.from_config(
                checkpoint.config,
                dtype=getattr(torch(), dtype),
                trust_remote_code=trust_remote_code,
            )
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"{source}: config.json describes no model that can be built ({error})"
        ) from error
    if lora is not None:
        model = add_lora(model, lora)
    if freeze_vision:
        freeze_vision_tower(model)
    return model
