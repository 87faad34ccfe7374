"""A change day by day: what the slice did, and what its mix of requests lets expect."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from unquiet.incidents.expected import expected_rates
from unquiet.model.history import Recorded

DAY_US = 86_400_000_000


def by_day(recorded: Recorded, inside: npt.NDArray[np.bool_], event: int, onset_us: int) -> list[dict[str, object]]:
    """Every day (UTC) of the sessions `inside` (n,): its date, sessions, rate, and the rate expected from before the onset.

    Days without a session are there too, with rates of None.
    """
    rows = np.flatnonzero(inside & (recorded.y[:, event] >= 0))
    if not len(rows):
        return []
    day = recorded.started_us[rows] // DAY_US
    first = int(day.min())
    n = np.bincount(day - first)
    x = np.bincount(day - first, weights=recorded.y[rows, event])
    usual = np.bincount(day - first, weights=expected_rates(recorded, rows, event, onset_us))
    return [
        {
            "day": datetime.fromtimestamp((first + i) * DAY_US / 1e6, UTC).date().isoformat(),
            "n": int(count),
            "rate": round(float(x[i] / count), 5) if count else None,
            "expected": round(float(usual[i] / count), 5) if count else None,
        }
        for i, count in enumerate(n)
    ]
