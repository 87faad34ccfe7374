"""Whom a failure meets: sessions drawn by share, slice, condition and shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.drills import Dose
from unquiet.model.slices import Slice

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MOST_VALUES = 60
"""A facet with more values than this is an id, not something to fail by."""


def sessions_of(turns: pa.Table) -> tuple[IntArray, IntArray, IntArray]:
    """Session number of every turn, (n,); time of the first turn of every session in microseconds and its row, (sessions,)."""
    codes = turns.column("session_id").combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    at = turns.column("time").cast(pa.int64()).to_numpy()
    order = np.lexsort((at, codes))
    firsts = order[np.searchsorted(codes[order], np.arange(codes.max() + 1))] if len(codes) else np.zeros(0, np.int64)
    return codes, at[firsts], firsts


def facet_values(turns: pa.Table, facet: str) -> npt.NDArray[np.object_]:
    """The value of a facet of every turn, None where it has none."""
    return pc.map_lookup(turns.column("facets"), facet, "first").to_numpy(zero_copy_only=False)


def choose_slice(turns: pa.Table, share: float, rng: np.random.Generator) -> Slice:
    """A facet value whose share of the sessions is near `share`, drawn among the nearest three.

    All traffic where no facet has a value from half to twice as large.
    """
    _, _, firsts = sessions_of(turns)
    rows = turns.select(["facets"]).take(pa.array(firsts))
    names = pc.unique(pa.chunked_array(rows.column("facets").combine_chunks().keys)).to_pylist() if len(firsts) else []
    found: list[tuple[float, str, str]] = []
    for facet in sorted(names):
        values, counts = np.unique([v for v in facet_values(rows, facet) if v is not None], return_counts=True)
        if 1 < len(values) <= MOST_VALUES:
            near = [(abs(np.log(n / len(firsts) / share)), facet, str(v)) for v, n in zip(values, counts, strict=True)]
            found += [each for each in near if each[0] <= np.log(2)]
    nearest = sorted(found)[:3]
    return Slice(((nearest[pick := int(rng.integers(len(nearest)))][1], nearest[pick][2]),)) if nearest else Slice()


def _long_input(turns: pa.Table) -> BoolArray:
    lengths = pc.fill_null(pc.utf8_length(turns.column("input")), 0).to_numpy()
    return lengths >= np.quantile(lengths, 0.9) if len(lengths) else np.zeros(0, bool)


def _several_turns(turns: pa.Table) -> BoolArray:
    codes, _, _ = sessions_of(turns)
    return np.bincount(codes)[codes] > 1 if len(codes) else np.zeros(0, bool)


def _with_tools(turns: pa.Table) -> BoolArray:
    return pc.greater(pc.fill_null(pc.list_value_length(turns.column("tool_calls")), 0), 0).to_numpy()


CONDITIONS: Mapping[str, Callable[[pa.Table], BoolArray]] = {
    "long input": _long_input,
    "several turns": _several_turns,
    "with tools": _with_tools,
}
"""Further conditions: turns, (n,) -> which of them bring their session into reach."""


def reach(turns: pa.Table, where: Slice, condition: str | None) -> BoolArray:
    """The sessions that a failure can meet, by slice and condition, (sessions,) in the order of `sessions_of`."""
    codes, _, firsts = sessions_of(turns)
    inside = CONDITIONS[condition](turns) if condition else np.ones(len(codes), bool)
    found = np.zeros(len(firsts), bool)
    found[codes[inside]] = True
    if where.conditions and len(firsts):
        first_turns = turns.take(pa.array(firsts))
        for facet, value in where.conditions:
            found &= facet_values(first_turns, facet) == value
    return found


def touched(turns: pa.Table, onset_us: int, where: Slice, dose: Dose, rng: np.random.Generator) -> BoolArray:
    """The turns of the sessions that the failure meets, (n,). A session is met as a whole, or not at all.

    Only sessions that begin at the onset or later. With a dose of 0 nobody is met, and the same seed meets more with more.
    """
    if not turns.num_rows:
        return np.zeros(0, bool)
    codes, started_us, firsts = sessions_of(turns)
    luck = rng.random(len(firsts))
    if dose.sticky:
        users = turns.column("user_id").take(pa.array(firsts)).combine_chunks().dictionary_encode().indices
        of_user = users.to_numpy(zero_copy_only=False).astype(float)
        known = ~np.isnan(of_user)
        luck[known] = rng.random(len(firsts))[of_user[known].astype(np.int64)]
    part = dose.share * dose_at(dose, started_us - onset_us)
    return (reach(turns, where, dose.condition) & (started_us >= onset_us) & (luck < part))[codes]


def dose_at(dose: Dose, age_us: IntArray) -> npt.NDArray[np.float64]:
    """The part of the dose at so many microseconds after the onset, (n,) in [0, 1]."""
    on = np.ones(len(age_us)) if dose.lasts_hours is None else (age_us < dose.lasts_hours * HOUR_US).astype(float)
    if dose.shape == "ramp":
        return on * np.clip(age_us / (dose.ramp_days * DAY_US), 0.0, 1.0)
    if dose.shape == "flicker":
        return on * (age_us // HOUR_US % 2 == 0)
    return on
