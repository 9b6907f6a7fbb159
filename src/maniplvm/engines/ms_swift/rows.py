"""The prompts of a recipe as the JSON lines and image files that ms-swift reads."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from maniplvm.engines.recipes.data import RecipeData, image_of, require_equal_resize
from maniplvm.tasks import Sample

IMAGES = "images"
"""Folder of the image files; rows name them relative to the folder of the run."""

PLACEHOLDERS = re.compile("<image>|<video>|<audio>|<bbox>|<ref-object>|<cot-process>|<start-image>")
"""Strings that ms-swift replaces in a prompt."""

_NAME_LENGTH = 24
_ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}


def row(data: RecipeData, sample: Sample, image: str) -> dict[str, Any]:
    """The row of a sample.

    The limits of the image area are part of the row. The environment variables MIN_PIXELS and
    MAX_PIXELS would be rounded down to whole image tokens, which can give another size.

    Args:
        data: The prompts of the recipe.
        sample: The sample.
        image: Path of its image file.

    Raises:
        UserError: the model or ms-swift refuses the size of the image, or the prompt holds a
            placeholder of ms-swift.
    """
    prompt = data.prompt(sample)
    require_equal_resize(sample, data.resize, data.engine)
    return {
        "messages": [{"role": "user", "content": prompt}],
        "images": [image],
        "chat_template_kwargs": {
            "min_pixels": data.resize.min_pixels,
            "max_pixels": data.resize.max_pixels,
        },
        "ground_truth": data.ground_truth(sample),
        "sample_id": sample.id,
    }


def write_rows(
    path: Path, data: RecipeData, samples: Iterable[Sample], advance: Callable[[int], None]
) -> None:
    """Write rows as JSON lines, and each different image once into `IMAGES` beside them.

    Args:
        path: The new file.
        data: The prompts of the recipe.
        samples: The samples with their images.
        advance: Gets the number of rows that were written since its last call.
    """
    folder = path.parent / IMAGES
    folder.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for sample in samples:
            name = _store(folder, image_of(sample))
            line = json.dumps(row(data, sample, f"{IMAGES}/{name}"), ensure_ascii=False)
            file.write(line + "\n")
            advance(1)


def _store(folder: Path, image: bytes) -> str:
    with Image.open(io.BytesIO(image)) as opened:
        ending = _ENDINGS[str(opened.format)]
    name = hashlib.sha256(image).hexdigest()[:_NAME_LENGTH] + ending
    path = folder / name
    if not path.exists():
        path.write_bytes(image)
    return name
