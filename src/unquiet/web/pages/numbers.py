"""Rates with their intervals, and moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unquiet.conventions.times import to_iso
from unquiet.stats.intervals import wilson
from unquiet.web.pages.documents import Day, Measured

Document = Mapping[str, Any]


def iso(us: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    return to_iso(us).replace("+00:00", "Z")


def moment_of(text: str) -> str:
    """An ISO moment, written as all moments of the pages are."""
    return text.replace("+00:00", "Z")


def measured(found: Document) -> Measured:
    """A rate of a document, with its interval."""
    n = int(found["n"])
    rate = np.nan if found["rate"] is None else float(found["rate"])
    known = rate == rate
    low, high = wilson(np.array([rate * n if known else 0.0]), np.array([float(n if known else 0)]))
    return Measured(rate=rate if known else None, low=float(low[0]), high=float(high[0]), n=n)


def days_of(days: Sequence[Document]) -> list[Day]:
    """The days of an incident, each rate and each expected rate with its interval."""
    n = np.array([float(each["n"]) for each in days])
    rate, usual = (
        np.array([np.nan if each[name] is None else float(each[name]) for each in days], dtype=float)
        for name in ("rate", "expected")
    )
    bounds = [wilson(np.nan_to_num(values) * n, np.where(np.isnan(values), 0.0, n)) for values in (rate, usual)]
    (low, high), (below, above) = bounds
    return [
        Day(
            day=each["day"],
            n=each["n"],
            rate=each["rate"],
            low=float(low[i]),
            high=float(high[i]),
            expected=each["expected"],
            expected_low=float(below[i]),
            expected_high=float(above[i]),
        )
        for i, each in enumerate(days)
    ]
