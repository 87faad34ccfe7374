"""Measuring a batch with every signal: a signal that fails yields NaN and is counted, the others go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from unquiet.model.signals import (
    CategorySignal,
    FloatArray,
    SessionBatch,
    SessionCategorySignal,
    SessionSignal,
    TurnBatch,
    TurnSignal,
)

T = TypeVar("T")

FAILED = "measuring:failed"
"""Under this name a batch's memo has True once a signal failed on it."""


def measure_turns_with(
    batch: TurnBatch, signals: Sequence[TurnSignal], categories: Sequence[CategorySignal]
) -> tuple[dict[str, FloatArray], dict[str, pa.ListArray], dict[str, int]]:
    """The readings of `signals` and the labels of `categories` on a batch, and how many turns each failed on.

    Readings have shape (len(batch),), NaN where unknown; labels are list<string> of the same length.
    """
    failures: dict[str, int] = {}
    rows = len(batch)
    labels = {
        each.info.name: _attempt(
            each.info.name,
            failures,
            rows,
            lambda e=each: e.labels(batch),
            lambda: pa.nulls(rows, pa.list_(pa.string())),
        )
        for each in categories
    }
    readings: dict[str, FloatArray] = {}
    for each in signals:
        _note(batch, failures)
        readings[each.info.name] = _attempt(
            each.info.name, failures, rows, lambda e=each: e.measure(batch), lambda: np.full(rows, np.nan)
        )
    _note(batch, failures)
    return readings, labels, failures


def _note(batch: TurnBatch, failures: dict[str, int]) -> None:
    """Remember with the batch that a signal failed on it."""
    batch.memo[FAILED] = bool(failures) or bool(batch.memo.get(FAILED))


def measure_sessions_with(
    sessions: SessionBatch, signals: Sequence[SessionSignal]
) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """The readings of `signals` on whole sessions, shape (len(sessions),), and how many each failed on."""
    failures: dict[str, int] = {}
    rows = len(sessions)
    readings = {
        each.info.name: _attempt(
            each.info.name, failures, rows, lambda e=each: e.measure(sessions), lambda: np.full(rows, np.nan)
        )
        for each in signals
    }
    _note(sessions.turns, failures)
    return readings, failures


def label_sessions_with(
    sessions: SessionBatch, categories: Sequence[SessionCategorySignal]
) -> tuple[dict[str, pa.ListArray], dict[str, int]]:
    """The labels of `categories` on whole sessions, list<string> each, and how many each failed on."""
    failures: dict[str, int] = {}
    rows = len(sessions)
    labels = {
        each.info.name: _attempt(
            each.info.name,
            failures,
            rows,
            lambda e=each: e.labels(sessions),
            lambda: pa.nulls(rows, pa.list_(pa.string())),
        )
        for each in categories
    }
    _note(sessions.turns, failures)
    return labels, failures


def _attempt(name: str, failures: dict[str, int], rows: int, work: Callable[[], T], missing: Callable[[], T]) -> T:
    """`work()`, or `missing()` with the failure counted: one broken signal must not blind the others."""
    try:
        return work()
    except Exception:  # noqa: BLE001 - counted under the signal's name and returned to the caller
        failures[name] = failures.get(name, 0) + rows
        return missing()
