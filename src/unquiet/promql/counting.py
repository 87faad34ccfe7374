"""Turns as counters and histograms: how much each series grew in each minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.conventions.metrics import (
    ERROR,
    FINISH,
    METHOD,
    MODEL,
    OPERATION,
    SERVED,
    STATUS,
    TOKEN,
    TOOL,
    Metric,
)
from unquiet.promql.values import FloatArray, IntArray, Labels, labelled

MINUTE_US = 60_000_000
OK, FAILED = "200", "500"
COLUMNS = (
    "time",
    "error",
    "latency_ms",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "model",
    "served_model",
    "finish_reason",
    "tool_calls",
)
"""The columns of TURNS that are counted."""

STATUS_IN_ERROR = r"(?:^|[^0-9])(?P<code>[45][0-9][0-9])(?:[^0-9]|$)"
"""An error that tells its status code, as "429 Too Many Requests" does."""

Growth = Mapping[Labels, FloatArray]
"""By labels, growth in each minute, (M,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """n things that a metric counts: when, how much each adds or measures, and its labels by key, each (n,) as texts."""

    at_us: IntArray
    value: FloatArray
    labels: Mapping[str, pa.Array]


def grown(
    turns: pa.Table, metric: Metric, part: str, names: Mapping[str, Sequence[str]], first: int, minutes: int
) -> Growth:
    """How a part of a metric grew in the `minutes` minutes (since 1970) from the one of number `first` on.

    A turn counts in the minute in which it began. `names` are the names under which each key of a label is written, for all of
    the metric's labels that are.
    """
    events = _events(turns, metric)
    minute = events.at_us // MINUTE_US - first
    inside = (minute >= 0) & (minute < minutes) & np.isfinite(events.value)
    codes, keys = _combinations({key: events.labels[key] for key in names}, inside)
    told = [labelled({name: value for key, value in each.items() for name in names[key]}) for each in keys]
    place, value = codes * minutes + minute[inside], events.value[inside] * metric.per_unit
    if part in ("", "_sum"):
        weights = value if part or metric.counted in ("tokens", "cost") else None
        sums = np.bincount(place, weights=weights, minlength=len(told) * minutes).astype(np.float64)
        return dict(zip(told, sums.reshape(len(told), minutes), strict=True))
    if part == "_count":
        counts = np.bincount(place, minlength=len(told) * minutes).astype(np.float64)
        return dict(zip(told, counts.reshape(len(told), minutes), strict=True))
    size = len(metric.buckets) + 1
    bucket = np.searchsorted(np.array(metric.buckets), value, side="left")
    shape = (len(told), size, minutes)
    flat = (codes * size + bucket) * minutes + minute[inside]
    counts = np.cumsum(np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape), axis=1).astype(np.float64)
    bounds = [*(_written(bound) for bound in metric.buckets), "+Inf"]
    return {
        labelled({**dict(each), "le": bound}): counts[row, column]
        for row, each in enumerate(told)
        for column, bound in enumerate(bounds)
    }


def _written(bound: float) -> str:
    """The upper bound of a bucket as a label, exactly."""
    short = f"{bound:g}"
    return short if float(short) == bound else repr(bound)


def _combinations(labels: Mapping[str, pa.Array], inside: np.ndarray) -> tuple[IntArray, list[dict[str, str]]]:
    """The number of the combination of label values of each event inside, and the combinations."""
    codes = np.zeros(int(inside.sum()), np.int64)
    known: list[tuple[str, list[str]]] = []
    for key, values in labels.items():
        coded = values.filter(pa.array(inside)).dictionary_encode()
        words = coded.dictionary.to_pylist()
        codes = codes * max(len(words), 1) + coded.indices.to_numpy(zero_copy_only=False)
        known.append((key, words))
    found, numbers = np.unique(codes, return_inverse=True)
    combinations: list[dict[str, str]] = []
    for code in found.tolist():
        each: dict[str, str] = {}
        for key, words in reversed(known):
            code, number = divmod(code, max(len(words), 1))
            each[key] = words[number]
        combinations.append(each)
    return numbers.astype(np.int64).ravel(), combinations


def _events(turns: pa.Table, metric: Metric) -> Events:
    at = turns.column("time").cast(pa.int64()).to_numpy()
    rows = np.arange(len(at))
    extra: dict[str, pa.Array] = {}
    if metric.counted in ("tool_calls", "tool_errors"):
        calls = turns.column("tool_calls").combine_chunks()
        rows, flat = pc.list_parent_indices(calls).to_numpy(), pc.list_flatten(calls)
        extra[TOOL] = _texts(pc.struct_field(flat, "name"))
        failed = pc.struct_field(flat, "error").is_valid().to_numpy(zero_copy_only=False)
        value = np.where(failed | (metric.counted == "tool_calls"), 1.0, np.nan)
    elif metric.counted == "tokens":
        parts = [turns.column(name).to_numpy().astype(np.float64) for name in ("input_tokens", "output_tokens")]
        rows, value = np.concatenate([rows, rows]), np.concatenate(parts)
        extra[TOKEN] = pa.array(["input"] * len(at) + ["output"] * len(at), pa.string())
    elif metric.counted == "seconds":
        value = turns.column("latency_ms").to_numpy() / 1000.0
    elif metric.counted == "cost":
        value = turns.column("cost_usd").to_numpy()
    elif metric.counted == "errors":
        value = np.where(turns.column("error").is_valid().to_numpy(), 1.0, np.nan)
    else:
        value = np.ones(len(at))
    own = {key: _label(turns, key) for key in metric.labels if key not in extra}
    if len(rows) != len(at) or metric.counted in ("tool_calls", "tool_errors"):
        own = {key: each.take(pa.array(rows)) for key, each in own.items()}
    return Events(at[rows], value, {**own, **extra})


def _label(turns: pa.Table, key: str) -> pa.Array:
    if key in (MODEL, SERVED, FINISH):
        column = {MODEL: "model", SERVED: "served_model", FINISH: "finish_reason"}[key]
        return _texts(turns.column(column))
    if key in (METHOD, OPERATION):
        return pa.array([{METHOD: "POST", OPERATION: "chat"}[key]] * turns.num_rows, pa.string())
    error = turns.column("error").combine_chunks()
    told = pc.struct_field(pc.extract_regex(error, STATUS_IN_ERROR), "code").cast(pa.string())
    status = pc.if_else(error.is_valid(), pc.fill_null(told, FAILED), OK if key == STATUS else "")
    if key not in (STATUS, ERROR):
        raise ValueError(f"{key}: no such label")
    return status


def _texts(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pc.fill_null(whole.cast(pa.string()), "")
