"""Every turn of a folder measured by one signal: how many there are to choose labels from, and which come first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet import signals
from unquiet.app.replaying import steps
from unquiet.labelling.strata import Stratum, ranks, strata_of, stratum_index
from unquiet.model.errors import ConfigError, UnquietError
from unquiet.model.labels import Frame
from unquiet.model.signals import FloatArray, TurnBatch, TurnSignal
from unquiet.model.slices import Slice
from unquiet.signals.measuring import measure_turns_with
from unquiet.store import Store

LANGUAGE = "answer_language"
"""The group of a turn by the language of its answer; a facet may have another name for the user's."""

LEAST_SHARE = 0.01
MOST_GROUPS = 40
"""Groups of turns are counted if they hold this share of the turns; at most so many of them, the largest."""

Progress = Callable[[str, float], None]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A turn that can be asked about: where it is, what the signal says of it, and its place in the order."""

    turn_id: str
    session_id: str
    time: datetime
    score: float
    stratum: int
    groups: tuple[str, ...]
    rank: float


@dataclass(frozen=True, slots=True)
class Survey:
    """The frame, the first candidates of each stratum in order, and all turns that were asked for by id."""

    frame: Frame
    strata: tuple[Stratum, ...]
    queues: list[list[Candidate]]
    wanted: dict[str, Candidate]


@dataclass(slots=True)
class _Tally:
    """What is gathered on the way."""

    strata: IntArray
    groups: dict[str, IntArray]
    queues: list[list[Candidate]]
    wanted: dict[str, Candidate] = field(default_factory=dict[str, Candidate])
    beyond: int = 0
    failed: int = 0


def labelled_signal(name: str) -> TurnSignal:
    """The signal of this name, if it asks yes or no of a turn.

    Raises:
        ConfigError: there is none.
    """
    allowed = {signal.info.name: signal for signal in signals.TURN_SIGNALS if signal.info.kind in ("flag", "score")}
    if name not in allowed:
        raise ConfigError(
            f"{name}: no signal that says yes or no of a turn. Expected one of {', '.join(sorted(allowed))}."
        )
    return allowed[name]


def survey(
    store: Store,
    signal: TurnSignal,
    where: Slice,
    *,
    seed: int,
    keep: int,
    wanted: Collection[str],
    progress: Progress,
) -> Survey:
    """Measure the turns of a slice, and keep the first `keep` of each stratum, and those that are `wanted`.

    Raises:
        UnquietError: there is no such turn, or the signal failed.
    """
    info, strata = signal.info, strata_of(signal.info)
    tally = _Tally(np.zeros(len(strata), np.int64), defaultdict(lambda: np.zeros(len(strata), np.int64)), [])
    tally.queues = [[] for _ in strata]
    extent, days = store.turn_extent(), store.turns_per_day()
    facets = _slice_facets(store)
    for number, (day, count) in enumerate(days):
        progress(f"measuring {day:%d %b %Y}", number / len(days))
        for begin, end in steps(day, count):
            turns = _within(store.turns_between(begin, end), where)
            if turns.num_rows:
                _add(tally, turns, signal, where, facets, seed=seed, keep=keep, wanted=wanted)
    progress("measuring", 1.0)
    _check(tally, store, signal, where)
    total = int(tally.strata.sum())
    groups = sorted(tally.groups.items(), key=lambda item: (-int(item[1].sum()), item[0]))
    counted = [(name, counts) for name, counts in groups if counts.sum() >= LEAST_SHARE * total][:MOST_GROUPS]
    frame = Frame(
        info.name,
        info.version,
        where.name,
        _by_name(strata, tally.strata),
        {name: _by_name(strata, counts) for name, counts in counted},
        tally.beyond,
        extent.count,
    )
    return Survey(frame, strata, tally.queues, tally.wanted)


def _by_name(strata: Sequence[Stratum], counts: IntArray) -> dict[str, int]:
    return {stratum.name: int(count) for stratum, count in zip(strata, counts, strict=True)}


def _slice_facets(store: Store) -> tuple[str, ...]:
    """The facets that traffic is cut by; none before a scan has come to its end."""
    coverage = store.get_setting("coverage")
    roles: dict[str, str] = coverage.get("facets", {}) if isinstance(coverage, dict) else {}
    return tuple(facet for facet, role in roles.items() if role.startswith("slice:"))


def _within(turns: pa.Table, where: Slice) -> pa.Table:
    """The turns whose facets are those of the slice; the language of the answer has to be measured first."""
    for facet, value in where.conditions:
        if facet != LANGUAGE:
            turns = turns.filter(pc.fill_null(pc.equal(_facet(turns, facet), value), fill_value=False))
    return turns


def _facet(turns: pa.Table, facet: str) -> Any:
    return pc.map_lookup(turns.column("facets").combine_chunks(), pa.scalar(facet), "first")


def _add(
    tally: _Tally,
    turns: pa.Table,
    signal: TurnSignal,
    where: Slice,
    facets: Sequence[str],
    *,
    seed: int,
    keep: int,
    wanted: Collection[str],
) -> None:
    scores, languages = _measured(tally, turns, signal)
    asked = dict(where.conditions).get(LANGUAGE)
    if asked is not None:
        inside = np.flatnonzero(languages == asked)
        turns, scores, languages = turns.take(pa.array(inside)), scores[inside], languages[inside]
    stratum = stratum_index(scores, strata_of(signal.info))
    tally.beyond += int((stratum < 0).sum())
    groups: list[npt.NDArray[np.object_]] = [_named(LANGUAGE, languages)]
    groups += [_named(facet, _facet(turns, facet).to_numpy(zero_copy_only=False)) for facet in facets]
    _count(tally, stratum, groups)
    turn_ids: list[str] = turns.column("turn_id").to_pylist()
    rank = ranks(turn_ids, signal.info.name, seed)
    chosen = _first(tally, stratum, rank, keep)
    known = np.array([i for i, turn_id in enumerate(turn_ids) if turn_id in wanted], np.int64) if wanted else chosen[:0]
    rows = np.union1d(chosen, known)
    head = turns.select(["turn_id", "session_id", "time"]).take(pa.array(rows)).to_pylist()
    for row, index in zip(head, rows.tolist(), strict=True):
        own = tuple(name for name in (column[index] for column in groups) if isinstance(name, str))
        candidate = Candidate(
            **row, score=float(scores[index]), stratum=int(stratum[index]), groups=own, rank=float(rank[index])
        )
        if candidate.turn_id in wanted:
            tally.wanted[candidate.turn_id] = candidate
        if candidate.stratum >= 0:
            tally.queues[candidate.stratum].append(candidate)
    for queue in tally.queues:
        queue.sort(key=lambda each: (each.rank, each.turn_id))
        del queue[keep:]


def _measured(tally: _Tally, turns: pa.Table, signal: TurnSignal) -> tuple[FloatArray, npt.NDArray[np.object_]]:
    """Scores and languages of the answers, each (n,); None where there is no answer."""
    language = next(each for each in signals.CATEGORY_SIGNALS if each.info.name == "language")
    readings, labels, failures = measure_turns_with(TurnBatch(turns.combine_chunks()), (signal,), (language,))
    tally.failed += failures.get(signal.info.name, 0)
    spoken = labels["language"]
    first = pc.if_else(pc.greater(pc.fill_null(pc.list_value_length(spoken), 0), 0), spoken, None)
    return readings[signal.info.name], pc.list_element(first, 0).to_numpy(zero_copy_only=False)


def _named(facet: str, values: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    return np.array([None if value is None else f"{facet}={value}" for value in values], object)


def _count(tally: _Tally, stratum: IntArray, groups: Sequence[npt.NDArray[np.object_]]) -> None:
    size = len(tally.strata)
    tally.strata += np.bincount(stratum[stratum >= 0], minlength=size)
    for column in groups:
        counted = (stratum >= 0) & (column != None)  # noqa: E711 - element by element
        names, place = np.unique(column[counted].astype(str), return_inverse=True)
        cells = np.bincount(place * size + stratum[counted], minlength=len(names) * size).reshape(len(names), size)
        for name, row in zip(names.tolist(), cells, strict=True):
            tally.groups[name] = tally.groups[name] + row


def _first(tally: _Tally, stratum: IntArray, rank: FloatArray, keep: int) -> IntArray:
    """The rows that may be among the first `keep` of their stratum."""
    chosen = [np.zeros(0, np.int64)]
    for index, queue in enumerate(tally.queues):
        rows = np.flatnonzero(stratum == index)
        if len(queue) >= keep > 0:
            rows = rows[rank[rows] <= queue[-1].rank]
        chosen.append(rows[np.argsort(rank[rows], kind="stable")[:keep]])
    return np.sort(np.concatenate(chosen))


def _check(tally: _Tally, store: Store, signal: TurnSignal, where: Slice) -> None:
    name = signal.info.name
    if tally.failed:
        raise UnquietError(
            f"{name} failed on {tally.failed} turns, so nothing can be said of it. Please report it, with a turn."
        )
    if tally.strata.sum() or tally.beyond:
        if not tally.strata.sum():
            needs = ", ".join(signal.info.needs)
            raise UnquietError(
                f"{name} applies to none of the {tally.beyond} turns of {where.name}: it needs {needs}, in a language that "
                "it reads. Look at `unquiet status`, or label another signal."
            )
        return
    if not store.turn_extent().count:
        raise UnquietError("there is no turn in this folder. Run `unquiet scan PATH` first, or name another with --db.")
    raise ConfigError(f"--slice: no turn has {where.name}. {_known_values(store, where)}")


def _known_values(store: Store, where: Slice) -> str:
    """What the facets of a slice that holds no turn could have been."""
    if any(facet == LANGUAGE for facet, _ in where.conditions):
        return f"{LANGUAGE} is the code of the answer's language, such as {LANGUAGE}=de."
    names: set[str] = set()
    values: dict[str, set[str]] = {facet: set() for facet, _ in where.conditions}
    for day, count in store.turns_per_day():
        for begin, end in steps(day, count):
            facets = store.turns_between(begin, end, columns=["facets"])
            for pairs in facets.column("facets").to_pylist():
                names.update(name for name, _ in pairs or ())
                for name, value in pairs or ():
                    if name in values:
                        values[name].add(value)
    said = [
        f"{facet} has {', '.join(sorted(found)[:20])}{' ...' if len(found) > 20 else ''}"
        for facet, found in values.items()
        if found
    ]
    return f"Facets: {', '.join(sorted(names)[:30]) or 'none'}{'; ' if said else ''}{'; '.join(said)}. Name a facet and its value."
