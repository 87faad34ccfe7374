"""The service's figures as Prometheus metrics. What is not known has no sample: unknown is never 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from unquiet.model.conditions import Condition, State
from unquiet.web.backend import Backend
from unquiet.web.numbers import Numbers

PREFIX = "unquiet_"
MOST_SERIES = 200
OTHER = "(other)"
"""Where a label has more values than MOST_SERIES, those of the least value are joined under this one."""

Samples = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name without unit-less prefix and `_total`, and how its samples come from the figures."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Callable[[Numbers], Samples]
    labels: tuple[str, ...] = ()
    unit: Literal["", "seconds", "bytes"] = ""


def _one(value: float | None) -> Samples:
    return [] if value is None else [((), float(value))]


def _by(values: Mapping[str, int]) -> Samples:
    return [((key,), float(value)) for key, value in values.items()]


def _seconds(us: int | None) -> float | None:
    return None if us is None else us / 1e6


FAMILIES: tuple[Family, ...] = (
    Family(
        "start_time_seconds",
        "gauge",
        "When the process started, since 1970.",
        lambda n: _one(_seconds(n.started_us)),
        unit="seconds",
    ),
    Family(
        "spans_accepted",
        "counter",
        "Spans (kind traces), log records (logs) and turns acknowledged.",
        lambda n: _by(n.spans_accepted),
        ("kind",),
    ),
    Family(
        "spans_rejected",
        "counter",
        "Spans, log records, turns and data points turned away, at the door or after it.",
        lambda n: [(key, float(value)) for key, value in n.spans_rejected.items()],
        ("kind", "reason"),
    ),
    Family(
        "bodies",
        "counter",
        "Requests that a door answered, by HTTP status.",
        lambda n: [((door, str(status)), float(value)) for (door, status), value in n.bodies.items()],
        ("door", "status"),
    ),
    Family(
        "duplicate_spans", "counter", "Spans dropped because they were known already.", lambda n: _one(n.duplicates)
    ),
    Family("late_spans", "counter", "Spans that came after their session had closed.", lambda n: _one(n.late_spans)),
    Family(
        "unreadable",
        "counter",
        "Bodies, traces and turns that were acknowledged, could not be read and were put aside.",
        lambda n: _by(n.unreadable),
        ("kind",),
    ),
    Family("turns", "counter", "Turns made and measured.", lambda n: _one(n.turns)),
    Family("sessions_open", "gauge", "Sessions that are not over.", lambda n: _one(n.sessions_open)),
    Family("sessions_closed", "counter", "Sessions that are over and were judged.", lambda n: _one(n.sessions_closed)),
    Family(
        "undrained_bytes",
        "gauge",
        "Acknowledged and not worked off yet.",
        lambda n: _one(n.undrained_bytes),
        unit="bytes",
    ),
    Family(
        "drain_lag_seconds",
        "gauge",
        "Age of the oldest body that is not worked off, 0 where none waits.",
        lambda n: _one(n.drain_lag_s),
        unit="seconds",
    ),
    Family(
        "last_arrival_timestamp_seconds",
        "gauge",
        "When a source sent something last, since 1970.",
        lambda n: [((source,), us / 1e6) for source, us in n.last_arrival_us.items()],
        ("source",),
        "seconds",
    ),
    Family(
        "last_tick_timestamp_seconds",
        "gauge",
        "When a tick was judged last, since 1970.",
        lambda n: _one(_seconds(n.last_tick_us)),
        unit="seconds",
    ),
    Family("streams", "gauge", "Signal x slice combinations under test.", lambda n: _one(n.streams)),
    Family("alarm_budget", "gauge", "False incidents accepted per 30 days.", lambda n: _one(n.budget)),
    Family("incidents", "gauge", "Incidents by their present status.", lambda n: _by(n.incidents), ("status",)),
    Family("alerts_sent", "counter", "Notices delivered.", lambda n: _by(n.alerts_sent), ("sink",)),
    Family("alerts_failed", "counter", "Attempts to deliver that failed.", lambda n: _by(n.alerts_failed), ("sink",)),
    Family("alerts_pending", "gauge", "Notices that wait.", lambda n: _by(n.alerts_pending), ("sink",)),
    Family(
        "measurement_failures",
        "counter",
        "Turns that a signal could not measure.",
        lambda n: _by(n.signal_failures),
        ("signal",),
    ),
    Family(
        "disk_free_bytes",
        "gauge",
        "Free on the disk under the folder.",
        lambda n: _one(n.disk_free_bytes),
        unit="bytes",
    ),
    Family("folder_bytes", "gauge", "What the folder holds.", lambda n: _one(n.folder_bytes), unit="bytes"),
    Family(
        "resident_memory_bytes", "gauge", "Memory that the process uses.", lambda n: _one(n.memory_bytes), unit="bytes"
    ),
)
"""Every metric of one value a sample; `_total` is added to counters."""

BUILD = ("build", "The version that runs, as a label.")
TICKS = ("tick_duration_seconds", "Ticks judged, and the time that it took.")
CONDITION = ("condition", "1 for the present state of each condition, 0 for the other states.")
SINCE = ("condition_since_timestamp_seconds", "When the present state of a condition began, since 1970.")
STATE_LABELS = ("condition", "severity", "state")
HEARTBEAT = ("heartbeat_timestamp_seconds", "When the service's loop went round last, since 1970.")


def described() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Name as a query uses it, type, labels and meaning of every metric, in the order in which they are collected."""
    yield PREFIX + BUILD[0] + "_info", "gauge", ("version",), BUILD[1]
    for family in FAMILIES:
        total = "_total" if family.kind == "counter" else ""
        yield PREFIX + family.name + total, family.kind, family.labels, family.help
    yield PREFIX + TICKS[0], "summary", (), TICKS[1]
    yield PREFIX + HEARTBEAT[0], "gauge", (), HEARTBEAT[1]
    yield PREFIX + CONDITION[0], "gauge", STATE_LABELS, CONDITION[1]
    yield PREFIX + SINCE[0], "gauge", STATE_LABELS[:1], SINCE[1]


class ServiceCollector(Collector):
    """Collects from a backend at every scrape."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        """Every metric family, in a fixed order."""
        numbers = self._backend.numbers()
        yield InfoMetricFamily(PREFIX + BUILD[0], BUILD[1], {"version": numbers.version})
        for family in FAMILIES:
            yield _family(family, numbers)
        ticks = SummaryMetricFamily(PREFIX + TICKS[0], TICKS[1], labels=(), unit="seconds")
        if numbers.ticks is not None and numbers.tick_s is not None:
            ticks.add_metric((), numbers.ticks, numbers.tick_s)
        yield ticks
        beat = _seconds(self._backend.heartbeat_us())
        yield GaugeMetricFamily(PREFIX + HEARTBEAT[0], HEARTBEAT[1], beat, unit="seconds")
        yield from _conditions(self._backend.conditions())


def _family(family: Family, numbers: Numbers) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    made = kind(PREFIX + family.name, family.help, labels=family.labels, unit=family.unit)
    # Moments cannot be added up: of the sources beyond the bound the latest counts.
    join = max if family.unit == "seconds" else sum
    for labels, value in _bounded(family.samples(numbers), join):
        made.add_metric(labels, value)
    return made


def _bounded(samples: Samples, join: Callable[[Iterable[float]], float]) -> Iterator[tuple[tuple[str, ...], float]]:
    """The samples of the largest values, the others joined into one."""
    every = sorted(samples, key=lambda sample: (-sample[1], sample[0]))
    yield from sorted(every[:MOST_SERIES])
    if rest := every[MOST_SERIES:]:
        yield (OTHER,) * len(rest[0][0]), join(value for _, value in rest)


def _conditions(found: Sequence[Condition]) -> Iterator[Metric]:
    states = GaugeMetricFamily(PREFIX + CONDITION[0], CONDITION[1], labels=STATE_LABELS)
    since = GaugeMetricFamily(PREFIX + SINCE[0], SINCE[1], labels=STATE_LABELS[:1], unit="seconds")
    for condition in found:
        for state in get_args(State):
            states.add_metric((condition.name, condition.severity, state), float(condition.state == state))
        since.add_metric((condition.name,), condition.since_us / 1e6)
    yield states
    yield since


def add_routes(app: FastAPI, backend: Backend) -> None:
    """/metrics, as Prometheus text, or OpenMetrics where the scraper asks for it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServiceCollector(backend))

    def metrics(request: Request) -> Response:
        """The figures of the service for Prometheus."""
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=media_type)

    app.add_api_route("/metrics", metrics, methods=["GET"], include_in_schema=False)
