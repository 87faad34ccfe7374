"""Their eval suite: would a case have got an answer that the failure changed?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet import intents
from unquiet.app.eval_cases import gather_cases
from unquiet.app.watchers.watching import Heard, Record, Replay, Watch
from unquiet.gap.dashboards import DAY_US
from unquiet.model.evals import PASSED

ANSWER = ("output", "tool_calls", "finish_reason", "error")
FEW = 0.1
SAMPLE = 500
"""Of so many requests it is looked how near they are to each other; what all but this share keep is near enough for a case."""


class Evals:
    """Rings after a day on which a case would have met the failure."""

    name = "evals"
    says = (
        "your eval suite, taken to run at the end of each day: a case that passed last gets the answer that the most similar "
        "request of the day got, if it is as similar as nine of ten requests are to others, and fails if the failure "
        "changed that answer; this is more than most suites see, which do not ask under the conditions of production"
    )

    def over(self, record: Record) -> Watch | str:
        """The most similar request of each day to each case."""
        if record.kit.evals is None or not record.kit.evals.num_rows:
            return "no eval results are known (--evals PATH, or `unquiet evals PATH`)"
        cases = gather_cases([record.kit.evals])
        status = cases.results.column("status").to_pylist()
        passed = {int(case): each == PASSED for case, each in zip(cases.case, status, strict=True)}
        asked = [int(case) for case in cases.asked if passed.get(case)]
        if not asked:
            return "no case of the eval results tells its request and passed last"
        vectors = intents.embed([cases.inputs[case] for case in asked])
        least = _least_similarity(record)
        days = {day: _nearest(record, day, vectors, least) for day in range(record.start_us, record.end_us, DAY_US)}
        return _Suite(days, [cases.names[case] for case in asked])


@dataclass(frozen=True, slots=True)
class _Suite:
    """By day (its beginning), the turn that is nearest to each case, None where none is near."""

    days: Mapping[int, Sequence[str | None]]
    names: Sequence[str]

    def heard(self, replay: Replay) -> Heard:
        harmed = replay.was.filter(pa.array(replay.harmed))
        rang: dict[str, list[int]] = {name: [] for name in self.names}
        for day_us, turns in self.days.items():
            if not replay.start_us <= day_us <= replay.horizon_us - DAY_US or not harmed.num_rows:
                continue
            changed = _changed(harmed, replay.turns, {turn for turn in turns if turn is not None})
            for name, turn in zip(self.names, turns, strict=True):
                if turn in changed:
                    rang[name].append(day_us + DAY_US)
        return {name: np.unique(np.array(moments, np.int64)) for name, moments in rang.items()}


def _changed(harmed: pa.Table, now: pa.Table, turns: set[str]) -> set[str]:
    """Those of some turns whose answer the failure changed."""
    wanted = pa.array(sorted(turns), pa.string())
    sides: list[dict[str, object]] = []
    for table in (harmed, now):
        rows = table.filter(pc.is_in(table.column("turn_id"), value_set=wanted)).select(["turn_id", *ANSWER])
        sides.append({row.pop("turn_id"): row for row in rows.to_pylist()})
    was, since = sides
    return {turn for turn, answer in was.items() if turn in since and since[turn] != answer}


def _nearest(record: Record, day_us: int, cases: npt.NDArray[np.float32], least: float) -> list[str | None]:
    low, high = np.searchsorted(record.at, [day_us, day_us + DAY_US]).tolist()
    rows = record.turns.slice(low, high - low)
    index, similarity = intents.nearest(cases, intents.embed(rows.column("input")))
    turns = rows.column("turn_id").to_pylist()
    return [
        turns[i] if i >= 0 and s >= least else None for i, s in zip(index.tolist(), similarity.tolist(), strict=True)
    ]


def _least_similarity(record: Record) -> float:
    """How similar all but FEW of the requests are to the one that is most like them, among SAMPLE of different wording."""
    places = np.unique(np.linspace(0, len(record.at) - 1, SAMPLE).astype(np.int64))
    texts = pc.unique(record.turns.column("input").take(pa.array(places)))
    vectors = intents.embed(texts)
    vectors = vectors[vectors.any(axis=1)]
    if len(vectors) < 2:
        return 1.0
    among = vectors @ vectors.T
    np.fill_diagonal(among, -1.0)
    return float(np.quantile(among.max(axis=1), FEW))
