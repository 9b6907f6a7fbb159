"""Load an image-text-to-text model, and what is needed to talk to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.geometry import Frame, FrameSpec
from maniplvm.models.checkpoint import (
    Checkpoint,
    first_line,
    open_checkpoint,
    quiet_unless_terminal,
)
from maniplvm.models.families import CONFIG_KEY, Family, resolve_family
from maniplvm.models.lora import LoraSettings, add_lora, merge_adapter
from maniplvm.models.parameters import (
    ParameterCount,
    base_model,
    count_parameters,
    freeze_vision_tower,
)
from maniplvm.models.placement import choose_device, choose_dtype
from maniplvm.models.processor import count_image_tokens, frame_spec, has_processor, load_processor
from maniplvm.models.vision_attention import batch_equal_images
from maniplvm.optional import safetensors, transformers
from maniplvm.tasks import PromptStyle

ATTENTIONS = ("sdpa", "eager", "flash_attention_2", "flash_attention_3")
"""What `attn` may be."""


@dataclass(frozen=True, eq=False)
class ModelInterface:
    """All that is needed to talk to a model, without its weights.

    Attributes:
        source: The folder or id that it was loaded from.
        family: How it is asked and answers.
        frame_spec: The family's frame, with the image sizes of this very checkpoint's processor.
        processor: The processor of transformers; its tokenizer pads on the left.
    """

    source: str
    family: Family
    frame_spec: FrameSpec
    processor: Any

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @property
    def prompt(self) -> PromptStyle:
        """How the model is asked."""
        return self.family.prompt

    def frame_for(self, image_size: tuple[int, int]) -> Frame:
        """The frame on one image; its view ends at the size that the processor makes.

        Args:
            image_size: `(width, height)` [px] of the original.

        Raises:
            ValueError: an image that the processor would refuse.
        """
        return self.frame_spec.bind(image_size)

    def image_tokens(self, image_size: tuple[int, int]) -> int:
        """How many tokens of the prompt one image takes.

        Args:
            image_size: `(width, height)` [px] of the original.
        """
        return count_image_tokens(self.processor, image_size)


@dataclass(frozen=True, eq=False)
class LoadedModel(ModelInterface):
    """A model in memory, with all that is needed to talk to it.

    Attributes:
        model: The model of transformers, or the `PeftModel` around it.
    """

    model: Any

    @property
    def device(self) -> Any:
        """The `torch.device` of its weights."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> Any:
        """The `torch.dtype` of its weights, adapters aside."""
        return base_model(self.model).dtype

    @property
    def parameters(self) -> ParameterCount:
        """How many parameters it has, and how many learn."""
        return count_parameters(self.model)

    def save(self, folder: str | Path) -> None:
        """Write a checkpoint that `load_model` and plain transformers read back.

        A model with adapters writes only them (`load_model(base, adapter=folder)`).
        """
        with quiet_unless_terminal():
            self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


def load_interface(
    source: str | Path,
    *,
    family: str | None = None,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> ModelInterface:
    """Load a model's processor, prompt and frame; its weights are neither needed nor read.

    Args:
        source: A folder, or the id of a model on the Hugging Face Hub.
        family: Its family where the architecture does not tell it; one of `FAMILIES`.
        min_pixels: Smallest area of an image that the model sees [px squared].
        max_pixels: Largest area [px squared]: fewer image tokens, less memory.
        revision: A branch, tag or commit of a model on the Hub.
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
    """Load a model, its processor, and the frame in which it speaks.

    Args:
        source: A folder, or the id of a model on the Hugging Face Hub.
        family: Its family where the architecture does not tell it; one of `FAMILIES`. A model
            that is saved again remembers it.
        dtype: `auto`, `bfloat16`, `float16` or `float32`; see `choose_dtype`.
        device: `auto` or a name of PyTorch; see `choose_device`. Take `cpu` where a trainer
            distributes the weights itself.
        attn: How attention is computed; one of `ATTENTIONS`.
        lora: Adapters to train; everything else is then frozen.
        adapter: The folder of a trained adapter that is worked into the weights; the processor
            is the one with which it was trained, if that lies there too.
        freeze_vision: Whether the vision tower, its projection included, stays as it is.
        min_pixels: As in `load_interface`.
        max_pixels: As in `load_interface`.
        revision: As in `load_interface`.
        trust_remote_code: As in `load_interface`.

    Raises:
        UserError: as `load_interface`; also weights that are missing, damaged, or no safetensors,
            and settings that contradict each other or this machine.
    """
    if lora is not None and lora.vision and freeze_vision:
        raise UserError("lora: vision adapters contradict a frozen vision tower; choose one")
    place = choose_device(device)
    precision = choose_dtype(dtype, place)
    checkpoint = open_checkpoint(source, revision=revision, trust_remote_code=trust_remote_code)
    trained = None if adapter is None else Path(adapter).expanduser()
    spoken = checkpoint
    if trained is not None and has_processor(trained):
        spoken = replace(checkpoint, folder=trained)
    parts = _interface(spoken, family, min_pixels, max_pixels)
    model = _weights(checkpoint, precision, attn)
    if family is not None:
        setattr(model.config, CONFIG_KEY, family)
    if trained is not None:
        model = merge_adapter(model, trained)
    if lora is not None:
        model = add_lora(model, lora)
    if freeze_vision:
        freeze_vision_tower(model)
    batch_equal_images(model)
    return LoadedModel(**parts, model=model.to(place).eval())


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


def _weights(checkpoint: Checkpoint, dtype: Any, attn: str) -> Any:
    if attn not in ATTENTIONS:
        raise UserError(f"attn {attn!r}: unknown; choose from {', '.join(ATTENTIONS)}")
    library = transformers()
    try:
        with quiet_unless_terminal():
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
    except (OSError, RuntimeError, ValueError, safetensors().SafetensorError) as error:
        raise UserError(
            f"{checkpoint.name}: its weights cannot be loaded ({first_line(error)})"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"{checkpoint.name}: {len(missing)} weights are missing, such as {missing[0]}; "
            "the files do not belong to this config.json"
        )
    return model
