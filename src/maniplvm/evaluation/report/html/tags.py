"""Tags built in code: every text and attribute is escaped on its way in."""

from __future__ import annotations

from markupsafe import Markup, escape

Child = str | Markup


def tag(name: str, *children: Child, **attributes: str | float | None) -> Markup:
    """One element.

    Args:
        name: Of the element.
        children: `Markup` stands as it is, any other text is escaped.
        attributes: Underscores become hyphens, a leading or trailing one is dropped
            (`class_`); None leaves an attribute out.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.strip("_").replace("_", "-"), _plain(value))
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inner)  # noqa: S704


def _plain(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def visible(text: str) -> str:
    """A text that any page can show: controls become symbols, half characters a mark.

    Control characters could hide text or turn its direction around, and a lone surrogate cannot
    be written as UTF-8 at all.
    """
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(_visible(letter) for letter in whole)


def _visible(letter: str) -> str:
    code = ord(letter)
    if letter in "\n\t" or 0x20 <= code < 0x7F:
        return letter
    if code < 0x20:
        return chr(0x2400 + code)
    is_hidden = code in (0x200E, 0x200F, 0xFEFF) or 0x202A <= code <= 0x202E
    return "�" if is_hidden or 0x7F <= code < 0xA0 or 0x2066 <= code <= 0x2069 else letter
