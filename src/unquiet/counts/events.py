"""Events: what a session is counted for.

Every behaviour signal becomes one or more yes-or-no events of a session, because counts add up exactly and a
bounded event has an honest bet (detection.md): a flag is an event; a score one event per level; a number one event
below its baseline's 0.1 quantile and one above each of its 0.5, 0.9 and 0.99 quantiles, taken within the stratum;
a category one event per label that is met often enough, and one for all others, most of which are yet to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.sessions import CATEGORY_PREFIX, SIGNAL_PREFIX
from unquiet.model.signals import FloatArray, SignalInfo

IntArray = npt.NDArray[np.int64]
Answers = npt.NDArray[np.int8]
Labels = tuple[npt.NDArray[np.bool_], IntArray, IntArray, list[str]]
"""Of one category: which visits it applies to, visit and code of every label, and the labels by code."""

LEVELS = (0.25, 0.5, 0.75)
QUANTILES = (("below", 0.1), ("above", 0.5), ("above", 0.9), ("above", 0.99))
MOST_LABELS = 20
LABEL_SUPPORT = 5
OTHER = "(other)"
"""What the label of an event is that stands for all labels without one of their own."""

QUANTILE_SUPPORT = 100
"""Sessions of a stratum that its own quantiles need; smaller strata use those of all traffic."""


@dataclass(frozen=True, slots=True)
class Event:
    """One yes-or-no question about a session.

    `test` is `flag`, `level`, `below`, `above`, `label` or `other` (any label without an event of its own); `level` its
    threshold as a quantile or score; `label` the label.
    `overall` is the threshold on all traffic, `by_stratum` those of the strata that had enough sessions.
    """

    signal: str
    test: str
    level: float = 0.0
    label: str = ""
    overall: float = 0.0
    by_stratum: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """Stable name: `signal`, `signal>=0.5`, `signal>q0.9` or `signal:label`."""
        if self.test == "flag":
            return self.signal
        if self.test in ("label", "other"):
            return f"{self.signal}:{self.label}"
        if self.test == "level":
            return f"{self.signal}>={self.level:g}"
        return f"{self.signal}{'<' if self.test == 'below' else '>'}q{self.level:g}"


def plan_events(
    infos: Sequence[SignalInfo], visits: pa.Table, strata: Sequence[str] | None = None
) -> tuple[Event, ...]:
    """Decide the events from the baseline's visits; with `strata` (one name a visit) quantiles are taken within them."""
    events: list[Event] = []
    names = np.array(strata if strata is not None else [], dtype=object)
    for info in infos:
        if not info.alarms:
            continue
        if info.kind == "flag":
            events.append(Event(info.name, "flag"))
        elif info.kind == "score":
            events.extend(Event(info.name, "level", level) for level in LEVELS)
        elif info.kind == "category":
            events.extend(_label_events(info.name, visits))
        else:
            events.extend(_quantile_events(info.name, visits, names))
    return tuple(events)


def number_shifts(events: Sequence[Event]) -> tuple[tuple[int, int, int], ...]:
    """Per number, the places of its events "below the 0.1 quantile", "above the median", "above the 0.9 quantile"."""
    places = {(event.signal, event.test, event.level): place for place, event in enumerate(events)}
    return tuple(
        (places[event.signal, "below", 0.1], place, places[event.signal, "above", 0.9])
        for place, event in enumerate(events)
        if event.test == "above" and event.level == 0.5
    )


def _label_events(signal: str, visits: pa.Table) -> list[Event]:
    column = CATEGORY_PREFIX + signal
    if column not in visits.column_names:
        return []
    counts = pc.value_counts(pc.list_flatten(visits.column(column).combine_chunks())).to_pylist()
    ranked = sorted((-row["counts"], row["values"]) for row in counts if row["counts"] >= LABEL_SUPPORT)
    own = [Event(signal, "label", label=label) for _, label in ranked[:MOST_LABELS]]
    return [*own, Event(signal, "other", label=OTHER)] if own else []


def _quantile_events(signal: str, visits: pa.Table, strata: npt.NDArray[np.object_]) -> list[Event]:
    column = SIGNAL_PREFIX + signal
    if column not in visits.column_names:
        return []
    values = _numbers(visits, column)
    known = ~np.isnan(values)
    if known.sum() < QUANTILE_SUPPORT:
        return []
    events: list[Event] = []
    for test, level in QUANTILES:
        overall = float(np.quantile(values[known], level))
        own: list[tuple[str, float]] = []
        for name in sorted(set(strata)):
            inside = values[known & (strata == name)]
            if len(inside) >= QUANTILE_SUPPORT:
                own.append((name, float(np.quantile(inside, level))))
        events.append(Event(signal, test, level, overall=overall, by_stratum=tuple(own)))
    return events


def event_matrix(
    events: Sequence[Event], visits: pa.Table, strata: Sequence[str], *, baseline: bool = False
) -> Answers:
    """Answers of every visit to every event: (visits, events), 1 yes, 0 no, -1 does not apply.

    `baseline` says that the events were planned from these very visits. A label just met often enough for an event of its
    own is then one of the others too: to each of its sessions it would be, had that session come later (leave one out).
    Without it the others would be too few in the baseline, and rare labels more frequent ever after.
    """
    out = np.full((visits.num_rows, len(events)), -1, np.int8)
    labels: dict[str, Labels] = {}
    strata_names, strata_codes = np.unique(np.array(strata, dtype=object), return_inverse=True)
    for j, event in enumerate(events):
        if event.test in ("label", "other"):
            if event.signal not in labels:
                labels[event.signal] = _labels_of(event.signal, visits)
            known, owner, codes, names = labels[event.signal]
            meant = {event.label}
            if event.test == "other":
                count = np.bincount(codes, minlength=len(names))
                meant = set(names) - _planned(events, event, dict(zip(names, count, strict=True)), baseline=baseline)
            hit = np.array([name in meant for name in names], bool)[codes]
            out[:, j] = np.where(known, 0, -1)
            out[owner[hit], j] = 1
            continue
        values = _numbers(visits, SIGNAL_PREFIX + event.signal)
        yes = _answer(event, values, strata_names, strata_codes)
        out[:, j] = np.where(np.isnan(values), -1, yes)
    return out


def _answer(
    event: Event, values: FloatArray, strata_names: npt.NDArray[np.object_], strata_codes: IntArray
) -> npt.NDArray[np.bool_]:
    if event.test == "flag":
        return values > 0
    if event.test == "level":
        return values >= event.level
    own = dict(event.by_stratum)
    threshold = np.array([own.get(name, event.overall) for name in strata_names], dtype=float)[strata_codes]
    return values < threshold if event.test == "below" else values > threshold


def _labels_of(signal: str, visits: pa.Table) -> Labels:
    name = CATEGORY_PREFIX + signal
    if name not in visits.column_names:
        return np.zeros(visits.num_rows, bool), np.zeros(0, np.int64), np.zeros(0, np.int64), []
    lists = visits.column(name).combine_chunks()
    known = lists.is_valid().to_numpy(zero_copy_only=False)
    coded = pc.list_flatten(lists).dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return known, pc.list_parent_indices(lists).to_numpy(), codes, coded.dictionary.to_pylist()


def _planned(events: Sequence[Event], other: Event, count: dict[str, int], *, baseline: bool) -> set[str]:
    """The labels with an event of their own; in the baseline those that have it without any single session."""
    own = {event.label for event in events if event.signal == other.signal and event.test == "label"}
    return {label for label in own if not baseline or count.get(label, 0) > LABEL_SUPPORT}


def _numbers(visits: pa.Table, column: str) -> FloatArray:
    if column not in visits.column_names:
        return np.full(visits.num_rows, np.nan)
    return visits.column(column).combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64)
