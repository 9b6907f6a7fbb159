"""What is sent about an image: the prompt in the family's frame, and the image itself."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from PIL import Image

from maniplvm.data.images import decode
from maniplvm.data.record_errors import RecordError
from maniplvm.errors import UserError
from maniplvm.evaluation.predictors.local import declared_frame
from maniplvm.evaluation.predictors.server.chat import Body, chat_body, image_url
from maniplvm.evaluation.predictors.server.family import limited_frame, sent_size
from maniplvm.geometry import Frame, FrameSpec
from maniplvm.geometry.frames import Size
from maniplvm.models import Decoding
from maniplvm.models.families import Family
from maniplvm.tasks import Task

_OURS = ("model", "messages", "n", "stream", "temperature", "top_p", "seed")


@dataclass(frozen=True)
class Asking:
    """How a served model is asked.

    Attributes:
        model: What the server calls it.
        family: How it is asked and answers.
        decoding: Greedy or sampled.
        max_pixels: The largest area that it sees [px squared]; None leaves that to the server.
        extra: Further fields of every request; None takes a field away.

    Raises:
        UserError: as `limited_frame`, or an extra field that is ours to set.
    """

    model: str
    family: Family
    decoding: Decoding
    max_pixels: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        clash = [name for name in self.extra if name in _OURS]
        if clash:
            raise UserError(f"--extra: {', '.join(clash)} is set by us or has its own option")
        _ = self.frame_spec

    @cached_property
    def frame_spec(self) -> FrameSpec:
        """The frame in which it answers."""
        return limited_frame(self.family, self.max_pixels)

    @cached_property
    def declared_frame(self) -> str | dict[str, Any]:
        """The same as a predictions file declares it."""
        return declared_frame(self.frame_spec)

    def frame(self, size: Size, where: str) -> Frame:
        """The frame on one image.

        Args:
            size: Of the original image [px].
            where: What an error calls the image.

        Raises:
            UserError: a size that the model refuses.
        """
        try:
            return self.frame_spec.bind(size)
        except ValueError as error:
            raise UserError(f"{where}: the model refuses its size: {error}") from error

    def body(
        self, instruction: str, task: Task, image: bytes, size: Size, where: str, seed: int
    ) -> Body:
        """The request that asks one thing about one image.

        Args:
            instruction: What the robot is told to do.
            task: What is asked for.
            image: The encoded image, upright.
            size: Its `(width, height)` [px].
            where: What an error calls it.
            seed: Of this draw.

        Raises:
            UserError: an image that cannot be read, has another size, or is refused.
        """
        prompt = self.family.prompt.ask(instruction, task, self.frame(size, where))
        sent = sent_size(self.family, self.max_pixels, size)
        url = _image(image, size, sent, where)
        return chat_body(self.model, prompt, url, self.decoding, seed, self.extra)


def _image(data: bytes, size: Size, sent: Size, where: str) -> str:
    """The image as a `data:` URL, in the size in which it is sent."""
    try:
        image = decode(data, f"the image of {where}")
    except RecordError as error:
        raise UserError(f"{error.code}: {error.detail}") from error
    if image.size != size:
        raise UserError(
            f"{where}: its image is {image.size[0]}x{image.size[1]}, but {size[0]}x{size[1]} is "
            "written beside it; import the data again"
        )
    if sent == size:
        with Image.open(io.BytesIO(data)) as opened:
            return image_url(data, Image.MIME[str(opened.format)])
    buffer = io.BytesIO()
    image.resize(sent, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return image_url(buffer.getvalue(), "image/png")
