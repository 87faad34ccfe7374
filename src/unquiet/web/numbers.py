"""The figures of the running service that become metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Numbers:
    """Counters since the start of the process and gauges of now. None, or a missing key: not known, never 0.

    Moments are microseconds since 1970, durations seconds. `spans_accepted` goes by kind (traces, logs, turns), `spans_rejected`
    by kind and reason, `bodies` by door and HTTP status; reasons are from a fixed list, never text of traffic. `drain_lag_s` is
    the age of the oldest body that is not drained, 0 where none waits. `unreadable` goes by what could not be read: bodies,
    traces, turns. `tick_s` is the time spent on all `ticks`. `budget` is the number of false incidents accepted per 30 days.
    `incidents` goes by status, `alerts_sent`, `alerts_failed` (attempts) and `alerts_pending` by sink.
    """

    version: str
    started_us: int
    spans_accepted: Mapping[str, int] = field(default_factory=dict[str, int])
    spans_rejected: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    bodies: Mapping[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    duplicates: int | None = None
    late_spans: int | None = None
    turns: int | None = None
    unreadable: Mapping[str, int] = field(default_factory=dict[str, int])
    sessions_open: int | None = None
    sessions_closed: int | None = None
    undrained_bytes: int | None = None
    drain_lag_s: float | None = None
    last_arrival_us: Mapping[str, int] = field(default_factory=dict[str, int])
    ticks: int | None = None
    last_tick_us: int | None = None
    tick_s: float | None = None
    streams: int | None = None
    budget: float | None = None
    incidents: Mapping[str, int] = field(default_factory=dict[str, int])
    alerts_sent: Mapping[str, int] = field(default_factory=dict[str, int])
    alerts_failed: Mapping[str, int] = field(default_factory=dict[str, int])
    alerts_pending: Mapping[str, int] = field(default_factory=dict[str, int])
    disk_free_bytes: int | None = None
    folder_bytes: int | None = None
    memory_bytes: int | None = None
    signal_failures: Mapping[str, int] = field(default_factory=dict[str, int])
