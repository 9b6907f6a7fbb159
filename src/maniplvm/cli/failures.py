"""Failures that a machine causes: full disks, missing memory, missing permissions, signals."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import NoReturn

NO_MEMORY = "not enough memory; use smaller batches or images, or a machine with more memory"
_ADVICE = "earlier files are kept, so fix this and run it again"
_DISK_CODES = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO)
_NATIVE_DISK = ("PytorchStreamWriter failed writing", "unexpected pos", "file write failed")
"""Messages of PyTorch when a file cannot be written to its end; they do not give the cause."""
_NATIVE_MEMORY = (
    os.strerror(errno.ENOMEM).lower(),
    "can't allocate memory",
    "failed to map segment",
    "could not allocate memory",
    "cannot allocate memory",
    "can't start new thread",
    "std::bad_alloc",
    "out of memory",
)


def system_failure(error: BaseException) -> str | None:
    """One line for an error that the machine caused, or None for any other error.

    Native libraries (tokenizers, safetensors, PyTorch) raise errors of their own kind for a full
    disk or missing memory. These are known by the system's words in the message.

    Args:
        error: The error. Its causes count too.
    """
    for each in _chain(error):
        if isinstance(each, MemoryError):
            return NO_MEMORY
        if isinstance(each, OSError) and each.strerror is not None:
            if each.errno == errno.ENOMEM:
                return NO_MEMORY
            place = each.filename if each.filename is not None else "standard output or a file"
            return f"{place}: {each.strerror}; {_ADVICE}"
        text = str(each)
        if any(words in text.lower() for words in _NATIVE_MEMORY):
            return NO_MEMORY
        for code in _DISK_CODES:
            if os.strerror(code) in text:
                return f"a file cannot be written: {os.strerror(code)}; {_ADVICE}"
        if any(words in text for words in _NATIVE_DISK):
            return f"a file cannot be written, perhaps because the disk is full; {_ADVICE}"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class Signals:
    """Turns Ctrl-C and SIGTERM into exceptions, so that files are closed and workers end.

    Attributes:
        received: The number of the first signal, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def catch(self) -> None:
        """Start to handle both signals. An ignored Ctrl-C, as under `nohup`, stays ignored."""
        signal.signal(signal.SIGTERM, self._handle)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)

    def release(self) -> None:
        """Let both signals end the process at once, because only its end is left."""
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(KeyboardInterrupt, SystemExit):  # the last one, already in `received`
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, signal.SIG_DFL)

    @property
    def status(self) -> int:
        """The exit status that shells give to the signal."""
        return 128 + (self.received or 0)

    def _handle(self, number: int, _: FrameType | None) -> NoReturn:
        if self.received is None:
            self.received = number
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)
