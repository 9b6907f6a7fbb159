"""The generation config that comes with a checkpoint: it gives end tokens, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maniplvm.errors import UserError
from maniplvm.models.parameters import base_model


def check_generation_config(model: Any, name: str) -> None:
    """Check the end tokens of a model's generation config.

    Args:
        model: A model of transformers.
        name: The checkpoint.

    Raises:
        UserError: an end token is no token of the model.
    """
    size = model.get_input_embeddings().weight.shape[0]
    for token in end_tokens(model):
        if type(token) is not int or not 0 <= token < size:
            raise UserError(
                f"{name}: bad generation_config.json (the end token {token!r:.40} is no integer below "
                f"{size})"
            )


def end_tokens(model: Any) -> list[Any]:
    """The end tokens of a model's generation config, such as the end of a turn."""
    own = model.generation_config.eos_token_id
    return [token for token in (own if isinstance(own, list) else [own]) if token is not None]


@contextmanager
def only_settings_of(config: Any, model: Any) -> Iterator[None]:
    """Hide the checkpoint's own generation config while a model generates.

    `generate` of transformers fills every setting that its caller left open from
    `model.generation_config`, such as `suppress_tokens`, `num_beams` or `min_length`.

    Args:
        config: The `GenerationConfig` of the caller.
        model: A model of transformers, or a wrapper around it.
    """
    base = base_model(model)
    own = base.generation_config
    base.generation_config = config
    try:
        yield
    finally:
        base.generation_config = own
