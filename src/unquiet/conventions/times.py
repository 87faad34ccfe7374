"""Moments in time as exporters write them: ISO 8601 texts, or numbers since 1970 in any unit."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

_UNITS = ((1e11, 1_000_000.0), (1e14, 1_000.0), (1e17, 1.0))
"""Numbers below a bound count s, ms, us; above the last, ns. Each bound is the year 5138 in its unit."""

MIN_US = -62_135_596_800_000_000
MAX_US = 253_402_300_799_000_000
"""The years 1 and 9999."""


class BadTimeError(ValueError):
    """A value that is no moment; the text says what it was."""


def number_to_us(value: float) -> int:
    """Microseconds since 1970 of a number that counts s, ms, us or ns since 1970.

    Raises:
        BadTimeError: not a number, negative, or beyond the year 9999.
    """
    if math.isnan(value) or math.isinf(value):
        raise BadTimeError("the time is not a number")
    if value < 0:
        raise BadTimeError(f"the time {value} lies before 1970")
    for bound, factor in _UNITS:
        if value < bound:
            return round(value * factor)
    micros = int(value) // 1000
    if micros > MAX_US:
        raise BadTimeError(f"the time {value} lies beyond the year 9999")
    return micros


def text_to_us(text: str) -> tuple[int, bool]:
    """Microseconds since 1970 of an ISO 8601 text (or a number in a text), and whether it named a time zone.

    A text without a zone is taken as UTC.

    Raises:
        BadTimeError: neither.
    """
    text = text.strip()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return _number_text(text), True
    if text.isdigit():  # fromisoformat reads 20261123 as a day; epoch seconds have nine digits and more.
        return (_number_text(text), True) if len(text) > 8 else (_day_us(at), False)
    if at.tzinfo is None:
        return _day_us(at), False
    return _us(at), True


def _day_us(at: datetime) -> int:
    return _us(at.replace(tzinfo=UTC))


def _us(at: datetime) -> int:
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _number_text(text: str) -> int:
    if text.endswith(" UTC"):
        return text_to_us(text.removesuffix(" UTC"))[0]
    try:
        number: float = int(text) if text.isdigit() else float(text)
    except ValueError:
        raise BadTimeError(
            f"the time {text[:40]!r} is neither ISO 8601 (2026-11-23T10:00:00Z) nor a number since 1970"
        ) from None
    return number_to_us(number)


def to_us(value: object) -> tuple[int, bool]:
    """Microseconds since 1970 of a value, and whether its time zone is known.

    Raises:
        BadTimeError: the value is missing or no moment.
    """
    if isinstance(value, str):
        return text_to_us(value)
    if value is None:
        raise BadTimeError("the time is missing")
    if isinstance(value, datetime):
        return (_us(value), True) if value.tzinfo else (_day_us(value), False)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadTimeError(f"the time is a {type(value).__name__}, not a text or a number")
    return number_to_us(value), True


def to_iso(micros: int) -> str:
    """The moment as ISO 8601 in UTC (the bare number where no calendar reaches)."""
    if not MIN_US <= micros <= MAX_US:
        return f"{micros} us since 1970"
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()
