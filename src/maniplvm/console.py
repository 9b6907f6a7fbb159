"""The terminal output of all commands: text from outside gives no orders to the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions
from rich.segment import Segment

from maniplvm.text import visible

if TYPE_CHECKING:
    from rich.console import RenderableType


class SafeConsole(Console):
    """A console of rich that shows strings as they are.

    Square brackets are no markup, `:name:` is no emoji, and control characters become visible
    symbols. Styles of our own are `rich.text.Text` objects.
    """

    def __init__(self, *, stderr: bool = False, **settings: Any) -> None:
        """Open the console.

        Args:
            stderr: Whether to print on standard error.
            settings: Further settings of `rich.console.Console`.
        """
        super().__init__(stderr=stderr, markup=False, emoji=False, **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of a renderable; only segments of rich itself control the terminal."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)
