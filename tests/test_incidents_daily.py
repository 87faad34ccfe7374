"""A change day by day."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from unquiet.incidents import by_day
from unquiet.model.history import Recorded


def us(day: int, hour: int) -> int:
    return round(datetime(2026, 3, day, hour, tzinfo=UTC).timestamp() * 1e6)


def test_the_days_of_a_change() -> None:
    started = np.array([us(2, 1), us(2, 9), us(2, 10), us(4, 23), us(5, 0), us(5, 1)], np.int64)
    n = len(started)
    names = np.array([f"s{i}" for i in range(n)], object)
    y = np.array([[0], [1], [-1], [1], [1], [0]], np.int8)
    recorded = Recorded(
        names,
        names,
        names,
        started,
        started,
        np.zeros(n, np.int64),
        y,
        np.arange(n, dtype=np.int32),
        np.zeros(n, np.int32),
    )
    inside = np.array([True, True, True, True, True, False])
    days = by_day(recorded, inside, 0, us(4, 0))
    assert [(day["day"], day["n"], day["rate"]) for day in days] == [
        ("2026-03-02", 2, 0.5),
        ("2026-03-03", 0, None),
        ("2026-03-04", 1, 1.0),
        ("2026-03-05", 1, 1.0),
    ]
    assert days[1]["expected"] is None
    assert 0.3 < float(str(days[3]["expected"])) < 0.7
    assert by_day(recorded, np.zeros(n, bool), 0, us(4, 0)) == []
