"""A stand-in for the files of a model that is neither on this machine nor within reach."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from maniplvm.errors import UserError
from maniplvm.models import ARCHITECTURES, find_architecture, write_architecture
from maniplvm.models.checkpoint import NotDownloadedError, open_checkpoint
from maniplvm.training.config.recipe import Recipe


@contextmanager
def model_description(recipe: Recipe) -> Iterator[tuple[Recipe, str | None]]:
    """The recipe with a model whose config and processor can be read, with or without a network.

    Without a network, the shipped sizes of the model are used if there are any. Shapes, memory and
    image tokens are then exact. Text tokens are counted with a small tokenizer, which needs more
    tokens for the same text.

    Args:
        recipe: The recipe.

    Yields:
        The recipe, and a warning if it reads a stand-in.

    Raises:
        UserError: the model is missing, and its sizes do not ship.
    """
    model = recipe.model
    try:
        open_checkpoint(
            model.source,
            weights=False,
            revision=model.revision,
            trust_remote_code=model.trust_remote_code,
        )
    except NotDownloadedError as error:
        architecture = find_architecture(model.source)
        if architecture is None:
            known = ", ".join(id for each in ARCHITECTURES.values() for id in each.sources)
            raise UserError(f"{error}; a dry run without it works for {known}") from error
    else:
        yield recipe, None
        return
    with tempfile.TemporaryDirectory() as folder:
        write_architecture(folder, architecture.name)
        described = replace(model, source=folder, family=model.family or architecture.family)
        yield (
            replace(recipe, model=replace(described, revision=None)),
            f"{model.source} is not on this machine and could not be downloaded: its sizes are "
            "those shipped with this package, and text tokens are counted with a small tokenizer, "
            "which gives more tokens; training needs the files of the model",
        )
