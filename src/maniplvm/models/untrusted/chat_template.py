"""A trial of a checkpoint's chat template in a child process with limits.

A chat template is a program (Jinja). transformers runs it in a sandbox that forbids dangerous
attributes, but limits neither its time nor its output.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

from maniplvm.errors import UserError
from maniplvm.models.untrusted.files import first_line
from maniplvm.models.untrusted.trial import MAX_CPU_S, in_limited_child
from maniplvm.text import shortened

_PROMPT = "Point at the handle of the drawer and answer with one box."
_MAX_CHARACTERS = 100_000
_MAX_TEMPLATE = 2**20

_TOO_SLOW = f"it takes more than {MAX_CPU_S} s or too much memory for a short prompt"


def check_chat_template(processor: Any, name: str) -> None:
    """Check that a chat template writes a short prompt, in limited time and space.

    The result is remembered by the text of the template.

    Args:
        processor: A loaded processor with a chat template.
        name: The checkpoint.

    Raises:
        UserError: the template fails, takes too long, writes too much, or leaves out the prompt.
    """
    template = processor.chat_template
    if not isinstance(template, str) or len(template) > _MAX_TEMPLATE:
        raise UserError(
            f"{name}: its chat template is no text of at most {_MAX_TEMPLATE} characters"
        )
    problem = _problem(template, _Render(processor))
    if problem is not None:
        raise UserError(
            f"{name}: its chat template cannot be used: {problem}; take the template of the model's "
            "author"
        )


class _Render:
    """Renders a chat; equal to all others, so that results are remembered by the template alone."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, answered: bool) -> Any:
        content = [{"type": "image"}, {"type": "text", "text": _PROMPT}]
        chat = [{"role": "user", "content": content}]
        if answered:
            chat.append({"role": "assistant", "content": [{"type": "text", "text": "[1, 2]"}]})
        return self.processor.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=not answered
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Render)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _problem(template: str, render: _Render) -> str | None:
    """What is wrong with a template; None if nothing is."""
    del template  # only the key of the cache
    outcome = in_limited_child(lambda: _trial(render))
    if outcome is None:
        return _TOO_SLOW
    return outcome["problem"]


def _trial(render: _Render) -> dict[str, Any]:
    with suppress(Exception):  # many templates refuse such a chat; only its time matters
        render(answered=True)
    try:
        text = render(answered=False)
    except MemoryError:
        return {"problem": _TOO_SLOW}
    except Exception as error:
        return {"problem": f"it fails ({first_line(error)})"}
    if not isinstance(text, str) or len(text) > _MAX_CHARACTERS:
        return {"problem": f"it writes more than {_MAX_CHARACTERS} characters for a short prompt"}
    if _PROMPT not in text:
        return {"problem": f"it leaves out the prompt and writes {shortened(text, 60)!r}"}
    return {"problem": None}
