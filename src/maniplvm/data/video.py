"""Decodes one frame of a video file with PyAV (the extra `video`)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maniplvm import optional
from maniplvm.data.images import MAX_PIXELS, EncodedImage
from maniplvm.data.record_errors import ErrorCode, RecordError

_DEMUXER = "mov"
"""MP4 and QuickTime only, so that a playlist named .mp4 cannot open other files."""
_DEFAULT_RATE = 1000.0
"""Frame rate if the file does not give it [Hz]."""


def read_frame(path: Path, seconds: float = 0.0) -> EncodedImage:
    """Decode the frame that is shown at a time.

    Args:
        path: An MP4 file, in any codec that the installed PyAV decodes (H.264, HEVC, AV1, VP9).
        seconds: The time on the file's own clock [s]. 0 means the first frame, even if the clock
            starts later.

    Returns:
        The frame as PNG, which adds no loss.

    Raises:
        RecordError: the file does not exist, holds no video, or is damaged or truncated before that
            frame. The same error reports a codec that cannot be decoded, more than `MAX_PIXELS`,
            and a time without a frame within half a frame.
    """
    av = optional.av()
    if not path.is_file():
        raise RecordError(ErrorCode.MISSING_FILE, f"{path} is not a file; download it")
    try:
        with path.open("rb") as file, av.open(file, format=_DEMUXER) as container:
            return _image(_frame_at(container, seconds, path), path)
    except (av.FFmpegError, EOFError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecordError(
            ErrorCode.UNREADABLE_VIDEO,
            f"{path} is not an MP4 video, or is damaged or truncated ({reason}); download it again",
        ) from error


def _frame_at(container: Any, seconds: float, path: Path) -> Any:
    if not container.streams.video:
        raise RecordError(
            ErrorCode.UNREADABLE_VIDEO,
            f"{path} holds no video (or is truncated); download it again",
        )
    stream = container.streams.video[0]
    codec = stream.codec_context
    if codec is None:
        raise RecordError(
            ErrorCode.UNREADABLE_VIDEO,
            f"{path}: no decoder for its codec (or the file is truncated); encode it again as H.264",
        )
    if codec.width * codec.height > MAX_PIXELS:
        raise RecordError(
            ErrorCode.OVERSIZED_IMAGE,
            f"{path} is {codec.width}x{codec.height}: more than {MAX_PIXELS:,} pixels; scale it down",
        )
    codec.thread_count = 1
    codec.options = {"err_detect": "explode"}
    tolerance = 0.5 / float(stream.average_rate or _DEFAULT_RATE)
    if seconds > 0:
        container.seek(int(seconds / stream.time_base), stream=stream)
    last: float | None = None
    for frame in _frames(container, stream):
        if seconds <= 0 or abs(frame.time - seconds) <= tolerance:
            return frame
        last = frame.time
        if frame.time > seconds:
            break
    found = "the file has no frame" if last is None else f"the nearest frame is at {last:.3f} s"
    raise RecordError(ErrorCode.UNREADABLE_VIDEO, f"{path}: no frame at {seconds:.3f} s; {found}")


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Yield frames in display order. Output of a damaged packet is an error."""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise ValueError("a packet is truncated")
        for frame in packet.decode():
            if frame.is_corrupt or frame.time is None:
                raise ValueError("a frame is damaged")
            yield frame


def _image(frame: Any, path: Path) -> EncodedImage:
    image = frame.to_image()
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return EncodedImage(buffer.getvalue(), image.size)
