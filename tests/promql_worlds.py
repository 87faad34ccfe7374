"""Series, expressions, turns and rule files on which PromQL is held against Prometheus itself."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from unquiet.model.turns import TURNS
from unquiet.promql.values import Labels, Samples, labelled

START_S = 1_772_409_617
SCRAPES = 240
SCRAPE_S = 60.0
AT_S = START_S + SCRAPE_S * np.arange(SCRAPES)
MOMENTS_S = START_S + 30.0 + 840.0 * np.arange(17)
"""Between scrapes, which are 17 seconds after whole minutes: at a scrape itself, versions of Prometheus differ in whether a window
holds its first moment."""

BOUNDS = (0.1, 0.5, 1.0, 2.5)


def series() -> dict[str, Samples]:
    """Counters of requests that start, reset and stand still; histograms; gauges."""
    requests: dict[Labels, np.ndarray] = {}
    seconds: dict[Labels, np.ndarray] = {}
    gauge: dict[Labels, np.ndarray] = {}
    for number, (instance, status) in enumerate([("a", "200"), ("a", "500"), ("b", "200"), ("b", "503"), ("b", "429")]):
        steps = np.array([(i * (7 + number) + (i * i) % (5 + number)) % (60 // (number + 1)) for i in range(SCRAPES)])
        total = np.cumsum(steps).astype(np.float64)
        if number == 2:
            total[120:] -= total[119]
        if number == 4:
            total[:90] = np.nan
        requests[labelled({"instance": instance, "status": status, "job": "api"})] = total
        grown = np.zeros(SCRAPES)
        for place, bound in enumerate((*BOUNDS, math.inf)):
            grown = grown + np.array([(i * (3 + place) + number * i) % 11 for i in range(SCRAPES)])
            if status in ("200", "500"):
                key = labelled({"instance": instance, "status": status, "le": f"{bound:g}" if bound < 9 else "+Inf"})
                seconds[key] = np.cumsum(grown)
    for number, instance in enumerate(("a", "b", "c")):
        values = np.array([10.0 * math.sin(i / (9 + number)) + number for i in range(SCRAPES)])
        values[30 * (number + 1)] = math.nan
        gauge[labelled({"instance": instance, "zone": "xy"[number % 2]})] = values
    owner = {labelled({"instance": i, "team": t}): np.ones(SCRAPES) for i, t in (("a", "red"), ("b", "blue"))}
    made = {"requests_total": requests, "seconds_bucket": seconds, "depth": gauge, "owner": owner}
    return {name: _samples(each, name) for name, each in made.items()}


def _samples(told: dict[Labels, np.ndarray], name: str) -> Samples:
    values = np.stack(list(told.values()))
    # NaN is a value of a gauge; of a counter it stands for: not yet there.
    present = np.ones(values.shape, bool) if name == "depth" else ~np.isnan(values)
    return Samples(AT_S, list(told), values, present)


EXPRESSIONS = (
    "requests_total",
    'requests_total{status="500"}',
    'requests_total{status=~"5..", instance!="b"}',
    'requests_total{status!~"2.."}',
    "requests_total offset 15m",
    "rate(requests_total[5m])",
    "rate(requests_total[5m] offset 10m)",
    "increase(requests_total[1h])",
    "irate(requests_total[5m])",
    "delta(depth[10m])",
    "idelta(depth[10m])",
    "sum(rate(requests_total[5m]))",
    'sum(rate(requests_total{status=~"5.."}[5m])) / sum(rate(requests_total[5m]))',
    'sum by (instance) (rate(requests_total{status=~"5.."}[10m])) / sum by (instance) (rate(requests_total[10m])) > 0.3',
    "sum without (status) (increase(requests_total[5m]))",
    "avg(requests_total) by (instance)",
    "max(depth) without (zone)",
    "min(depth)",
    "count(requests_total) by (status)",
    "count(requests_total > 500)",
    "group by (instance) (requests_total)",
    "stddev(depth)",
    "stdvar by (zone) (depth)",
    "topk(2, requests_total)",
    "bottomk(1, requests_total) ",
    "quantile(0.7, requests_total)",
    "histogram_quantile(0.95, sum by (le) (rate(seconds_bucket[5m])))",
    "histogram_quantile(0.5, rate(seconds_bucket[30m])) > 0.4",
    "histogram_quantile(0.999, sum by (le, instance) (increase(seconds_bucket[1h])))",
    "histogram_quantile(1.5, seconds_bucket)",
    'sum(rate(seconds_bucket{le="0.5"}[10m])) / sum(rate(seconds_bucket{le="+Inf"}[10m]))',
    "avg_over_time(depth[15m])",
    "max_over_time(depth[15m])",
    "min_over_time(depth[15m])",
    "sum_over_time(requests_total[15m])",
    "count_over_time(requests_total[15m])",
    "last_over_time(requests_total[15m])",
    "present_over_time(requests_total[15m])",
    "stddev_over_time(requests_total[15m])",
    "stdvar_over_time(requests_total[15m])",
    "quantile_over_time(0.9, requests_total[20m])",
    "changes(requests_total[20m])",
    "resets(requests_total[2h])",
    "deriv(requests_total[20m])",
    "predict_linear(requests_total[30m], 3600)",
    "predict_linear(requests_total[30m] offset 5m, 3600)",
    "max_over_time(rate(requests_total[5m])[30m:1m])",
    "avg_over_time(sum(rate(requests_total[5m]))[1h:5m])",
    'absent(requests_total{status="404"})',
    'absent(requests_total{status="429"})',
    'absent(requests_total{status="429", job=~"a.*"})',
    "absent(sum(requests_total > 1e9))",
    'absent_over_time(requests_total{status="429"}[10m])',
    "requests_total > 100 and requests_total < 1000",
    "requests_total > 1000 or depth > 5",
    'requests_total unless requests_total{status="200"}',
    'requests_total{status="200"} and on (instance) requests_total{status="500"}',
    "requests_total * on (instance) group_left (team) owner",
    "owner * on (instance) group_right () requests_total",
    "requests_total / ignoring (status) group_left () sum without (status) (requests_total)",
    'requests_total{status="500"} / on (instance) requests_total{status="200"}',
    "depth > bool 2",
    "3 < depth",
    "3 < bool depth",
    "depth == 1",
    "depth != 1",
    "depth >= 0",
    "-depth ^ 2 % 7",
    "depth / 0",
    "(depth - 1) * 2 + 10 / 4",
    "1 - depth",
    "vector(1) > 0",
    "vector(time() % 3600)",
    "scalar(sum(requests_total)) + vector(1)",
    "abs(depth)",
    "ceil(depth)",
    "floor(depth)",
    "round(depth, 0.5)",
    "exp(depth)",
    "ln(depth)",
    "log2(depth)",
    "log10(depth)",
    "sqrt(depth)",
    "sgn(depth)",
    "clamp(depth, -2, 3)",
    "clamp_min(depth, 1)",
    "clamp_max(depth, 1)",
    "hour()",
    "day_of_week() + minute() * 100 + day_of_month() * 1000 + month() * 1e6 + year() * 1e8 + days_in_month()",
    "time() - timestamp(requests_total)",
    'label_replace(depth, "place", "$1-${1}", "instance", "(a|b)")',
    'label_join(depth, "both", "/", "instance", "zone")',
    "depth and hour() >= 0",
    "requests_total > 100 and on () hour() > 1",
    "sum(increase(requests_total[1h])) > 10 * sum(increase(requests_total[5m]))",
)
"""Each is evaluated at MOMENTS_S."""

RULE_FILES = sorted((Path(__file__).parent / "rule_files").glob("*.yml"))
RECORD_START = datetime(2026, 3, 2, tzinfo=UTC)
RECORD_MINUTES = 18 * 60
START_US = round(RECORD_START.timestamp() * 1e6)
END_US = START_US + RECORD_MINUTES * 60_000_000
CHECKED_MINUTES = range(5, RECORD_MINUTES, 7)
"""Minutes of the record, half a minute after which it is compared which alerts fire."""


def turns() -> pa.Table:
    """18 hours: from hour 8 every fifth turn fails, 10 to 11 are slow, 12 to 13 at length and then short, 15 to 16 silent."""
    rows = [_turn(number) for number in range(RECORD_MINUTES) if number // 60 != 15]
    return pa.Table.from_pylist(rows, schema=TURNS)


def _turn(number: int) -> dict[str, object]:
    hour, odd = number // 60, number * 7919 % 101
    failed = (hour == 8 and odd % 5 == 0) or number == 200
    error = ("429 Too Many Requests" if odd % 2 else "upstream timed out") if failed else None
    latency_ms = (4000.0 if hour == 10 else 600.0) + 11.0 * odd
    return {
        "turn_id": f"t{number}",
        "session_id": f"s{number}",
        "time": RECORD_START + timedelta(minutes=number, seconds=odd % 50),
        "output": "fine",
        "tool_calls": [{"name": "lookup", "arguments": "", "result": "", "error": None}],
        "finish_reason": "stop",
        "error": error,
        "latency_ms": latency_ms,
        "input_tokens": 100 + odd,
        "output_tokens": (90 if hour == 12 else 5 if hour == 13 else 20) + odd % 7,
        "model": "small" if odd % 3 else "large",
    }
