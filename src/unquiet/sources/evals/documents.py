"""Reports that are one JSON document."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias, cast

from unquiet.model.errors import UnreadableSource
from unquiet.sources.json_records import BadJsonError, parse
from unquiet.sources.stream import read_head

Json: TypeAlias = dict[str, Any]


def read_document(path: Path, limit_bytes: int) -> Json:
    """The object that a file holds.

    Raises:
        UnreadableSource: it is too large, damaged, cut off, not UTF-8, or no object.
    """
    data = read_head(path, limit_bytes + 1)
    if len(data) > limit_bytes:
        raise UnreadableSource(
            f"{path}: one JSON document of more than {limit_bytes:,} bytes. Write one report a run, or fewer cases."
        )
    try:
        value = parse(data.removeprefix(b"\xef\xbb\xbf"))
    except BadJsonError as error:
        raise UnreadableSource(
            f"{path}: the JSON is damaged or cut off ({str(error).replace('the line', 'it')}). Write or copy the report again."
        ) from error
    if not isinstance(value, dict):
        raise UnreadableSource(f"{path}: a {type(value).__name__} is there, not the object of a report.")
    return cast("Json", value)


def objects(value: Any) -> list[Json | None]:
    """The items of a list, None for each that is no object; empty where it is no list."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Json", item) if isinstance(item, dict) else None for item in items]


def part(value: Any) -> Json:
    """An object inside of another, empty where it is none."""
    return cast("Json", value) if isinstance(value, dict) else {}


def text(value: Any) -> str | None:
    """A text that says something; None for everything else."""
    return value if isinstance(value, str) and value.strip() else None
