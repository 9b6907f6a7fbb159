"""The trained model, written so that it is either whole or not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from maniplvm.files import replacing
from maniplvm.models import LoadedModel
from maniplvm.training.loop.run_folder import RunFolder

_PICKLED = "training_args.bin"


def save_trained(trainer: Any, loaded: LoadedModel, folder: RunFolder, is_sharded: bool) -> Path:
    """Write what was trained; to be called in every process.

    A trained adapter is written alone and worked into the weights, so that `model/` is a whole
    model either way.

    Args:
        trainer: After training.
        loaded: The model that it trained.
        folder: The run's.
        is_sharded: Whether no process holds all the weights; then an adapter stays alone.

    Returns:
        Where the model lies, or the adapter if that stays alone.
    """
    is_adapter = hasattr(trainer.model, "get_base_model")
    if is_sharded:
        target = folder.adapter if is_adapter else folder.model
        trainer.save_model(str(target))
        if trainer.is_world_process_zero():
            loaded.processor.save_pretrained(target)
            (target / _PICKLED).unlink(missing_ok=True)
        return target
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        if is_adapter:
            if "ref" in model.peft_config:  # TRL's copy of the untrained adapter
                model.delete_adapter("ref")
            _write(replace(loaded, model=model), folder.adapter)
            model = model.merge_and_unload()
        _write(replace(loaded, model=model), folder.model)
    trainer.accelerator.wait_for_everyone()
    return folder.model


def save_reference(loaded: LoadedModel, folder: RunFolder) -> None:
    """Write the starting model to where TRL can load it, and point the model there."""
    if not folder.reference.is_dir():
        _write(loaded, folder.reference)


def _write(loaded: LoadedModel, target: Path) -> None:
    with replacing(target) as unfinished:
        loaded.save(unfinished)
