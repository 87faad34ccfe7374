"""The usual week of traffic, learned by hour, and whether a silence is unusual in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import pdtr

from unquiet.selfwatch.facts import Silence

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
WEEK_HOURS = 168
MONDAY_US = 4 * 24 * HOUR_US
"""1970 began on a Thursday; the fifth day was a Monday."""

LEAST_HOURS = 160
"""So many of the hours of a week must have been watched before a week is known."""

KEPT = 0.75
"""What an hour of the week weighs a week later."""

WINDOWS_MIN = (10, 60, 360)
"""Lengths of the windows in which a trickle is told from traffic, in minutes."""

LEAST_GAP_US = MINUTE_US
MOST_PAUSE_US = 5 * MINUTE_US
LEAST_COUNT, MOST_SPREADS, BURSTY = 2, 2 * WEEK_HOURS, 0.8


@dataclass(slots=True)
class _Minutes:
    """Arrivals by minute, the last six hours and the hour before."""

    last: int
    counts: deque[int]

    def upto(self, minute: int) -> None:
        for _ in range(min(minute - self.last, self.counts.maxlen or 0)):
            self.counts.append(0)
        self.last = max(self.last, minute)

    def latest(self, minutes: int, *, before: int) -> npt.NDArray[np.int64]:
        """Counts of the `minutes` minutes that end before minute `before`; the ring must reach that far back."""
        behind = self.last + 1 - before
        every = np.array(self.counts, np.int64)
        return every[len(every) - behind - minutes : len(every) - behind]


class Traffic:
    """Learns arrivals per hour of the week (UTC) and says how unusual the present silence is.

    Arrivals are bodies, not spans. What came is compared with a Poisson of the learned rate. Arrivals come in bursts; how
    strongly is learned too, and as many are counted as one. An hour counts as the least of itself and its
    neighbours: a day that begins an hour late, or a change to summer time, is no silence. Hours in which nobody
    watched are not learned. `advance` must be called about once a minute, or more often.
    """

    def __init__(self, now_us: int) -> None:
        self._hours = np.zeros((WEEK_HOURS, 2))
        self._spreads: deque[float] = deque(maxlen=MOST_SPREADS)
        self._burst = 1.0
        self._minutes = _Minutes(now_us // MINUTE_US, deque([0], maxlen=max(WINDOWS_MIN) + 60))
        self._now_us = now_us
        self._since_us = now_us
        self._last_us: int | None = None

    @property
    def last_us(self) -> int | None:
        """The last arrival, microseconds since 1970; None where there was none."""
        return self._last_us

    @property
    def week_known(self) -> bool:
        """Whether enough hours of the week were watched."""
        return int((self._hours[:, 0] > 0).sum()) >= LEAST_HOURS

    def add(self, at_us: int, count: int = 1) -> None:
        """Count arrivals at a moment; one that lies before the last known moment counts as of that."""
        self.advance(at_us)
        self._minutes.counts[-1] += count
        self._last_us = max(at_us, self._last_us or at_us)

    def advance(self, now_us: int) -> None:
        """Nothing but what was added has come until `now_us`. After a pause longer than five minutes watching begins anew."""
        if now_us - self._now_us > MOST_PAUSE_US:
            self._since_us = now_us
        first = self._now_us // HOUR_US
        self._minutes.upto(now_us // MINUTE_US)
        self._now_us = max(now_us, self._now_us)
        hour = self._now_us // HOUR_US
        # A pause is shorter than an hour, or nobody watched: at most one hour ends between two calls.
        if hour > first and self._since_us <= (hour - 1) * HOUR_US:
            self._learn(hour - 1)

    def _learn(self, hour: int) -> None:
        counts = self._minutes.latest(60, before=(hour + 1) * 60)
        total = int(counts.sum())
        cell = self._hours[_place(hour)]
        cell *= KEPT
        cell += (1.0, total)
        if total >= LEAST_COUNT:
            tens = counts.reshape(6, 10).sum(axis=1)
            spread = max(float(((c - total / len(c)) ** 2).sum()) * len(c) / (len(c) - 1) for c in (counts, tens))
            self._spreads.append(spread / total)
            self._burst = _bursty(self._spreads)

    @property
    def burst(self) -> float:
        """How many arrivals come as one: the ratio of variance to mean within an hour, that of bursty hours, at least 1."""
        return self._burst

    def rate(self, at_us: int) -> float:
        """Arrivals per hour that are usual at a moment: the least of its hour of the week and the neighbours; 0 if not known."""
        hour = at_us // HOUR_US
        cells = self._hours[[_place(hour + step) for step in (-1, 0, 1)]]
        return float(np.min(cells[:, 1] / np.maximum(cells[:, 0], 1e-9) * (cells[:, 0] > 0)))

    def expected(self, from_us: int, to_us: int) -> float:
        """Arrivals that are usual between two moments."""
        total = 0.0
        for hour in range(from_us // HOUR_US, to_us // HOUR_US + 1):
            begin, end = max(from_us, hour * HOUR_US), min(to_us, (hour + 1) * HOUR_US)
            total += self.rate(hour * HOUR_US) * max(0, end - begin) / HOUR_US
        return total

    def silence(self, now_us: int) -> Silence | None:
        """The most unusual lack of arrivals up to now, of the gap since the last one and of windows of 10 minutes to 6 hours.

        None until a week is known.
        """
        self.advance(now_us)
        if not self.week_known:
            return None
        last = max(self._since_us, self._last_us or self._since_us)
        found = [self._silence(0, last, now_us if now_us - last >= LEAST_GAP_US else last)]
        minute = now_us // MINUTE_US
        for length in WINDOWS_MIN:
            begin = (minute - length) * MINUTE_US
            if begin >= self._since_us:
                count = int(self._minutes.latest(length + 1, before=minute + 1).sum())
                found.append(self._silence(count, begin, now_us))
        unusual = [each for each in found if each.unusual]
        return min(unusual or found, key=lambda each: each.probability)

    def _silence(self, count: int, from_us: int, to_us: int) -> Silence:
        burst = self._burst
        expected = self.expected(from_us, to_us)
        return Silence(count, expected, from_us, float(pdtr(np.floor(count / burst), expected / burst)))

    def state(self) -> dict[str, Any]:
        """What was learned, as JSON."""
        return {"hours": self._hours.tolist(), "spreads": list(self._spreads), "last_us": self._last_us}

    @classmethod
    def restored(cls, state: Mapping[str, Any], now_us: int) -> Traffic:
        """From `state()`; watching begins anew at `now_us`."""
        made = cls(now_us)
        made._hours = np.array(state["hours"], float).reshape(WEEK_HOURS, 2)
        made._spreads.extend(state["spreads"])
        made._burst = _bursty(made._spreads)
        made._last_us = state["last_us"]
        return made


def _bursty(spreads: deque[float]) -> float:
    return max(1.0, float(np.quantile(spreads, BURSTY))) if spreads else 1.0


def _place(hour: int) -> int:
    """The hour of the week, 0 from Monday 00:00 UTC, of an hour since 1970."""
    return (hour - MONDAY_US // HOUR_US) % WEEK_HOURS
