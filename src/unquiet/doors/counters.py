"""What the doors have done since they were opened."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

LATENCIES_KEPT = 4096
SOURCES_KEPT = 1000
"""Sources are named by tokens, so there are few; the bound is for configurations that are made by machines."""


class DoorCounters:
    """Counts from any thread; `dump` is what is published."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._statuses: Counter[tuple[str, int]] = Counter()
        self._cut = 0
        self._bytes = 0
        self._last_arrival_us: dict[str, int] = {}
        self._problem: tuple[str, int] | None = None
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def taken(self, kind: str, source: str, count: int, size: int, arrived_us: int) -> None:
        """A body was accepted: `count` spans, log records or turns (`kind`) in `size` bytes."""
        with self._lock:
            self._accepted[kind] += count
            self._bytes += size
            if source in self._last_arrival_us or len(self._last_arrival_us) < SOURCES_KEPT:
                self._last_arrival_us[source] = arrived_us

    def left_out(self, kind: str, rejected: int, cut: int) -> None:
        """Spans, log records, turns or data points were rejected, attributes were cut or dropped."""
        with self._lock:
            self._rejected[kind] += rejected
            self._cut += cut

    def answered(self, door: str, status: int, seconds: float) -> None:
        """A request was answered; `seconds` is counted from when its body was there."""
        with self._lock:
            self._statuses[door, status] += 1
            if status == 200:
                self._latencies_s.append(seconds)

    def failed(self, problem: str, at_us: int) -> None:
        """A body could not be made durable; the text is for whoever runs this, not for the sender."""
        with self._lock:
            self._problem = problem, at_us

    def dump(self) -> dict[str, Any]:
        """Everything as plain values.

        `ack_p50_s` and `ack_p99_s` are over the last 4,096 acknowledged requests, None where there was none yet.
        `last_arrival_us` is by source, microseconds since 1970. `last_problem` is why a body was not made durable, and
        when; None where each was.
        """
        with self._lock:
            latencies = sorted(self._latencies_s)
            return {
                "accepted": dict(self._accepted),
                "rejected": dict(self._rejected),
                "bodies": {f"{door} {status}": count for (door, status), count in sorted(self._statuses.items())},
                "bytes": self._bytes,
                "attributes_cut": self._cut,
                "last_arrival_us": dict(self._last_arrival_us),
                "last_problem": self._problem and {"text": self._problem[0], "at_us": self._problem[1]},
                "ack_p50_s": _quantile(latencies, 0.5),
                "ack_p99_s": _quantile(latencies, 0.99),
            }


def _quantile(values: list[float], share: float) -> float | None:
    return values[min(int(len(values) * share), len(values) - 1)] if values else None
