"""One JSON record of a source, read key by key; every refusal says what was found instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from maniplvm.data.images import EncodedImage, read_image, resolve_image
from maniplvm.data.record_errors import BadRecord, Cause, RecordError, UniqueIds
from maniplvm.data.validation import number, shown
from maniplvm.tasks.sample import Sample

IMAGE_PLACEHOLDER = "<image>"
"""Where a question's text shows its image."""

_SPLIT_IN_NAME = re.compile(r"(?<![A-Za-z0-9])(train|val|test[AB]?)(?![A-Za-z0-9])")


@dataclass(frozen=True)
class SourceFile:
    """A file of records.

    Attributes:
        path: Where it is.
        name: Its path relative to the source, with `/`.
        image_root: What the records' image names are relative to.
    """

    path: Path
    name: str
    image_root: Path

    @property
    def split(self) -> str | None:
        """The split that the file is named after: `train`, `val`, `test`, `testA`, `testB`."""
        found = _SPLIT_IN_NAME.search(self.path.stem)
        return found[1] if found else None


@dataclass(frozen=True)
class Record:
    """One JSON object of a source.

    Attributes:
        file: Where it stands.
        place: Where in the file, in words.
        index: Its number in the file, from 0.
        fields: Its keys and values.
    """

    file: SourceFile
    place: str
    index: int
    fields: Mapping[str, Any]

    def key_of(self, *names: str) -> str:
        """The one of these keys that the record has; they are spellings of the same thing.

        Raises:
            RecordError: none or several of them are there.
        """
        present = [name for name in names if self.fields.get(name) is not None]
        wanted = " or ".join(map(repr, names))
        if not present:
            found = ", ".join(map(repr, self.fields)) or "nothing"
            raise RecordError(Cause.MISSING_KEY, f"no {wanted}; found {found[:200]}")
        if len(present) > 1:
            both = " and ".join(map(repr, present))
            raise RecordError(Cause.BAD_VALUE, f"holds both {both}; keep one")
        return present[0]

    def text(self, *names: str) -> str:
        """The text under one of these keys, without surrounding blanks.

        Raises:
            RecordError: the key is missing, or holds no text, a blank one, or invalid Unicode.
        """
        key = self.key_of(*names)
        return text_value(self.fields[key], repr(key))

    def optional_text(self, name: str) -> str | None:
        """The text under a key, or None when the key is missing or null."""
        return None if self.fields.get(name) is None else self.text(name)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """The object under a key; empty when the key is missing or null.

        Raises:
            RecordError: there is something else.
        """
        value = self.fields.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise RecordError(Cause.WRONG_TYPE, f"{name!r} needs an object, got {shown(value)}")
        return cast("dict[str, Any]", value)

    @property
    def id(self) -> str | None:
        """What the record calls itself: a text or a whole number under `id`, else None.

        Raises:
            RecordError: `id` holds something else.
        """
        value = self.fields.get("id")
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return text_value(value, "'id'")

    def image(self, name: str, stated: tuple[object, object] = (None, None)) -> EncodedImage:
        """Read the image that the record names.

        Args:
            name: Its path relative to the image root.
            stated: The width and height that the record states, or Nones.

        Raises:
            RecordError: missing, outside the image root, unreadable, too large, or of another size.
        """
        image = read_image(resolve_image(self.file.image_root, name))
        for side, actual, expected in zip(("width", "height"), image.size, stated, strict=True):
            if expected is not None and number(expected, f"the stated {side}") != actual:
                raise RecordError(
                    Cause.SIZE_MISMATCH,
                    f"{name} has a {side} of {actual} px, but the record states {expected}",
                )
        return image

    def provenance(self, format_name: str, **more: object) -> dict[str, Any]:
        """Where a sample made from this record comes from; no path of this machine."""
        origin = {"format": format_name, "file": self.file.name, "place": self.place}
        return {**origin, **{key: value for key, value in more.items() if value is not None}}

    def stable_id(self, format_name: str, task: str) -> str:
        """An id that is unique across files: the record's own, or else its place."""
        own = self.id
        stem = self.file.name.rsplit(".", 1)[0].replace("/", "-")
        return f"{format_name}-{task}-{f'{stem}-{self.index}' if own is None else own}"

    def refused(self, error: RecordError) -> BadRecord:
        """This record as a `BadRecord`."""
        own = self.fields.get("id")
        name = str(own)[:80] if isinstance(own, (str, int)) else None
        return BadRecord(str(self.file.path), self.place, name, error.cause, error.detail)


def samples_of(
    records: Iterator[Record | BadRecord], to_sample: Callable[[Record], Sample]
) -> Iterator[Sample | BadRecord]:
    """Turn each record into a sample, or into the reason why it is none."""
    ids = UniqueIds()
    for record in records:
        if isinstance(record, BadRecord):
            yield record
            continue
        try:
            sample = to_sample(record)
            ids.check(sample.id, record.file.name, record.place)
            yield sample
        except RecordError as error:
            yield record.refused(error)


def only_image(value: object) -> str:
    """The image's name in a text, or in a list of exactly one.

    Raises:
        RecordError: several images or none, or no text.
    """
    names = cast("list[object]", value) if isinstance(value, list) else [value]
    if len(names) != 1:
        raise RecordError(Cause.WRONG_TYPE, f"'image' needs exactly one image, got {len(names)}")
    return text_value(names[0], "'image'")


def text_value(value: object, what: str) -> str:
    """A text that is not blank and can be stored.

    Raises:
        RecordError: something else.
    """
    if not isinstance(value, str):
        raise RecordError(Cause.WRONG_TYPE, f"{what} needs a text, got {shown(value)}")
    if not value.strip():
        raise RecordError(Cause.BAD_VALUE, f"{what} is blank")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RecordError(Cause.BAD_VALUE, f"{what} holds invalid Unicode {value!r}") from error
    return value.strip()
