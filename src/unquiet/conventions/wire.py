"""Where the spans of a request lie in its bytes, told from the lengths of messages alone (Protocol Buffers encoding)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

LENGTHS, VARINT, FIXED64, FIXED32 = 2, 0, 1, 5
"""Wire types."""

PATH = (1, 2, 2)
"""Fields that lead to a span: of a request the resources, of these the scopes, of these the spans. The same for log records."""


class Unreadable(Exception):
    """The bytes are no such message, or written in a way that nothing here reads."""


def marked(raw: bytes, find: Callable[[bytes, int], int]) -> set[int] | None:
    """The spans (or log records) of a request, numbered in order, in whose bytes `find` finds something.

    `find` gives the place of the first match at or after a place, less than 0 where there is none. None where the bytes cannot
    be read.
    """
    marks: set[int] = set()
    at = find(raw, 0)
    try:
        for number, (start, end) in enumerate(_spans(raw)):
            if at < 0:
                break
            if at < start:
                at = find(raw, start)
            if start <= at < end:
                marks.add(number)
                # What crosses the end of a span is no match of a text in it.
                at = find(raw, end)
    except (Unreadable, IndexError):
        return None
    return marks


def _spans(raw: bytes) -> Iterator[tuple[int, int]]:
    one, two, three = PATH
    for resource in _messages(raw, 0, len(raw), one):
        for scope in _messages(raw, *resource, two):
            yield from _messages(raw, *scope, three)


def _messages(raw: bytes, at: int, end: int, field: int) -> Iterator[tuple[int, int]]:
    """Where the values of a field of a message begin and end."""
    wanted = field << 3 | LENGTHS
    while at < end:
        tag, at = _varint(raw, at)
        kind = tag & 7
        if kind == LENGTHS:
            length, at = _varint(raw, at)
            if at + length > end:
                raise Unreadable
            if tag == wanted:
                yield at, at + length
            at += length
        elif kind == VARINT:
            _, at = _varint(raw, at)
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        else:
            raise Unreadable


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = raw[at]
    if value < 0x80:
        return value, at + 1
    value, shift = value & 0x7F, 7
    while True:
        at += 1
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
        if shift > 63:
            raise Unreadable
