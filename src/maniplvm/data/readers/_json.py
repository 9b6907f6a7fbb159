"""JSON and JSONL sources: which files, their records one by one, and the keys of a record.

Lists are streamed by `stream_list`, so that a file of millions of records never sits in memory. A
byte that is not UTF-8 is read as a lone surrogate, which `as_string` refuses in its own record.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from maniplvm.data.images import EncodedImage, read_image, resolve_image
from maniplvm.data.readers._json_stream import (
    BadItem,
    NotAListError,
    decode_line,
    stream_list,
)
from maniplvm.data.record_errors import BadRecord, ErrorCode, RecordError
from maniplvm.data.validation import (
    UniqueIds,
    as_number,
    as_string,
    short_repr,
    unstorable,
)
from maniplvm.errors import UserError
from maniplvm.tasks.sample import Sample

IMAGE_PLACEHOLDER = "<image>"
"""The text that stands for the image in a question."""

_SUFFIXES = (".json", ".jsonl")
_SPLIT_IN_NAME = re.compile(r"(?<![A-Za-z0-9])(train|val|test[AB]?)(?![A-Za-z0-9])")
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class SourceFile:
    """A file of records.

    Attributes:
        path: The file's path.
        name: The file's path relative to the source, with `/`.
        image_root: The folder that the records' image names are relative to.
        stem: The file's part of the ids of records without an id of their own. No other file of the
            source has the same.
    """

    path: Path
    name: str
    image_root: Path
    stem: str

    @property
    def split(self) -> str | None:
        """The split in the file's name (`train`, `val`, `test`, `testA`, `testB`), or None."""
        found = _SPLIT_IN_NAME.search(self.path.stem)
        return found[1] if found else None


@dataclass(frozen=True)
class Record:
    """One JSON object of a source; every method raises `RecordError` where a value is wrong.

    Attributes:
        file: The file that holds the record.
        place: The position in the file, for messages: `record 3` or `line 4`.
        index: The number of the record in its file, from 0.
        fields: The keys and values of the object.
    """

    file: SourceFile
    place: str
    index: int
    fields: Mapping[str, Any]

    def key_of(self, *names: str) -> str:
        """The one of these keys that the record has; none or several are an error."""
        present = [name for name in names if self.fields.get(name) is not None]
        if not present:
            found = ", ".join(map(repr, self.fields)) or "nothing"
            expected = " or ".join(map(repr, names))
            raise RecordError(ErrorCode.MISSING_KEY, f"no {expected}; found {found[:200]}")
        if len(present) > 1:
            both = " and ".join(map(repr, present))
            raise RecordError(ErrorCode.BAD_VALUE, f"holds both {both}; keep one")
        return present[0]

    def value(self, *names: str) -> Any:
        """The value under one of these keys; see `key_of`."""
        return self.fields[self.key_of(*names)]

    def text(self, *names: str) -> str:
        """The string under one of these keys, checked by `as_string`."""
        key = self.key_of(*names)
        return as_string(self.fields[key], repr(key))

    def optional_text(self, name: str) -> str | None:
        """The string under a key, or None when the key is missing or null."""
        return None if self.fields.get(name) is None else self.text(name)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """The object under a key; empty when the key is missing or null."""
        value = self.fields.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise RecordError(
                ErrorCode.WRONG_TYPE, f"{name!r} needs an object, got {short_repr(value)}"
            )
        return cast("dict[str, Any]", value)

    @property
    def id(self) -> str | None:
        """The record's own `id`, a string or an integer, or None."""
        value = self.fields.get("id")
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return as_string(value, "'id'")

    def image_name(self, *names: str) -> str:
        """The image's name under one of these keys: a string, or a list of exactly one string."""
        value = self.value(*names)
        listed = cast("list[object]", value) if isinstance(value, list) else [value]
        if len(listed) != 1:
            raise RecordError(
                ErrorCode.WRONG_TYPE, f"'image' needs exactly one image, got {len(listed)}"
            )
        return as_string(listed[0], "'image'")

    def read_image(self, name: str, stated: tuple[object, object] = (None, None)) -> EncodedImage:
        """Read an image by its path relative to the image root, and compare the stated size.

        Args:
            name: The image's path.
            stated: The width and the height that the record states [px]; None where it does not.
        """
        image = read_image(resolve_image(self.file.image_root, name))
        for side, actual, expected in zip(("width", "height"), image.size, stated, strict=True):
            if expected is not None and as_number(expected, f"the stated {side}") != actual:
                raise RecordError(
                    ErrorCode.SIZE_MISMATCH,
                    f"{name} has a {side} of {actual} px, but the record states {expected}",
                )
        return image

    @property
    def stated_size(self) -> tuple[object, object]:
        """The values of `width` and `height`, unchecked; None where a key is missing."""
        return self.fields.get("width"), self.fields.get("height")

    def provenance(self, format_name: str, **more: object) -> dict[str, Any]:
        """The origin of a sample made from this record, without any absolute path."""
        origin = {"format": format_name, "file": self.file.name, "place": self.place}
        return {**origin, **{key: value for key, value in more.items() if value is not None}}

    def stable_id(self, format_name: str, task: str) -> str:
        """An id that is unique across files: from the record's own id, or from its position."""
        own = self.id
        return f"{format_name}-{task}-{f'{self.file.stem}-{self.index}' if own is None else own}"

    def to_bad_record(self, error: RecordError) -> BadRecord:
        """The `BadRecord` that reports an error of this record."""
        own = self.fields.get("id")
        name = str(own)[:80] if isinstance(own, (str, int)) else None
        return BadRecord(str(self.file.path), self.place, name, error.code, error.detail)


def read_samples(
    source: Path,
    images: Path | None,
    to_sample: Callable[[Record], Sample],
    name_parts: tuple[str, ...] = (),
) -> Iterator[Sample | BadRecord]:
    """Convert each record of a source to a sample, or report why it cannot be converted.

    Args:
        source: See `json_records`, which also raises the errors of the source.
        images: See `json_records`.
        to_sample: Converts one record, or raises `RecordError`.
        name_parts: See `json_records`.
    """
    ids = UniqueIds()
    for record in json_records(source, images, name_parts):
        if isinstance(record, BadRecord):
            yield record
            continue
        try:
            sample = to_sample(record)
            ids.check(sample.id, record.file.name, record.place)
            _require_storable(sample)
            yield sample
        except RecordError as error:
            yield record.to_bad_record(error)
        except RecursionError:
            error = RecordError(ErrorCode.BAD_VALUE, "a value is nested too deeply")
            yield record.to_bad_record(error)


def json_records(
    source: Path, images: Path | None, name_parts: tuple[str, ...] = ()
) -> Iterator[Record | BadRecord]:
    """Yield the records of a source, file by file in the order of their names.

    Args:
        source: A `.json` file (a list of objects), a `.jsonl` file (one object a line), or a
            folder with such files at any depth.
        images: The folder that image names are relative to. None means the folder `images` beside
            each file, or the file's own folder if there is no `images`.
        name_parts: In a folder, only files whose names contain one of these are read.

    Raises:
        UserError: the source or the image folder does not exist, no file in it fits, or a file is
            UTF-16, not JSON, or not a list.
    """
    if images is not None and not images.is_dir():
        raise UserError(f"{images}: no such image folder; give the folder that holds the images")
    paths = _find_files(source, name_parts)
    names = [
        path.relative_to(source).as_posix() if source.is_dir() else path.name for path in paths
    ]
    for path, name, stem in zip(paths, names, unique_stems(names), strict=True):
        beside = path.parent / "images"
        root = images or (beside if beside.is_dir() else path.parent)
        file = SourceFile(path, name, root, stem)
        _require_utf8(path)
        yield from _read_lines(file) if path.suffix == ".jsonl" else _read_list(file)


def unique_stems(names: Sequence[str]) -> list[str]:
    """A different stem for each file name: the name without suffix, with `-` instead of `/`.

    Where several names would get the same stem, such as `a/b.json` and `a-b.json`, each also gets
    the start of its SHA-256.
    """
    plain = [name.rsplit(".", 1)[0].replace("/", "-") for name in names]
    counts = Counter(plain)
    return [
        stem if counts[stem] == 1 else f"{stem}-{sha256(os.fsencode(name)).hexdigest()[:12]}"
        for stem, name in zip(plain, names, strict=True)
    ]


def parse_json(text: str, name: str) -> object:
    """Parse a string that holds JSON; `RecordError` where it does not."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            ErrorCode.NOT_JSON, f"{name} is a string but not JSON ({error}): {short_repr(text)}"
        ) from error


def _find_files(source: Path, name_parts: tuple[str, ...]) -> list[Path]:
    if source.is_file():
        if source.suffix not in _SUFFIXES:
            raise UserError(f"{source}: expected a {' or '.join(_SUFFIXES)} file or a folder")
        return [source]
    if not source.is_dir():
        raise UserError(f"{source}: no such file or folder")
    found = sorted(path for path in source.rglob("*") if path.suffix in _SUFFIXES)
    matching = [
        path for path in found if not name_parts or any(part in path.name for part in name_parts)
    ]
    if not matching:
        expected = f" with {' or '.join(name_parts)} in its name" if name_parts else ""
        others = ", ".join(path.name for path in found[:5]) or "none"
        raise UserError(
            f"{source}: holds no {' or '.join(_SUFFIXES)} file{expected} (found: {others}); "
            "give the path of the file itself"
        )
    return matching


def _require_storable(sample: Sample) -> None:
    reason = unstorable(sample)
    if reason is not None:
        raise RecordError(ErrorCode.BAD_VALUE, reason)


def _require_utf8(path: Path) -> None:
    """Refuse other Unicode encodings by their first bytes, in which no JSON text can start."""
    with path.open("rb") as file:
        start = file.read(2)
    if start in _BYTE_ORDER_MARKS or b"\0" in start:
        raise UserError(f"{path}: is UTF-16 or UTF-32 text; convert it to UTF-8 (iconv -t UTF-8)")


def _read_list(file: SourceFile) -> Iterator[Record | BadRecord]:
    index = 0
    try:
        with file.path.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
            for index, value in enumerate(stream_list(stream)):
                yield _to_record(file, f"record {index}", index, value)
    except NotAListError as error:
        raise UserError(
            f"{file.path}: expected a list of records, got {short_repr(error.value)}"
        ) from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file.path}: not JSON ({error.msg}, in or after record {index}, character "
            f"{error.pos:,}); one record a line belongs in a .jsonl file"
        ) from error


def _read_lines(file: SourceFile) -> Iterator[Record | BadRecord]:
    with file.path.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        for index, line in enumerate(stream):
            if line.strip():
                yield _to_record(file, f"line {index + 1}", index, decode_line(line))


def _to_record(file: SourceFile, place: str, index: int, value: object) -> Record | BadRecord:
    if isinstance(value, dict):
        return Record(file, place, index, cast("dict[str, Any]", value))
    if isinstance(value, BadItem):
        return BadRecord(str(file.path), place, None, ErrorCode.NOT_JSON, value.reason)
    detail = f"a record is an object, got {short_repr(value)}"
    return BadRecord(str(file.path), place, None, ErrorCode.WRONG_TYPE, detail)
