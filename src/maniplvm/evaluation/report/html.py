"""Building of HTML and SVG elements. All texts and attributes are escaped."""

from __future__ import annotations

from markupsafe import Markup, escape

Child = str | Markup


def tag(name: str, *children: Child, **attributes: str | float | None) -> Markup:
    """Build one element.

    Args:
        name: Name of the element.
        children: Content. `Markup` is inserted unchanged, other strings are escaped.
        attributes: Attributes. Underscores become hyphens, and leading or trailing underscores are
            removed (`class_`). An attribute that is None is omitted.
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
    """Replace control characters by visible symbols, and lone surrogates by `?`.

    Control characters can hide text or reverse its direction. A lone surrogate cannot be encoded as
    UTF-8.
    """
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(_visible(character) for character in encodable)


def _visible(character: str) -> str:
    code = ord(character)
    if character in "\n\t" or 0x20 <= code < 0x7F:
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    is_hidden = code in (0x200E, 0x200F, 0xFEFF) or 0x202A <= code <= 0x202E
    return "�" if is_hidden or 0x7F <= code < 0xA0 or 0x2066 <= code <= 0x2069 else character
