"""The coverage map of a folder: what production asks, and which of it the eval cases touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet import intents
from unquiet.app.describing import iso
from unquiet.app.eval_cases import Cases, Values, gather_cases, twins
from unquiet.app.green import NO_EVALS, NO_INPUTS, shortened
from unquiet.app.green_traffic import Around, load_period
from unquiet.gap.coverage import UNTOLD, Coverage, cover, most_adding
from unquiet.gap.green import path_name
from unquiet.intents import IntentModel
from unquiet.model.errors import UnquietError
from unquiet.pipeline.plan import INTENT_NAME, REQUEST
from unquiet.privacy import Redactor
from unquiet.privacy.patterns import NAMES
from unquiet.store import Store

IntArray = npt.NDArray[np.int64]

SCHEMA = "unquiet.coverage/1"
PERIOD = timedelta(days=28)
ADDED = 10
MOST_CELLS = 120
MOST_VALUES = 20
CARRIED = 0.5
"""A facet says what was asked if at least this share of the sessions carries it."""

UNNAMED = "(none)"


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """The kind of each of n requests, the names of the kinds, and the facet that tells it; None where it was made of the text."""

    code: IntArray
    names: Sequence[str]
    facet: str | None


def coverage_map(store: Store, extra: Sequence[pa.Table] = (), *, seed: int = 0) -> dict[str, Any]:
    """The coverage of the last 28 days of traffic, as a document of schema `unquiet.coverage/1`.

    `extra` are eval results beside those in the folder.

    Raises:
        UnquietError: no request of the traffic was captured.
    """
    extent = store.turn_extent()
    if extent.first is None or extent.last is None:
        raise UnquietError("the folder holds no traffic. Scan some into it first.")
    start, end = max(extent.first, extent.last - PERIOD), extent.last + timedelta(microseconds=1)
    around = load_period(store, start, end)
    if not len(around.session_ids):
        raise UnquietError(
            "no request was captured in this traffic, so what it asks, and what evals cover of it, is unknown."
        )
    cases = gather_cases([store.evals.read(), *extra])
    twin = twins(store, cases, start, end)
    kinds = kinds_of(around, seed)
    vectors = intents.embed([cases.inputs[i] for i in cases.asked.tolist()])
    told = _told(kinds, cases, twin)
    found = cover(around.vectors, kinds.code, len(kinds.names) + 1, vectors, told)
    note = NO_EVALS if not cases.results.num_rows else NO_INPUTS if not len(cases.asked) else None
    return {
        "schema": SCHEMA,
        "from": iso(round(start.timestamp() * 1e6)),
        "to": iso(round(extent.last.timestamp() * 1e6)),
        "requests": len(around.session_ids),
        "kinds_from": kinds.facet or "clusters of the requests",
        "cases": len(cases.names),
        "cases_with_input": len(cases.asked),
        "note": note,
        "untouched_share": round(1.0 - float(found.touched.mean()), 4),
        "kinds": _kind_rows(store, around, kinds, cases, twin, found),
        "add": _added(around, kinds, cases, vectors, found, seed),
    }


def kinds_of(around: Around, seed: int) -> Kinds:
    """What was asked, by the facet of the traffic that says so, else by clusters of the requests."""
    names = sorted({name for facets in around.facets for name in facets if INTENT_NAME.search(name)})
    for name in names:
        values = [facets.get(name) for facets in around.facets]
        if sum(value is not None for value in values) >= CARRIED * len(values):
            known = sorted({value for value in values if value is not None})
            place = {value: i for i, value in enumerate(known)} | {None: len(known)}
            return Kinds(np.array([place[value] for value in values], np.int64), [*known, UNNAMED], name)
    most = int(min(MOST_CELLS, np.sqrt(len(around.inputs))))
    model = IntentModel.fit(around.vectors, texts=around.inputs, k_coarse=max(most, 1), seed=seed)
    code = model.assign(around.vectors).astype(np.int64)
    labels = [f"{label} ({i})" for i, label in enumerate(model.labels)]
    return Kinds(np.where(code < 0, len(labels), code), [*labels, UNNAMED], None)


def _told(kinds: Kinds, cases: Cases, twin: Sequence[Values]) -> IntArray:
    """The kind of each case with an input where it says it, or requests word for word the same do; else UNTOLD.

    A kind that the traffic does not have is one beyond the last.
    """
    out = np.full(len(cases.asked), UNTOLD, np.int64)
    if kinds.facet is None:
        return out
    place = {name: i for i, name in enumerate(kinds.names)}
    for row, case in enumerate(cases.asked.tolist()):
        values = cases.told[case].get(kinds.facet) or twin[case].get(kinds.facet) or set[str]()
        if len(values) == 1:
            out[row] = place.get(next(iter(values)), len(kinds.names))
    return out


def _kind_rows(
    store: Store, around: Around, kinds: Kinds, cases: Cases, twin: Sequence[Values], found: Coverage
) -> list[dict[str, Any]]:
    """One row a kind of request, those that lack most first."""
    facets = [facet for facet in _slice_facets(store) if facet != kinds.facet]
    order = [int(i) for i in found.order if i < len(kinds.names) and found.requests[i]]
    rows = len(around.session_ids)
    return [
        {
            "kind": kinds.names[i],
            "requests": int(found.requests[i]),
            "share": round(float(found.requests[i] / rows), 4),
            "cases": int(found.cases[i]),
            "untouched_share": round(float(found.untouched_share[i]), 4),
            "missing_cases_share": round(float(found.short[i]), 4),
            "facets": {
                f: _facet_rows(f, np.flatnonzero(kinds.code == i), around, cases, twin, found, i) for f in facets
            },
        }
        for i in order
    ]


def _slice_facets(store: Store) -> list[str]:
    """The facets that traffic is cut by, as `path_name` writes them."""
    coverage = store.get_setting("coverage")
    roles: Mapping[str, str] = coverage.get("facets", {}) if isinstance(coverage, dict) else {}
    return [path_name(facet) for facet, role in roles.items() if role.startswith("slice:") and facet != REQUEST]


def _facet_rows(
    facet: str,
    rows: IntArray,
    around: Around,
    cases: Cases,
    twin: Sequence[Values],
    found: Coverage,
    kind: int,
) -> dict[str, dict[str, Any]]:
    """The commonest values of a facet in a kind: share of its requests, and cases known to ask under them; None: none tells."""
    values = [around.facets[row].get(facet) for row in rows.tolist()]
    own = cases.asked[found.case_kind == kind].tolist()
    known = [cases.told[case].get(facet) or twin[case].get(facet) for case in own]
    told = [each for each in known if each]
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    first = sorted(counts, key=lambda value: (-counts[value], value))[:MOST_VALUES]
    return {
        value: {
            "share": round(counts[value] / len(values), 4),
            "cases": sum(value in each for each in told) if told or not own else None,
        }
        for value in first
    }


def _added(
    around: Around, kinds: Kinds, cases: Cases, vectors: npt.NDArray[np.float32], found: Coverage, seed: int
) -> list[dict[str, Any]]:
    """The requests that would add most as cases."""
    clean = Redactor(NAMES)
    rows, shares = most_adding(around.vectors, kinds.code, found, ADDED, np.random.default_rng(seed))
    index, similarity = intents.nearest(around.vectors[rows], vectors)
    asked = cases.asked
    return [
        {
            "session_id": around.session_ids[row],
            "request": shortened(clean(around.inputs[row].as_py())),
            "kind": kinds.names[int(kinds.code[row])],
            "adds_share": round(float(share), 4),
            "nearest_case": cases.names[int(asked[index[place]])] if len(asked) else None,
            "distance": round(1.0 - float(similarity[place]), 4) if len(asked) else None,
        }
        for place, (row, share) in enumerate(zip(rows.tolist(), shares, strict=True))
    ]
