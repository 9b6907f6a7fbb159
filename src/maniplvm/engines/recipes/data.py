"""The prompts of a GRPO recipe in the order of its run, for engines that read them from files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maniplvm.data import open_dataset
from maniplvm.engines.ground_truth import write_ground_truth
from maniplvm.errors import UserError
from maniplvm.geometry import SmartResize
from maniplvm.geometry.frames import Size
from maniplvm.models import ModelInterface, load_interface
from maniplvm.models.processor import smart_resize_of
from maniplvm.models.shipped import EMBEDDED, shipped_folder
from maniplvm.tasks import PromptStyle, Sample
from maniplvm.training import Recipe
from maniplvm.training.data.pool import SamplePool, open_pool
from maniplvm.training.data.rows import recipe_prompts
from maniplvm.training.dry_run.token_lengths import measure_lengths

IMAGE = "<image>"
"""The place of the image in a prompt, which the engines replace by the image tokens."""

_LENGTH_STEP = 64
"""The longest prompt is rounded up to a multiple of this [tokens]."""


@dataclass(frozen=True, eq=False)
class RecipeData:
    """The prompts of a recipe, and the model that answers them.

    Attributes:
        recipe: The recipe.
        engine: Name of the engine, for messages.
        interface: Processor and coordinate frame, with the recipe's image limits.
        resize: The resize of that processor.
        prompts: The prompt templates.
        pool: The training samples.
        validation: The validation samples without images.
        split: The split of the validation samples, or None.
        placeholders: What the engine replaces in a prompt, as a regular expression.
    """

    recipe: Recipe
    engine: str
    interface: ModelInterface
    resize: SmartResize
    prompts: PromptStyle
    pool: SamplePool
    validation: tuple[Sample, ...]
    split: str | None
    placeholders: re.Pattern[str]

    @property
    def samples(self) -> Iterator[Sample]:
        """All training and validation samples, without their images."""
        yield from self.pool.samples
        yield from self.validation

    def training(self, count: int) -> Iterator[Sample]:
        """The first `count` samples of the run, with their images."""
        return (self.pool.at(position) for position in range(count))

    def validating(self) -> Iterator[Sample]:
        """The validation samples, with their images."""
        return validation_samples(self.recipe, self.split, images=True)

    def longest_prompt(self) -> int:
        """Length of the longest prompt with its image, rounded up [tokens]."""
        lengths = measure_lengths(list(self.samples), self.interface, self.prompts)
        return -(-max(lengths.prompt) // _LENGTH_STEP) * _LENGTH_STEP

    def prompt(self, sample: Sample) -> str:
        """The prompt of a sample, which starts with the place of its image.

        Raises:
            UserError: the model refuses the size of the image, or the prompt holds a string that
                the engine would replace.
        """
        try:
            frame = self.interface.frame_for(sample.image_size)
            self.resize.size(sample.image_size)
        except ValueError as error:
            raise UserError(f"sample {sample.id!r}: the model refuses its size: {error}") from error
        text = self.prompts.format(sample.instruction, sample.task, frame)
        if (found := self.placeholders.search(text)) is not None:
            raise UserError(
                f"sample {sample.id!r}: its prompt holds {found[0]}, which {self.engine} would "
                "replace; change the instruction or the template"
            )
        return IMAGE + text

    def ground_truth(self, sample: Sample) -> str:
        """What the reward function of the engine gets about a sample."""
        return write_ground_truth(sample, self.interface.frame_spec)


def open_recipe_data(
    recipe: Recipe, engine: str, val_split: str | None, placeholders: re.Pattern[str]
) -> RecipeData:
    """Open the samples and the processor of a recipe; no weights are needed.

    Args:
        recipe: The recipe.
        engine: Name of the engine, for messages.
        val_split: The split of the recipe's data set for validation, or None.
        placeholders: What the engine replaces in a prompt.

    Raises:
        UserError: data or a model that cannot be used, or a model whose processor the engine
            cannot follow.
    """
    model = recipe.model
    interface = load_interface(model.source, **model.interface_arguments())
    resize = smart_resize_of(interface.processor.image_processor)
    if resize is None:
        raise UserError(
            f"{interface.source}: {engine} resizes every image as the processors of Qwen-VL do, "
            f"but {type(interface.processor.image_processor).__name__} does not; choose a "
            "Qwen-VL model"
        )
    return RecipeData(
        recipe=recipe,
        engine=engine,
        interface=interface,
        resize=resize,
        prompts=recipe_prompts(recipe, interface),
        pool=open_pool(recipe),
        validation=tuple(validation_samples(recipe, val_split, images=False)),
        split=val_split,
        placeholders=placeholders,
    )


def validation_samples(recipe: Recipe, split: str | None, images: bool) -> Iterator[Sample]:
    """The samples of a split that the recipe's tasks can use; none if the split is None.

    Raises:
        UserError: the split holds no such sample.
    """
    if split is None:
        return
    dataset = open_dataset(Path(recipe.data.path))
    count = 0
    for sample in dataset.samples(split, images=images):
        if sample.task in recipe.tasks:
            count += 1
            yield sample
    if not count:
        raise UserError(
            f"{dataset.folder}: split {split!r} holds no sample of task {recipe.data.task}; choose "
            "another --val-split"
        )


def require_equal_resize(sample: Sample, resize: SmartResize, engine: str) -> None:
    """Check that qwen_vl_utils gives an image the same size as the model's processor.

    They differ only if a side is below one image token, where they round in another way.

    Raises:
        UserError: the sizes differ.
    """
    if _is_narrow(sample.image_size, resize):
        width, height = sample.image_size
        raise UserError(
            f"sample {sample.id!r}: {engine} gives an image of {width}x{height} pixels another "
            "size than the processor does; remove it"
        )


def _is_narrow(size: Size, resize: SmartResize) -> bool:
    least = min(size) / resize.factor
    shrink = (size[0] * size[1] / resize.max_pixels) ** 0.5
    return round(least) == 0 or (shrink > 1 and int(least / shrink) == 0)


def image_of(sample: Sample) -> bytes:
    """The encoded image of a sample.

    Raises:
        UserError: the sample has none.
    """
    if sample.image is None:
        raise UserError(f"sample {sample.id!r} has no image")
    return sample.image


def model_path(source: str) -> str:
    """The model as an engine finds it: the absolute path of a folder, or an id of the Hub."""
    folder = shipped_folder() if source == EMBEDDED else Path(source).expanduser()
    return str(folder.resolve()) if folder.is_dir() else source


def model_options(recipe: Recipe) -> str:
    """Options of `maniplvm evaluate` for a model that was trained with a recipe."""
    model = recipe.model
    given = {"family": model.family, "min-pixels": model.min_pixels, "max-pixels": model.max_pixels}
    return "".join(f" --{name} {value}" for name, value in given.items() if value is not None)
