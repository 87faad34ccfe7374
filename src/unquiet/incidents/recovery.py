"""When an incident is over: the rate has gone back, and that is clearer than chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unquiet.incidents.expected import expected_rates
from unquiet.model.history import Recorded
from unquiet.stats.shrinkage import LOWEST_RATE

IntArray = npt.NDArray[np.int64]

SURE = 9.0
"""Log evidence for "back to before" against "still changed" that closes an incident."""

LEAST_SESSIONS = 15


def recovered_at(recorded: Recorded, rows: IntArray, event: int, onset_us: int, latest_us: int) -> int | None:
    """The moment (microseconds) from which the rate of `rows` is back to that before the onset; None while it is not.

    The evidence is the largest sum, over the last sessions, of log(rate before / rate since the onset) of what they did
    (Page 1954 run backwards); the changed rate is taken from the first half of the sessions since `latest_us`.
    """
    rows = rows[np.argsort(recorded.started_us[rows], kind="stable")]
    rate = np.clip(expected_rates(recorded, rows, event, onset_us), LOWEST_RATE, 1.0 - LOWEST_RATE)
    since = (recorded.started_us[rows] >= latest_us) & (recorded.y[rows, event] >= 0)
    y, before, at = recorded.y[rows[since], event] == 1, rate[since], recorded.started_us[rows[since]]
    if len(y) < 2 * LEAST_SESSIONS:
        return None
    half = max(LEAST_SESSIONS, len(y) // 2)
    odds = (y[:half].sum() + 0.5) / (half - y[:half].sum() + 0.5)
    mean = float(before[:half].mean())
    ratio = odds / (mean / (1.0 - mean))
    changed = ratio * before / (1.0 + (ratio - 1.0) * before)
    gain = np.where(y, np.log(before / changed), np.log1p(-before) - np.log1p(-changed))
    tail = np.cumsum(gain[::-1])[::-1]
    best = int(tail.argmax())
    if tail[best] < SURE or len(y) - best < LEAST_SESSIONS:
        return None
    return int(at[best])
