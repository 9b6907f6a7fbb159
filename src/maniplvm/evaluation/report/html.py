"""Building of HTML and SVG elements. All texts and attributes are escaped."""

from __future__ import annotations

from markupsafe import Markup, escape

from maniplvm.text import visible

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
    inner = Markup("").join(
        child if isinstance(child, Markup) else escape(visible(child)) for child in children
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inner)  # noqa: S704


def _plain(value: str | float) -> str:
    return (
        f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else visible(str(value))
    )
