"""What all formats of changes share: rows of a file, moments, texts, scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from unquiet.conventions.times import MAX_US, BadTimeError, to_us
from unquiet.model.changes import Change
from unquiet.model.rejections import ReadReport
from unquiet.sources.columns import scalar_text
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import Record
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.span_rows import records

LONGEST = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NoChange(ValueError):
    """A row that can be read, but tells of nothing that changed what runs; the text says why."""


class ChangeFormat(Protocol):
    """One format of changes."""

    @property
    def name(self) -> str:
        """What the format is called in messages."""
        ...

    def sniff(self, glimpse: Glimpse) -> float:
        """How sure the format is that the file is its own: 0 (no) to 1."""
        ...

    def read(self, path: Path, report: ReadReport) -> list[Change]:
        """The changes of a file; rows that are none are counted in `report`.

        Raises:
            UnreadableSource: the file as a whole cannot be understood.
        """
        ...


def rows_of(path: Path, report: ReadReport) -> list[tuple[Record, str]]:
    """The rows of a file with their places, counted in `report`."""
    found = [(row, f"{path}:{place}") for row, place in records(path, ReadOptions(now_us=0), report)]
    report.rows += len(found)
    return found


def each(
    rows: Sequence[tuple[Record, str]], report: ReadReport, change_of: Callable[[Record, str], Change]
) -> list[Change]:
    """The change of every row; `change_of` takes a row and its place, and raises ValueError where there is none."""
    changes: list[Change] = []
    for row, place in rows:
        try:
            changes.append(change_of(row, place))
        except NoChange as error:
            report.reject(place, str(error), "not a change")
        except ValueError as error:
            report.reject(place, str(error), "unreadable change")
    return changes


def moment(value: object, now_us: int | None = None) -> datetime:
    """A moment as exporters write it; `now_us`, where it is known, stands for one that is missing.

    Raises:
        ValueError: none, or before 1970 or after 9999.
    """
    missing = value is None or value == ""
    try:
        micros, _ = (now_us, True) if missing and now_us is not None else to_us(value or None)
    except BadTimeError as error:
        raise ValueError(str(error)) from None
    if not 0 <= micros <= MAX_US:
        raise ValueError(f"the time {value!r} lies before 1970 or after 9999; check it")
    return EPOCH + timedelta(microseconds=micros)


def fields(data: object) -> Mapping[str, Any]:
    """An object, empty where there is none."""
    return data if isinstance(data, dict) else {}


def text(value: object) -> str | None:
    """A text, shortened; None for anything else and for an empty one."""
    return value[:LONGEST] if isinstance(value, str) and value else None


def scope_of(value: object) -> tuple[tuple[str, str], ...]:
    """A scope out of an object, or out of a text such as `tenant=harbor, locale=de-DE`; empty where there is none.

    Raises:
        ValueError: a text of another form.
    """
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(sign and name.strip() and said.strip() for name, sign, said in parts):
            raise ValueError(f"the scope {value[:60]!r} is no list of facets, such as tenant=harbor, locale=de-DE")
        value = {name.strip(): said.strip() for name, _, said in parts}
    named = [(str(name), scalar_text(said)) for name, said in fields(value).items()]
    return tuple(sorted((name, said) for name, said in named if said))
