"""A predictor that runs a transformers model on this machine."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.predictions import Prediction
from maniplvm.evaluation.predictors.predictor import in_windows
from maniplvm.geometry import Frame, declared_frame
from maniplvm.models import (
    Decoding,
    ImageTextPrompt,
    LoadedModel,
    VisionFeatureCache,
    encode_batch,
    generate,
    load_model,
)
from maniplvm.models.shipped import EMBEDDED, shipped_folder
from maniplvm.tasks import Answer, Sample, Task, parse_answer

BATCH_SIZE = 32
WINDOW = 8
"""Batches that are read ahead, so that similar samples can share a batch."""

_DIGEST_BYTES = 1 << 20


class ModelPredictor:
    """A transformers model, loaded at the first prediction.

    Greedy completions are reproducible on one machine with the same batches. The random numbers of
    sampled completions depend only on the seed, the sample's id and the draw (see `generate`).
    Order and number of the samples therefore change nothing except rounding.
    """

    def __init__(
        self,
        source: str | Path,
        decoding: Decoding | None = None,
        *,
        draws: int = 1,
        seed: int = 0,
        batch_size: int = BATCH_SIZE,
        **load: Any,
    ) -> None:
        """Set the model; it is not loaded yet.

        Args:
            source: As in `load_model`.
            decoding: Greedy if None.
            draws: Completions of each sample.
            seed: Seed of sampled completions.
            batch_size: Completions in one batch.
            load: Further arguments of `load_model`, such as `family` and `adapter`.

        Raises:
            UserError: several greedy draws, which would be identical, or a number outside its
                range.
        """
        self._source = source
        self._decoding = decoding or Decoding()
        self._draws, self._seed, self._batch_size = draws, seed, batch_size
        self._load = {name: value for name, value in load.items() if value is not None}
        if draws < 1 or batch_size < 1 or seed < 0:
            raise UserError("--draws and --batch-size must be at least 1 and --seed at least 0")
        if draws > 1 and not self._decoding.temperature:
            raise UserError(f"{draws} greedy draws would be identical; set a --temperature")

    @property
    def name(self) -> str:
        """The folder or id, and the adapter's folder if there is one."""
        adapter = self._load.get("adapter")
        return str(self._source) if adapter is None else f"{self._source} + {adapter}"

    @property
    def draws(self) -> int:
        """Completions of each sample."""
        return self._draws

    @property
    def settings(self) -> Mapping[str, Any]:
        """Decoding, loading options, and a digest of the weights."""
        decoding = self._decoding
        drawn = {"top_p": decoding.top_p, "seed": self._seed} if decoding.temperature else {}
        loaded = {
            name: _plain(value) for name, value in sorted(self._load.items()) if value != "auto"
        }
        return {
            "temperature": decoding.temperature,
            "draws": self._draws,
            **drawn,
            "max_new_tokens": decoding.max_new_tokens,
            **({"load": loaded} if loaded else {}),
            **({"weights": digest} if (digest := _weights_digest(self._folders)) else {}),
        }

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Complete samples, grouped by task and size; each image is encoded once.

        Raises:
            UserError: the model cannot be loaded, or does not accept an image.
        """
        for window in in_windows(samples, self._batch_size * WINDOW):
            alike = sorted(window, key=lambda s: (s.task, s.image_size, len(s.instruction)))
            rows = [(sample, draw) for sample in alike for draw in range(self._draws)]
            cache = VisionFeatureCache(self.loaded)
            for start in range(0, len(rows), self._batch_size):
                yield from self._answer(rows[start : start + self._batch_size], cache)

    @cached_property
    def loaded(self) -> LoadedModel:
        """The model, loaded at the first access."""
        return load_model(self._source, **self._load)

    @property
    def _folders(self) -> list[Path]:
        source = shipped_folder() if self._source == EMBEDDED else Path(self._source)
        named = [source, Path(self._load.get("adapter", source))]
        return [folder for folder in dict.fromkeys(named) if folder.is_dir()]

    def _answer(
        self, rows: Sequence[tuple[Sample, int]], cache: VisionFeatureCache
    ) -> Iterator[Prediction]:
        inputs = cache.encode([self._prompt(sample) for sample, _ in rows])
        keys = [(self._seed, draw, zlib.crc32(sample.id.encode())) for sample, draw in rows]
        completions = generate(self.loaded, inputs, self._decoding, keys)
        frame = declared_frame(self.loaded.frame_spec)
        for (sample, draw), completion in zip(rows, completions, strict=True):
            yield Prediction(sample.id, completion.text, frame, draw, completion.tokens)

    def _prompt(self, sample: Sample) -> ImageTextPrompt:
        if sample.image is None:
            raise UserError(
                f"sample {sample.id}: it has no image; import the data again, or choose other "
                "samples"
            )
        frame = _frame(self.loaded, sample.image_size, f"sample {sample.id}")
        prompt = self.loaded.prompt.format(sample.instruction, sample.task, frame)
        return ImageTextPrompt(prompt, sample.image)


def answer_question(
    loaded: LoadedModel,
    instruction: str,
    task: Task,
    image: bytes,
    image_size: tuple[int, int],
    decoding: Decoding,
    seed: int = 0,
) -> tuple[str, Answer]:
    """Complete one prompt about one image with a loaded model.

    Args:
        loaded: The model.
        instruction: The robot's instruction.
        task: The task.
        image: The encoded image, upright.
        image_size: Its `(width, height)` [px].
        decoding: Greedy or sampled.
        seed: Seed of a sampled completion.

    Returns:
        The completion, and its parsed answer in pixels of the image.

    Raises:
        UserError: the model does not accept the image.
    """
    frame = _frame(loaded, image_size, "the image")
    prompt = ImageTextPrompt(loaded.prompt.format(instruction, task, frame), image)
    inputs = encode_batch(loaded, [prompt])
    (completion,) = generate(loaded, inputs, decoding, [(seed,)])
    return completion.text, parse_answer(completion.text, task, frame)


def _frame(loaded: LoadedModel, image_size: tuple[int, int], where: str) -> Frame:
    try:
        return loaded.frame_for(image_size)
    except ValueError as error:
        raise UserError(f"{where}: the model refuses its size: {error}") from error


def _weights_digest(folders: Sequence[Path]) -> str | None:
    """A digest of checkpoints: the names, sizes, first and last bytes of their files.

    Training changes every weight, so both ends are enough and large files are not read whole.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*config.json")]):
            size = path.stat().st_size
            digest.update(f"{path.name}:{size}:".encode())
            with path.open("rb") as file:
                digest.update(file.read(_DIGEST_BYTES))
                file.seek(max(0, size - _DIGEST_BYTES))
                digest.update(file.read())
    return digest.hexdigest()[:16] if folders else None


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
