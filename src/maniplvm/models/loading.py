"""Load an image-text-to-text model, only its interface, or only the shapes of its weights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.models.checkpoint import (
    Checkpoint,
    only_errors_logged,
    open_checkpoint,
    quiet_unless_terminal,
)
from maniplvm.models.families import CONFIG_KEY, resolve_family
from maniplvm.models.generation_config import check_generation_config
from maniplvm.models.interface import LoadedModel, ModelInterface
from maniplvm.models.lora import LoraSettings, add_lora, merge_adapter
from maniplvm.models.parameters import find_non_finite, freeze_vision_tower
from maniplvm.models.processor import frame_spec, has_processor, load_processor
from maniplvm.models.untrusted import first_line, library_errors
from maniplvm.models.vision_attention import batch_equal_images
from maniplvm.optional import torch, transformers

ATTENTIONS = ("sdpa", "eager", "flash_attention_2", "flash_attention_3")
"""Valid values of `attn`."""

DTYPES = ("auto", "bfloat16", "float16", "float32")
"""Valid values of `dtype`."""


def load_interface(
    source: str | Path,
    *,
    family: str | None = None,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> ModelInterface:
    """Load a model's processor, prompts and frame, but not its weights.

    Args:
        source: Folder, or id of a model on the Hugging Face Hub.
        family: Family of the model, where its architecture does not decide it; one of `FAMILIES`.
        min_pixels: Smallest area to which an image is resized [px squared].
        max_pixels: Largest area to which an image is resized [px squared]; a smaller one gives
            fewer image tokens and needs less memory.
        revision: Branch, tag or commit of a model on the Hub.
        trust_remote_code: Whether Python files that come with the model may run.

    Raises:
        UserError: see `open_checkpoint`, `resolve_family` and `load_processor`.
    """
    checkpoint = open_checkpoint(
        source, weights=False, revision=revision, trust_remote_code=trust_remote_code
    )
    return ModelInterface(**_interface(checkpoint, family, min_pixels, max_pixels))


def load_model(
    source: str | Path,
    *,
    family: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    attn: str = "sdpa",
    lora: LoraSettings | None = None,
    adapter: str | Path | None = None,
    freeze_vision: bool = False,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """Load a model, its processor, its prompts and its coordinate frame.

    Args:
        source: Folder, or id of a model on the Hugging Face Hub.
        family: Family of the model, where its architecture does not decide it; one of `FAMILIES`.
            It is stored in the config when the model is saved.
        dtype: Precision of the weights, one of `DTYPES`; see `choose_dtype`.
        device: `auto` or a name of PyTorch; see `choose_device`. Use `cpu` where a trainer
            distributes the weights itself.
        attn: Attention implementation, one of `ATTENTIONS`.
        lora: LoRA adapters to train; all other parameters are then frozen.
        adapter: Folder of a trained adapter, which is merged into the weights. The processor is
            loaded from this folder if it holds one.
        freeze_vision: Whether the vision tower and its projection are frozen.
        min_pixels: As in `load_interface`.
        max_pixels: As in `load_interface`.
        revision: As in `load_interface`.
        trust_remote_code: As in `load_interface`.

    Raises:
        UserError: as `load_interface`; also weights that are missing, damaged, not finite or not
            in safetensors, and settings that contradict each other or do not fit this machine.
    """
    if lora is not None and lora.vision and freeze_vision:
        raise UserError("lora: vision adapters contradict a frozen vision tower; choose one")
    target = choose_device(device)
    precision = choose_dtype(dtype, target)
    checkpoint = open_checkpoint(source, revision=revision, trust_remote_code=trust_remote_code)
    adapter_folder = None if adapter is None else Path(adapter).expanduser()
    processor_source = checkpoint
    if adapter_folder is not None and has_processor(adapter_folder):
        processor_source = replace(checkpoint, folder=adapter_folder)
    interface = _interface(processor_source, family, min_pixels, max_pixels)
    model = _weights(checkpoint, precision, attn)
    if family is not None:
        setattr(model.config, CONFIG_KEY, family)
    if adapter_folder is not None:
        model = merge_adapter(model, adapter_folder)
    model = _with_frozen_parts(model, lora, freeze_vision).to(target)
    if (name := find_non_finite(model)) is not None:
        raise UserError(
            f"{source}: the weight {name} is not finite; its training failed or the file is "
            "damaged; use an earlier checkpoint"
        )
    batch_equal_images(model)
    return LoadedModel(**interface, model=model.eval())


def build_meta_model(
    source: str | Path,
    *,
    dtype: str = "bfloat16",
    lora: LoraSettings | None = None,
    freeze_vision: bool = False,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """Build a model on PyTorch's meta device, where weights have a shape but take no memory.

    Only `config.json` is read. The trainable parameters are those of `load_model` with the same
    arguments, so they can be counted before the weights are downloaded.

    Args:
        source: Folder, or id of a model on the Hugging Face Hub.
        dtype: Precision of the weights: `bfloat16`, `float16` or `float32`.
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
    what = "config.json describes no model that can be built"
    with library_errors(checkpoint.name, what), torch().device("meta"):
        model = library.AutoModelForImageTextToText.from_config(
            checkpoint.config,
            dtype=getattr(torch(), dtype),
            trust_remote_code=trust_remote_code,
        )
    return _with_frozen_parts(model, lora, freeze_vision)


def choose_device(device: str = "auto") -> Any:
    """The `torch.device` of a name.

    Args:
        device: `auto`, or a name of PyTorch such as `cpu`, `cuda` or `cuda:1`. `auto` takes the
            GPU of this process (`LOCAL_RANK` under a launcher), and the CPU without one.

    Raises:
        UserError: this machine has no such device.
    """
    library = torch()
    gpus = library.cuda.device_count() if library.cuda.is_available() else 0
    if device == "auto":
        rank = int(os.environ.get("LOCAL_RANK", "0"))
        return library.device(f"cuda:{rank % gpus}" if gpus else "cpu")
    try:
        chosen = library.device(device)
    except RuntimeError as error:
        raise UserError(f"device {device!r}: unknown; choose auto, cpu, cuda or cuda:N") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= gpus:
        raise UserError(f"device {device!r}: PyTorch sees {gpus} GPUs here; choose auto or cpu")
    return chosen


def choose_dtype(dtype: str, device: Any) -> Any:
    """The `torch.dtype` of a name.

    Args:
        dtype: One of `DTYPES`; `auto` is bfloat16 on a GPU that supports it, else float32.
        device: The `torch.device` of the model.

    Raises:
        UserError: another name.
    """
    library = torch()
    if dtype not in DTYPES:
        raise UserError(f"dtype {dtype!r}: unknown; choose from {', '.join(DTYPES)}")
    if dtype != "auto":
        return getattr(library, dtype)
    if device.type == "cuda" and library.cuda.is_bf16_supported(including_emulation=False):
        return library.bfloat16
    return library.float32


def _interface(
    checkpoint: Checkpoint, family: str | None, min_pixels: int | None, max_pixels: int | None
) -> dict[str, Any]:
    resolved = resolve_family(checkpoint.settings, family, checkpoint.name)
    processor = load_processor(checkpoint, min_pixels, max_pixels)
    return {
        "source": checkpoint.name,
        "family": resolved,
        "frame_spec": frame_spec(resolved, processor.image_processor, checkpoint.name),
        "processor": processor,
    }


def _with_frozen_parts(model: Any, lora: LoraSettings | None, freeze_vision: bool) -> Any:
    if lora is not None:
        model = add_lora(model, lora)
    if freeze_vision:
        freeze_vision_tower(model)
    return model


def _weights(checkpoint: Checkpoint, dtype: Any, attn: str) -> Any:
    if attn not in ATTENTIONS:
        raise UserError(f"attn {attn!r}: unknown; choose from {', '.join(ATTENTIONS)}")
    library = transformers()
    what = "its weights cannot be loaded"
    with library_errors(checkpoint.name, what), quiet_unless_terminal(), only_errors_logged():
        try:
            model, report = library.AutoModelForImageTextToText.from_pretrained(
                checkpoint.folder,
                config=checkpoint.config,
                dtype=dtype,
                attn_implementation=attn,
                use_safetensors=True,
                output_loading_info=True,
                trust_remote_code=checkpoint.trust_remote_code,
            )
        except ImportError as error:
            raise UserError(f"attn {attn!r} cannot be used here: {first_line(error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"{checkpoint.name}: {len(missing)} weights are missing, such as {missing[0]}; "
            "the files do not belong to this config.json"
        )
    check_generation_config(model, checkpoint.name)
    return model
