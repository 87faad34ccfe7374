"""Every signal of the catalogue is moved by a drill, or is listed with the reason why none moves it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from test_drills import before, turn
from unquiet.app.rehearsing import injected
from unquiet.drills import FAILURES, UNDRILLED
from unquiet.model.drills import Before, Failure
from unquiet.model.sessions import CATEGORY_PREFIX, SIGNAL_PREFIX
from unquiet.model.turns import TURNS
from unquiet.pipeline.measuring import FOREVER_US, Measured, measure, signal_infos
from unquiet.sessions import Assembler
from unquiet.signals.surprisal import count_folds

__all__ = ["before"]

LEAST = 0.05
"""Of the known numbers of a signal at least so large a part must be others (Kolmogorov distance), of its labels as well."""


def distance(old: pa.Table, new: pa.Table, name: str) -> float:
    if SIGNAL_PREFIX + name in old.column_names:
        columns = [each.column(SIGNAL_PREFIX + name).to_numpy() for each in (old, new)]
        a, b = (np.sort(each[~np.isnan(each)]) for each in columns)
        at = np.concatenate([a, b])
        parts = [np.searchsorted(each, at, side="right") / len(each) for each in (a, b) if len(each)]
        return float(np.abs(parts[0] - parts[1]).max()) if len(parts) == 2 else 0.0
    labels = [
        Counter(each.column(CATEGORY_PREFIX + name).combine_chunks().flatten().to_pylist()) for each in (old, new)
    ]
    shares = [{key: n / max(each.total(), 1) for key, n in each.items()} for each in labels]
    return (
        sum(abs(shares[0].get(key, 0.0) - shares[1].get(key, 0.0)) for key in shares[0].keys() | shares[1].keys()) / 2
    )


@pytest.fixture(scope="module")
def turns() -> pa.Table:
    """Sessions of four turns: long enough to ask back in a row."""
    return pa.Table.from_pylist([turn(number, 200.0, 4) for number in range(1200)], schema=TURNS)


def measured(turns: pa.Table) -> Measured:
    return measure(Assembler().push(turns, FOREVER_US))


@pytest.fixture(scope="module")
def moved(turns: pa.Table, before: Before) -> dict[str, list[str]]:
    """Signal -> the failures that move it when they meet everybody."""
    everybody = np.ones(turns.num_rows, bool)
    known = count_folds(measured(turns).steps)
    old = measured(turns).scored(known, 0).visits
    found: dict[str, list[str]] = {info.name: [] for info in signal_infos()}
    for failure in FAILURES:
        changed = injected(turns, everybody, failure, before, np.random.default_rng(1))
        new = measured(changed).scored(known, 0).visits
        for name, by in found.items():
            if not failure.control and distance(old, new, name) >= LEAST:
                by.append(failure.name)
    return found


def test_every_signal_is_moved_by_a_drill_or_listed(moved: dict[str, list[str]]) -> None:
    assert {name for name, by in moved.items() if not by} == set(UNDRILLED)


def test_what_is_said_not_to_be_drilled_has_a_reason() -> None:
    assert all(len(reason.split()) >= 5 for reason in UNDRILLED.values())


@pytest.mark.parametrize("failure", [each for each in FAILURES if not each.control], ids=lambda each: each.name)
def test_a_failure_moves_what_it_says_it_moves(failure: Failure, moved: dict[str, list[str]]) -> None:
    signals = [name for name in failure.signals if name in moved]
    assert not signals or any(failure.name in moved[name] for name in signals)
