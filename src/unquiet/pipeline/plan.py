"""What is decided once, from the learning period: facets, slices, strata, thresholds, kinds of request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.counts import Event, event_matrix, number_shifts, plan_events
from unquiet.detectors import Watch
from unquiet.incidents import Streams
from unquiet.intents import NO_TEXT, NOVEL, IntentModel, Outlook
from unquiet.model.settings import Settings
from unquiet.model.signals import FloatArray, SignalInfo
from unquiet.model.slices import FacetRole
from unquiet.signals.surprisal import ToolPaths
from unquiet.slices import (
    FacetColumn,
    Lattice,
    Newcomers,
    Strata,
    build_lattice,
    choose_strata,
    decide_roles,
    facet_columns,
    support,
)
from unquiet.stats.edetector import BetTables

IntArray = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]

LABELS_THAT_ARE_BEHAVIOUR = ("tools", "tool_mix", "finish_reason", "refusal_level")

SHARED_USER, SHARED_A_DAY = 0.1, 20
DAY_US = 86_400_000_000
WORDS_SHARE, MIX_SHARE = 0.3, 0.02
"""Parts of the budget that the open-world detector and the watch on the mix have; the named signals have the rest."""

LATER_SHARE = 0.1
"""Part of the budget of the named signals kept for slices that turn up after the learning period."""

REQUEST = "request"
INTENT_NAME = re.compile(r"(^|[._-])intent($|[._-])", re.IGNORECASE)
"""The facet made of the text of the request, where the traffic itself has none that says what was asked."""

EXPECTED = "(expected answer)"
"""What a request is usually answered with, as a facet of which strata can be made, but no slices."""

OF_TALK = frozenset({REQUEST, EXPECTED, "resumed"})
"""Facets made of the conversation itself: a new value of them is nothing that somebody deployed."""

NO_CONTENT = "(no content)"
"""What the strata of sessions without text end in."""

NEW_KIND = "(new kind)"
"""The value of REQUEST for requests far from all others. These have nothing in common and are no slice."""


@dataclass(slots=True)
class Plan:
    """The decisions of the learning period.

    `tool_paths` are its steps from tool to tool, counted per fold: what is unusual later is unusual against these. `sliced` are the
    facets that make slices, `shared_users` the user ids that cannot be one person's. `strata_names` grows when new cells are
    met, `lattice` when values turn up that `newcomers` finds to have support.
    """

    roles: tuple[FacetRole, ...]
    lattice: Lattice
    strata: Strata
    events: tuple[Event, ...]
    requests: IntentModel
    outlook: Outlook
    strata_names: dict[str, int]
    newcomers: Newcomers
    sliced: tuple[str, ...]
    tool_paths: tuple[ToolPaths, ...]
    shared_users: frozenset[str] = frozenset()

    def grow(self) -> bool:
        """Make slices of the values that have support by now; whether there were any."""
        new = self.newcomers.ripe()
        self.lattice = self.lattice.grown(new)
        return bool(new)

    def see(self, columns: dict[str, FacetColumn]) -> None:
        """Take note of the values of a batch."""
        known = {each for where in self.lattice.slices for each in where.conditions} | self.lattice.decided
        self.newcomers.see(columns, self.sliced, known)

    def facets(self, visits: pa.Table, vectors: Vectors) -> dict[str, FacetColumn]:
        """All facets of visits, the kind of request among them."""
        columns = facet_columns(visits)
        columns[REQUEST] = request_column(self.requests, vectors)
        columns[EXPECTED] = expected_column(self.outlook.assign(vectors))
        return columns

    def stratum(
        self, columns: dict[str, FacetColumn], visits: pa.Table, apart: Mapping[int, str], bare: npt.NDArray[np.bool_]
    ) -> tuple[list[str], IntArray]:
        """Name and number of each visit's stratum; new numbers follow the known ones. Rows `apart` have the names given.

        Visits that are `bare` of content have numbers of their own: what cannot be read of them is not what was read before
        and is no more, and content that goes off is no change of behaviour.
        """
        names = self.strata.names(columns, started_us(visits), turn_counts(visits))
        for row, name in apart.items():
            names[row] = name
        own = [f"{name} | {NO_CONTENT}" if off else name for name, off in zip(names, bare.tolist(), strict=True)]
        codes = [self.strata_names.setdefault(name, len(self.strata_names)) for name in own]
        return names, np.array(codes, np.int64)


def started_us(visits: pa.Table) -> IntArray:
    """When each visit began, in microseconds since 1970."""
    return visits.column("started").cast(pa.int64()).to_numpy()


def turn_counts(visits: pa.Table) -> IntArray:
    """Turns of each visit."""
    return visits.column("turn_count").to_numpy().astype(np.int64)


def request_column(model: IntentModel, vectors: Vectors) -> FacetColumn:
    """The kind of each request as a facet: named by its words, absent where there was no text."""
    cells = model.assign(vectors).astype(np.int64)
    names = [f"{label} ({i})" for i, label in enumerate(model.labels)]
    codes = np.where(cells == NOVEL, len(names), np.where(cells == NO_TEXT, -1, cells))
    return FacetColumn([*names, NEW_KIND], codes)


def expected_column(groups: IntArray) -> FacetColumn:
    """The groups of an outlook as a facet, absent where there was no text."""
    return FacetColumn([f"expected {i}" for i in range(int(groups.max(initial=-1)) + 1)], groups)


def make_plan(
    visits: pa.Table,
    vectors: Vectors,
    inputs: pa.Array,
    tool_paths: tuple[ToolPaths, ...],
    infos: tuple[SignalInfo, ...],
    settings: Settings,
) -> Plan:
    """Decide everything from the visits of the learning period; `vectors` and `inputs` are their first requests.

    `tool_paths` are what the readings of these visits that need history were held against.
    """
    model = IntentModel.fit(vectors, texts=inputs, seed=settings.seed)
    columns = facet_columns(visits)
    columns[REQUEST] = request_column(model, vectors)
    at = started_us(visits)
    roles = decide_roles(columns, at)
    sliced = [role.facet for role in roles if role.role == "slice"]
    if any(INTENT_NAME.search(facet) for facet in sliced if facet != REQUEST):
        sliced = [facet for facet in sliced if facet != REQUEST]
    rough = plan_events(infos, visits)
    y = event_matrix(rough, visits, ["all"] * visits.num_rows)
    outlook, groups = Outlook.fit(vectors, y, seed=settings.seed)
    columns[EXPECTED] = expected_column(groups)
    strata = choose_strata(columns, [*sliced, EXPECTED], at, turn_counts(visits), y)
    names = strata.names(columns, at, turn_counts(visits))
    events = plan_events(infos, visits, names)
    lattice = _without_new_kind(build_lattice(columns, sliced, visits.num_rows))
    newcomers = Newcomers(support(visits.num_rows))
    days = max(float(at.max() - at.min()) / DAY_US, 1.0)
    shared = shared_users(visits.column("user_id"), days)
    return Plan(tuple(roles), lattice, strata, events, model, outlook, {}, newcomers, tuple(sliced), tool_paths, shared)


def _without_new_kind(lattice: Lattice) -> Lattice:
    """The lattice without slices of requests that are like no other, which never become slices either."""
    odd = (REQUEST, NEW_KIND)
    kept = [i for i, where in enumerate(lattice.slices) if odd not in where.conditions]
    slices, sizes = tuple(lattice.slices[i] for i in kept), tuple(lattice.sizes[i] for i in kept)
    return Lattice(slices, len(slices), lattice.decided | {odd}, sizes)


def shared_users(users: pa.ChunkedArray, days: float) -> frozenset[str]:
    """Ids that stand for many people ("anonymous", a service account), of the sessions of some days.

    These have more than SHARED_USER of all sessions and more than SHARED_A_DAY sessions a day. They count as sessions of
    unknown users; as one person's, all but a few a day would not count at all.
    """
    counts = pc.value_counts(users.drop_null().combine_chunks()).to_pylist()
    least = max(SHARED_USER * len(users), SHARED_A_DAY * days)
    return frozenset(row["values"] for row in counts if row["counts"] > least)


def budget_shares(lattice: Lattice, settings: Settings) -> FloatArray:
    """Each slice's share of the budget of the named signals, per day.

    A tenth is kept for slices that turn up later: the k-th of them has 6 / (pi k)^2 of it, whose sum never exceeds it.
    Of the rest one half belongs to all traffic and single facets, the other to the pairs. Within a half the share grows with
    the root of a slice's traffic: a change in a large one reaches more people, and its evidence comes sooner.
    """
    planned, total = lattice.planned_count, len(lattice.slices)
    single = lattice.single[:planned]
    size = np.sqrt(np.maximum(lattice.sizes, 1))
    named = settings.budget_per_day * (1.0 - WORDS_SHARE - MIX_SHARE)
    later = LATER_SHARE * named
    half = (named - later) * (0.5 if (~single).any() else 1.0)
    share = np.zeros(total)
    for part in (single, ~single):
        share[:planned][part] = half * size[part] / size[part].sum()
    share[planned:] = later * 6.0 / (np.pi * np.arange(1, total - planned + 1)) ** 2
    return share


def event_weights(events: Sequence[Event], shifts: Sequence[tuple[int, int, int]]) -> FloatArray:
    """How the streams of a slice share its budget, (events + shifts,), sum 1: each signal the same, its events alike."""
    signals = [event.signal for event in events]
    signals += [signals[middle] for _, middle, _ in shifts]
    _, signal, count = np.unique(signals, return_inverse=True, return_counts=True)
    return 1.0 / (count[signal] * len(count))


def watch_of(plan: Plan, tables: BetTables, settings: Settings) -> Watch:
    """A watch over the streams of a plan that has seen nothing yet."""
    shifts = number_shifts(plan.events)
    weight = event_weights(plan.events, shifts) * (len(plan.events) + len(shifts))
    share = budget_shares(plan.lattice, settings) / len(weight)
    return Watch(share, len(plan.events), tables, settings.delta, shifts, weight, together=True)


def streams_of(plan: Plan, infos: tuple[SignalInfo, ...], words: tuple[str, ...] = ()) -> Streams:
    """What the indices of alarms mean; flags, scores and tool labels are behaviours, numbers only measure them.

    `words` are the events of the open-world detector, each a signal of its own.
    """
    kinds = {info.name: info.kind for info in infos}
    behaviours = [kinds[e.signal] in ("flag", "score") or e.signal in LABELS_THAT_ARE_BEHAVIOUR for e in plan.events]
    return Streams(
        plan.lattice.slices,
        (*(event.name for event in plan.events), *words),
        (*(event.signal for event in plan.events), *words),
        np.array([*behaviours, *(False for _ in words)], bool),
        np.array([*(False for _ in behaviours), *(True for _ in words)], bool),
    )
