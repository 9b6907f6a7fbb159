"""Numbers in the text of pages, each with its source in `results/`.

`docs/numbers.yaml` lists them by page. An entry quotes a passage of the page, and gives the source of every
measured number in it, in order:

    docs/embedded.md:
      - text: "IoU is 0.800 on new scenes"
        values:
          - ["0.800", embedded.json greedy.id_test.iou.mean]

A source is a file in `results/` and a dotted key; `%` at its end means that the page shows a percentage.
Sources that start with `evidence` are queries of `results/evidence/` (see `evidence.evidence_value`).
White space in a quote matches any white space in the page, so lines can be wrapped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maniplvm.config.yaml import read_yaml, write_yaml
from maniplvm.errors import UserError

NUMBERS = Path("docs") / "numbers.yaml"


@dataclass(frozen=True)
class Quote:
    """A passage of a page with its measured numbers.

    Attributes:
        text: The passage, as in the page except for white space.
        values: Pairs of a shown number and its source, in order.
    """

    text: str
    values: tuple[tuple[str, str], ...]

    def pattern(self) -> re.Pattern[str]:
        """The expression that finds the passage in a page."""
        return re.compile(r"\s+".join(re.escape(word) for word in self.text.split()))


def read_numbers(root: Path) -> dict[str, list[Quote]]:
    """All quotes by page.

    Args:
        root: The folder of the repository.

    Raises:
        UserError: the file cannot be read, or an entry has another form.
    """
    path = root / NUMBERS
    found: dict[str, list[Quote]] = {}
    for page, entries in read_yaml(path, "numbers").items():
        found[page] = [_quote(entry, f"{path}: {page}") for entry in entries]
    return found


def _quote(entry: Any, where: str) -> Quote:
    if not isinstance(entry, Mapping) or set(entry) != {"text", "values"}:
        raise UserError(f"{where}: expected an entry with `text` and `values`, got {entry!r}")
    values = tuple((str(shown), str(source)) for shown, source in entry["values"])
    return Quote(str(entry["text"]), values)


def measured(root: Path, source: str, shown: str, query: Callable[[str], str]) -> str:
    """The value of a source, written like the number in the page.

    Args:
        root: The folder of the repository.
        source: A file in `results/` with a dotted key, or a query of the evidence.
        shown: The number in the page, which gives sign, decimals and separators.
        query: Gives the value of a query of the evidence.

    Raises:
        UserError: the file or the key does not exist.
    """
    if source.startswith("evidence "):
        return query(source.removeprefix("evidence "))
    name, key, *percent = source.split()
    path = root / "results" / name
    if not path.exists():
        raise UserError(f"{path} is missing; run its benchmark first (make help)")
    value: Any = json.loads(path.read_text(encoding="utf-8"))
    for part in key.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError) as error:
            raise UserError(f"{path}: has no key {key} (stopped at {part})") from error
    return written_like(float(value) * (100 if percent else 1), shown)


def written_like(value: float, shown: str) -> str:
    """A value with the sign, decimals, separators and leading zero of another number."""
    decimals = len(shown.partition(".")[2])
    sign = "+" if shown.startswith("+") else ""
    number = f"{value:{sign}{',' if ',' in shown else ''}.{decimals}f}"
    if shown.lstrip("+-").startswith("."):
        number = re.sub(r"^([+-]?)0\.", r"\1.", number)
    return number


def refreshed(
    page: str, text: str, quotes: list[Quote], value: Callable[[str, str], str]
) -> tuple[str, list[Quote]]:
    """The text of a page and its quotes, with the measured values of all numbers.

    Args:
        page: Name of the page, for messages.
        text: Its content.
        quotes: Its quotes.
        value: Gives the measured value of a source, written like the shown number.

    Raises:
        UserError: a quote does not occur in the page exactly once, or a number is not in its quote.
    """
    fresh = list[Quote]()
    for quote in quotes:
        found = list(quote.pattern().finditer(text))
        if len(found) != 1:
            raise UserError(
                f"{NUMBERS}: {page} has this quote {len(found)} times, not once: {quote.text!r}; "
                "correct the quote"
            )
        piece, values = _substituted(page, found[0][0], quote.values, value)
        text = text[: found[0].start()] + piece + text[found[0].end() :]
        fresh.append(Quote(" ".join(piece.split()), values))
    return text, fresh


def _substituted(
    page: str, piece: str, values: tuple[tuple[str, str], ...], value: Callable[[str, str], str]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    done, rest, fresh = "", piece, list[tuple[str, str]]()
    for shown, source in values:
        before, match, rest = rest.partition(shown)
        if not match:
            raise UserError(f"{NUMBERS}: {page}: {piece!r} does not have the number {shown}")
        new = value(source, shown)
        done += before + new
        fresh.append((new, source))
    return done + rest, tuple(fresh)


def refresh(root: Path, query: Callable[[str], str]) -> list[str]:
    """Write the measured values into all pages and into `docs/numbers.yaml`.

    Args:
        root: The folder of the repository.
        query: Gives the value of a query of the evidence.

    Returns:
        The pages that changed.

    Raises:
        UserError: see `refreshed` and `measured`.
    """
    listed = read_numbers(root)
    fresh: dict[str, list[Quote]] = {}
    changed = list[str]()
    for page, quotes in listed.items():
        before = (root / page).read_text(encoding="utf-8")
        text, fresh[page] = refreshed(
            page, before, quotes, lambda source, shown: measured(root, source, shown, query)
        )
        if text != before:
            (root / page).write_text(text, encoding="utf-8")
            changed.append(page)
    if fresh != listed:
        write_numbers(root, fresh)
    return changed


def write_numbers(root: Path, listed: Mapping[str, list[Quote]]) -> None:
    """Write `docs/numbers.yaml`."""
    content = {
        page: [{"text": q.text, "values": [list(pair) for pair in q.values]} for q in quotes]
        for page, quotes in listed.items()
    }
    (root / NUMBERS).write_text(write_yaml(content), encoding="utf-8")
