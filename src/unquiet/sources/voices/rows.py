"""Voices as they are gathered: fields of an export become rows, what cannot is rejected, ratings get one scale."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.conventions.times import BadTimeError, to_us
from unquiet.model.rejections import ReadReport
from unquiet.model.voices import KINDS, TICKET, VOICES
from unquiet.sources.columns import json_text, scalar_text
from unquiet.sources.protocol import ReadOptions, misplaced
from unquiet.sources.voices.ratings import BadRatingError, found_scale, scaled, value_of

MOST_CHARACTERS = 10_000
"""Of a longer text its beginning is kept: what is said further down is mostly the mail that was answered."""

_BREAK = re.compile(r"<\s*(?:br|/p|/div|/li|/h\d)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z/!][^>]*>")


class BadVoiceError(ValueError):
    """A row that is no voice; `kind` groups such rows in the report."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(slots=True)
class Said:
    """One voice as an export tells it; `time` in any form that is understood, `rating` on the scale of the export."""

    time: Any
    key: Any = None
    kind: str = TICKET
    text: str | None = None
    user: str | None = None
    session: str | None = None
    rating: Any = None
    facets: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Gathering:
    """The voices of one file. `scale` is that of its format, where the format has one."""

    origin: str
    path: Path
    options: ReadOptions
    report: ReadReport
    scale: tuple[float, float] | None = None
    _rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _values: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    def add(self, place: str | int, make: Callable[[], Said]) -> None:
        """Add what `make` gives, or reject it; a field of a shape that the format does not have is a rejection too."""
        self.report.rows += 1
        try:
            self._keep(make())
        except BadVoiceError as error:
            self.report.reject(f"{self.path}:{place}", str(error), error.kind)
        except (AttributeError, KeyError, IndexError, TypeError) as error:
            reason = f"a field has another shape than {self.origin} gives it ({error})"
            self.report.reject(f"{self.path}:{place}", reason, "wrong shape")

    def tables(self) -> Iterator[pa.Table]:
        """All of them as one table of VOICES, ratings between 0 and 1."""
        values = [value for _, value in self._values]
        scale = self.options.scale or self.scale or found_scale(values)
        if values and scale is not None and not self.scale and not self.options.scale:
            low, high = scale
            self.report.notes.append(
                f"{self.path}: ratings are taken as {low:g} (worst) to {high:g} (best), as found in the file; --scale says "
                "otherwise"
            )
        gone: set[int] = set()
        for row, value in self._values:
            try:
                self._rows[row]["rating"] = scaled(value, scale)
            except BadRatingError as error:
                self.report.reject(f"{self.path}: {self._rows[row]['voice_id']}", str(error), "rating off its scale")
                gone.add(row)
        rows = [row for place, row in enumerate(self._rows) if place not in gone]
        self.report.turns += len(rows)
        if rows:
            columns = [pa.array([row[each.name] for row in rows], each.type) for each in VOICES]
            yield pa.Table.from_arrays(columns, schema=VOICES)

    def _keep(self, said: Said) -> None:
        time_us = self._time(said.time)
        text = (said.text or "").strip()[:MOST_CHARACTERS] or None
        try:
            value = value_of(said.rating)
        except BadRatingError as error:
            raise BadVoiceError("unreadable rating", str(error)) from None
        if text is None and value is None:
            raise BadVoiceError("nothing said", "there is no text and no rating; a voice needs one of them")
        if said.kind not in KINDS:
            raise BadVoiceError("unknown kind", f"the kind is {said.kind[:40]!r}; expected {', '.join(KINDS)}")
        if value is not None:
            self._values.append((len(self._rows), value))
        facets = {name: told for name, given in said.facets.items() if (told := scalar_text(given))}
        self._rows.append(
            {
                "voice_id": f"{self.origin}:{_key(said, time_us, text)}",
                "time": time_us,
                "kind": said.kind,
                "origin": self.origin,
                "text": text,
                "user_id": said.user or None,
                "session_id": said.session or None,
                "rating": None,
                "facets": list(facets.items()),
            }
        )

    def _time(self, value: Any) -> int:
        if value is None or value == "":
            raise BadVoiceError("missing time", "the time is missing")
        try:
            time_us, _ = to_us(value)
        except (BadTimeError, OverflowError) as error:
            raise BadVoiceError("unreadable time", str(error)) from None
        wrong = misplaced(time_us, self.options)
        if wrong:
            raise BadVoiceError(*wrong)
        return time_us


def _key(said: Said, time_us: int, text: str | None) -> str:
    """The id of the export; of a voice without one, what it says and when."""
    if said.key not in (None, ""):
        return scalar_text(said.key) or json_text(said.key)
    told = "\x1f".join(map(str, (time_us, said.user, said.session, said.rating, text)))
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def plain_text(markup: Any) -> str | None:
    """The words of an HTML text, lines kept; None where there is no text."""
    if not isinstance(markup, str) or not markup:
        return None
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", markup))).strip() or None


def text_or_none(value: Any) -> str | None:
    """A scalar as text; None where there is none or it is empty."""
    return scalar_text(value) or None


def joined_text(*parts: str | None) -> str | None:
    """Subject and body as one text; a body that begins with the subject is told once."""
    told = [part.strip() for part in parts if part and part.strip()]
    if len(told) == 2 and told[1].startswith(told[0]):
        return told[1]
    return "\n".join(told) or None
