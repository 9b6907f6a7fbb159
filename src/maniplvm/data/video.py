"""One frame of a video file, with PyAV (the extra `video`)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maniplvm import optional
from maniplvm.data.images import MAX_PIXELS, EncodedImage
from maniplvm.data.record_errors import Cause, RecordError

_DEMUXER = "mov"
"""MP4 and QuickTime only: a playlist named .mp4 must not lead to other files."""
_FASTEST = 1000.0
"""Frames a second, where the file does not say [Hz]."""


def read_frame(path: Path, seconds: float = 0.0) -> EncodedImage:
    """Decode the frame that is shown at a time.

    Args:
        path: An MP4 file; whatever codec this machine's PyAV decodes (H.264, HEVC, AV1, VP9...).
        seconds: On the file's own clock; 0 means the first frame, wherever its clock starts.

    Returns:
        The frame as PNG, without further loss.

    Raises:
        RecordError: no such file, no video, damaged, truncated before that frame, a codec that
            cannot be decoded, more than `MAX_PIXELS`, or no frame within half a frame of that time.
        UserError: PyAV is not installed.
    """
    av = optional.av()
    if not path.is_file():
        raise RecordError(Cause.MISSING_FILE, f"{path} is no file; fetch it")
    try:
        with path.open("rb") as file, av.open(file, format=_DEMUXER) as container:
            return _image(_frame_at(container, seconds, path), path)
    except (av.FFmpegError, EOFError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RecordError(
            Cause.UNREADABLE_VIDEO,
            f"{path} is no MP4 video, damaged or truncated ({reason}); fetch it again",
        ) from error


def _frame_at(container: Any, seconds: float, path: Path) -> Any:
    if not container.streams.video:
        raise RecordError(
            Cause.UNREADABLE_VIDEO, f"{path} holds no video (or is cut short); fetch it again"
        )
    stream = container.streams.video[0]
    codec = stream.codec_context
    if codec is None:
        raise RecordError(
            Cause.UNREADABLE_VIDEO,
            f"{path}: its codec has no decoder here (or the file is cut short); encode it again as H.264",
        )
    if codec.width * codec.height > MAX_PIXELS:
        raise RecordError(
            Cause.OVERSIZED_IMAGE,
            f"{path} is {codec.width}x{codec.height}: more than {MAX_PIXELS:,} pixels; scale it down",
        )
    codec.thread_count = 1
    codec.options = {"err_detect": "explode"}
    tolerance = 0.5 / float(stream.average_rate or _FASTEST)
    if seconds > 0:
        container.seek(int(seconds / stream.time_base), stream=stream)
    last: float | None = None
    for frame in _frames(container, stream):
        if seconds <= 0 or abs(frame.time - seconds) <= tolerance:
            return frame
        last = frame.time
        if frame.time > seconds:
            break
    found = "it holds no frame at all" if last is None else f"the nearest is at {last:.3f} s"
    raise RecordError(Cause.UNREADABLE_VIDEO, f"{path}: no frame at {seconds:.3f} s; {found}")


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Frames in the order in which they are shown; what a damaged packet yields is an error."""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise ValueError("a packet is cut off")
        for frame in packet.decode():
            if frame.is_corrupt or frame.time is None:
                raise ValueError("a frame is damaged")
            yield frame


def _image(frame: Any, path: Path) -> EncodedImage:
    image = frame.to_image()
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return EncodedImage(buffer.getvalue(), image.size)
