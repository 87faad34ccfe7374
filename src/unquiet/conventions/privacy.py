"""Traffic without what identifies people: OTLP requests are cleaned before anything of them reaches a disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from unquiet.conventions.messages import as_text, from_json
from unquiet.conventions.private_names import CONTENT_EVENTS, MESSAGE_FIELDS, Kind, Kinds, Lengths, Told, kind_within
from unquiet.conventions.steps import FACET_LENGTH, short_hash
from unquiet.conventions.wire import marked

PEOPLE = (b"user", b"User", b"USER", b"ustomer")
"""Where none of these is in a body, no attribute of it is named after a user."""


FINGERPRINT = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Cleaner:
    """How traffic is cleaned.

    `text` gives a text without what must not be kept, the same object where there is nothing in it; None where texts stay.
    `find` gives the first place, at or after a place, of UTF-8 or raw bytes in which there is something for `text` to change,
    less than 0 where there is none; it never misses. `user` makes a
    pseudonym of a user id, None where user ids stay. `pseudonym` does so with ids that hold something that `text` takes
    out: they must stay apart. With `content` off, what was said is dropped.
    """

    text: Callable[[str], str] | None
    find: Callable[[bytes, int], int]
    user: Callable[[str], str] | None
    pseudonym: Callable[[str], str]
    content: bool = True
    kinds: Kinds = field(default_factory=Kinds)
    told: Told = field(default_factory=Told)
    lengths: Lengths = field(default_factory=Lengths)

    def is_dirty(self, data: bytes) -> bool:
        """Whether there may be something in it that `text` takes out."""
        return self.text is not None and self.find(data, 0) >= 0

    def string(self, value: str, kind: Kind = Kind.PLAIN) -> str:
        """A text of a kind, cleaned; the same object where nothing is to be done."""
        if kind == Kind.USER and self.user is not None:
            return self.user(value) if value else value
        cleaned = value if self.text is None else self.text(value)
        if cleaned is value or kind not in (Kind.USER, Kind.ID):
            return cleaned
        return self.pseudonym(value)

    def named(self, value: Any) -> Any:
        """A JSON value with names of the application's in it: users are found by them. The same object where nothing changes."""
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, list):
            items = [self.named(item) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if not isinstance(value, dict):
            return value
        made = {self.string(key): self._field(key, item) for key, item in value.items()}
        same = len(made) == len(value) and all(
            new is old and key in value for (key, new), old in zip(made.items(), value.values(), strict=True)
        )
        return value if same else made

    def _field(self, name: str, value: Any) -> Any:
        kind = kind_within(name)
        if (
            kind == Kind.USER
            and self.user is not None
            and isinstance(value, int | float)
            and not isinstance(value, bool)
        ):
            return self.user(str(value))
        return self.string(value, kind) if isinstance(value, str) else self.named(value)

    def held(self, text: str) -> str:
        """The text of an object with names in it; the same object where nothing changes."""
        value = from_json(text)
        if not isinstance(value, dict | list):
            return self.string(text)
        cleaned = self.named(value)
        return text if cleaned is value else as_text(cleaned) or ""


def clean_logs(request: ExportLogsServiceRequest, cleaner: Cleaner, raw: bytes | None = None) -> bool:
    """Clean the log records of a request in place; whether anything changed. `raw` are its bytes, where they are at hand."""
    walk = Walk.begin(request.SerializeToString() if raw is None else raw, cleaner)
    if not walk.needed:
        return False
    changed, number = False, 0
    for part in request.resource_logs:
        changed |= walk.attributes(part.resource.attributes)
        for scoped in part.scope_logs:
            changed |= walk.scope(scoped.scope)
            for record in scoped.log_records:
                changed |= walk.at(number, record, walk.record)
                number += 1
    return without_unknown(request, changed) if walk.dirty else changed


def without_unknown(request: Any, changed: bool) -> bool:
    """Drop fields that this version does not know, which would be written as they came; whether anything has changed by now."""
    before = 0 if changed else request.ByteSize()
    request.DiscardUnknownFields()
    return changed or request.ByteSize() != before


@dataclass(slots=True)
class Walk:
    """One way through a request.

    `dirty` tells whether texts must be looked at, `people` whether users are named; `marks` are the numbers of the spans
    whose bytes hold something, None where that is not known. `known` are pseudonyms of users, `names` cleaned names.
    """

    cleaner: Cleaner
    dirty: bool
    people: bool
    marks: set[int] | None = None
    known: dict[str, str] = field(default_factory=dict[str, str])
    names: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def begin(cls, data: bytes, cleaner: Cleaner) -> Walk:
        """Ask the bytes of a request what there is to do."""
        dirty = cleaner.is_dirty(data)
        people = cleaner.user is not None and any(name in data for name in PEOPLE)
        return cls(cleaner, dirty, people, marked(data, cleaner.find) if dirty else None)

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return self.dirty or self.people or not self.cleaner.content

    def at(self, number: int, message: Any, clean: Callable[[Any], bool]) -> bool:
        """Clean a span or record; the texts in it only if its bytes hold something."""
        if not self.dirty:
            return clean(message)
        self.dirty = (
            number in self.marks if self.marks is not None else self.cleaner.is_dirty(message.SerializeToString())
        )
        changed = clean(message) if self.dirty or self.people or not self.cleaner.content else False
        self.dirty = True
        return changed

    def span(self, span: Any) -> bool:
        """Clean a span."""
        changed = self.attributes(span.attributes)
        for event in span.events:
            changed |= self.attributes(event.attributes, spoken=CONTENT_EVENTS.fullmatch(event.name) is not None)
            changed |= self.dirty and self._field(event, "name")
        for link in span.links:
            changed |= self.attributes(link.attributes)
            changed |= self.dirty and self._field(link, "trace_state")
        if self.dirty:
            changed |= self._field(span, "name") | self._field(span, "trace_state")
            changed |= self._field(span.status, "message")
        return changed

    def record(self, record: Any) -> bool:
        """Clean a log record."""
        changed = self.attributes(record.attributes, spoken=True)
        if not self.cleaner.content:
            changed |= record.HasField("body")
            record.ClearField("body")
        elif record.HasField("body"):
            changed |= self._value(record.body, Kind.HOLDER if self.people else Kind.PLAIN)
        if self.dirty:
            changed |= self._field(record, "event_name") | self._field(record, "severity_text")
        return changed

    def scope(self, scope: Any) -> bool:
        """Clean the scope of an instrumentation."""
        changed = self.attributes(scope.attributes)
        return self._field(scope, "name") | self._field(scope, "version") | changed if self.dirty else changed

    def attributes(self, pairs: Any, *, spoken: bool = False) -> bool:
        """Clean attributes; in those of a message (`spoken`) also what is content by its bare name."""
        kinds = self.cleaner.kinds
        if self.cleaner.content and not self.dirty:
            told = self.cleaner.told
            return sum(self.tells(pair.value, kinds[pair.key]) for pair in pairs if told[pair.key]) > 0
        changed = False
        gone: list[int] = []
        for place, pair in enumerate(pairs):
            kind = kinds[pair.key]
            if not self.cleaner.content and self._is_said(pair, kind, spoken=spoken):
                gone.append(place)
            elif kind == Kind.PRINTED and not self.cleaner.content:
                changed |= _print(pair.value)
            else:
                changed |= self._value(pair.value, kind)
                changed |= self.dirty and self._renamed(pair)
        for place in reversed(gone):
            del pairs[place]
        return changed or bool(gone)

    def _renamed(self, pair: Any) -> bool:
        """Clean a name; the same names come again and again."""
        name = pair.key
        cleaned = self.names.get(name)
        if cleaned is None:
            cleaned = self.names[name] = self.cleaner.string(name)
        if cleaned == name:
            return False
        pair.key = cleaned
        return True

    def tells(self, value: Any, kind: Kind) -> bool:
        """Clean the value of a name that tells users. Mostly it is the id of one, often the same as before."""
        text = value.string_value
        if kind != Kind.USER or not text or self.cleaner.user is None:
            return self.people and self._value(value, kind)
        hidden = self.known.get(text)
        if hidden is None:
            hidden = self.known[text] = self.cleaner.user(text)
        value.string_value = hidden
        return hidden != text

    def _is_said(self, pair: Any, kind: Kind, *, spoken: bool) -> bool:
        """Whether an attribute must go where content is off: by its name, or because it is long and nobody knows it."""
        if kind == Kind.CONTENT or (spoken and pair.key in MESSAGE_FIELDS):
            return True
        return kind == Kind.PLAIN and _is_prose(pair.value)

    def _field(self, message: Any, name: str) -> bool:
        """Clean one text of a message."""
        value = getattr(message, name)
        cleaned = self.cleaner.string(value) if value else value
        if cleaned is value:
            return False
        setattr(message, name, cleaned)
        return True

    def _value(self, value: Any, kind: Kind) -> bool:
        """Clean a value with all that is in it."""
        which = value.WhichOneof("value")
        if which == "string_value":
            return self._string(value, kind)
        if which == "array_value":
            return sum(self._value(item, kind) for item in value.array_value.values) > 0
        if which == "kvlist_value":
            return sum(self._named(pair, kind) for pair in value.kvlist_value.values) > 0
        if which == "bytes_value" and self.dirty:
            text = value.bytes_value.decode("utf-8", "surrogateescape")
            cleaned = self.cleaner.string(text, kind)
            value.bytes_value = cleaned.encode("utf-8", "surrogateescape")
            return cleaned is not text
        if which in ("int_value", "double_value") and kind == Kind.USER and self.cleaner.user is not None:
            value.string_value = self.cleaner.user(str(getattr(value, which)))
            return True
        return False

    def _string(self, value: Any, kind: Kind) -> bool:
        text = value.string_value
        if kind == Kind.HOLDER:
            named = self.people and _may_name(text)
            cleaned = self.cleaner.held(text) if named else self.cleaner.string(text) if self.dirty else text
        elif self.dirty or kind == Kind.USER:
            cleaned = self.cleaner.string(text, kind)
        else:
            return False
        if cleaned is text:
            return False
        value.string_value = cleaned
        return True

    def _named(self, pair: Any, kind: Kind) -> bool:
        """Clean a name and its value inside of a value; in metadata the name may tell a user."""
        inner = kind_within(pair.key) if kind == Kind.HOLDER else kind
        changed = self._value(pair.value, Kind.HOLDER if kind == Kind.HOLDER and inner == Kind.PLAIN else inner)
        return self._field(pair, "key") | changed if self.dirty else changed


def _print(value: Any) -> bool:
    """Leave a fingerprint in place of a value."""
    if FINGERPRINT.fullmatch(value.string_value):
        return False
    mark = short_hash(value.SerializeToString(deterministic=True).hex())
    value.Clear()
    value.string_value = mark
    return True


def _may_name(text: str) -> bool:
    """Whether an object's text can have a field that is named after a user."""
    lowered = text[:1_000_000].lower()
    return "user" in lowered or "customer" in lowered


def _is_prose(value: Any) -> bool:
    """Whether a value holds a text that is too long to be a facet."""
    which = value.WhichOneof("value")
    if which == "string_value":
        return is_prose(value.string_value)
    if which == "bytes_value":
        return True
    if which == "array_value":
        return any(map(_is_prose, value.array_value.values))
    return which == "kvlist_value" and any(_is_prose(pair.value) for pair in value.kvlist_value.values)


def is_prose(text: str) -> bool:
    """Whether a text is too long to be a facet: then it is of no use beside what is known by its name."""
    return len(text) > FACET_LENGTH or "\n" in text
