"""Under which conditions an incident is, and which cases of the suite are under them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet import intents
from unquiet.app.eval_cases import Cases, Values
from unquiet.app.green_traffic import AFFECTED, SINCE, Around
from unquiet.gap.green import NO, UNTOLD, YES, Condition, Place, path_name
from unquiet.gap.near import NEIGHBOURS, Topic, shares
from unquiet.model.signals import TurnBatch
from unquiet.model.turns import TURNS
from unquiet.pipeline.plan import REQUEST
from unquiet.signals.language import UNDETERMINED, languages

Status = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]

MADE_OF_TEXT = (REQUEST,)
"""Facets that unquiet makes of the request itself: they are the topic, not a condition of it."""

CLEAR = 0.8
"""A condition is one of the case if so many of the production requests nearest to it are under it."""

SELDOM = 0.02
"""A case is not under a condition if so few of the requests under it are in the language of the case."""

LEAST_TO_TELL = 30
COMMON, RARE = 0.8, 0.4
"""A property is a condition of the incident if at least COMMON of its sessions have it, and at most RARE of the others."""

LONG = 0.9
"""A request is long if it is longer than this share of the others."""

TURNS_TOLD = ("turns", "turn_count", "messages")


def places_of(
    document: Mapping[str, Any], around: Around, cases: Cases, twin: Sequence[Values], topic: Topic
) -> list[Place]:
    """The slices that an incident reached, with what is known of every case under each of their conditions."""
    slices = [document["slice"], *document.get("also_in", ())]
    extra, extra_status = _properties(document, around, cases, topic)
    places: list[Place] = []
    for where in slices:
        named = [(facet, value) for facet, value in where.items() if facet not in MADE_OF_TEXT]
        conditions = [Condition(facet, value, f"{facet}={value}") for facet, value in named]
        status = [_status(each, around, cases, twin) for each in conditions]
        whole = [*status, *extra_status]
        table = np.stack(whole) if whole else np.zeros((0, len(cases.names)), np.int8)
        places.append(Place((*conditions, *extra), table))
    return places


def inside_slices(document: Mapping[str, Any], around: Around, rows: npt.NDArray[np.int64]) -> BoolArray:
    """Which sessions of `rows` are in a slice that the incident reached, as far as their facets tell."""
    slices = [
        {path_name(facet): value for facet, value in where.items() if facet not in MADE_OF_TEXT}
        for where in (document["slice"], *document.get("also_in", ()))
    ]
    return np.array(
        [any(where.items() <= around.facets[row].items() for where in slices) for row in rows.tolist()], dtype=bool
    )


def _status(condition: Condition, around: Around, cases: Cases, twin: Sequence[Values]) -> Status:
    """Of every case: what it says itself, else requests that are word for word the same, else those that are like it."""
    name = path_name(condition.facet)
    out = _by_traffic(condition, around, cases)
    for known in (twin, cases.told):
        for case, values in enumerate(known):
            if name in values:
                out[case] = YES if condition.value in values[name] else NO
    return out


def _by_traffic(condition: Condition, around: Around, cases: Cases) -> Status:
    out = np.full(len(cases.names), UNTOLD, np.int8)
    name, asked = path_name(condition.facet), cases.asked
    under = np.array([facets.get(name) == condition.value for facets in around.facets], bool)
    if not len(asked) or not under.any():
        return out
    texts = pa.array([cases.inputs[i] for i in asked], pa.large_string())
    spoken, own = _languages(around.inputs.filter(pa.array(under))), _languages(texts)
    told = spoken[spoken != UNDETERMINED]
    if len(told) >= LEAST_TO_TELL:
        common, count = np.unique(told, return_counts=True)
        usual = common[count >= SELDOM * len(told)]
        out[asked[(own != UNDETERMINED) & ~np.isin(own, usual)]] = NO
    share = shares(intents.embed(texts), around.vectors, under, NEIGHBOURS)
    out[asked[(share >= CLEAR) & (out[asked] == UNTOLD)]] = YES
    return out


def _languages(texts: pa.Array) -> npt.NDArray[np.str_]:
    columns = {name: pa.nulls(len(texts), TURNS.field(name).type) for name in TURNS.names} | {"input": texts}
    return languages(TurnBatch(pa.table(columns)), "input")


def _properties(
    document: Mapping[str, Any], around: Around, cases: Cases, topic: Topic
) -> tuple[list[Condition], list[Status]]:
    """Properties that the affected sessions have and others on the topic do not, and the status of the cases."""
    mine, others = around.rows(AFFECTED), around.rows(SINCE)
    if topic.has_topic:
        others = others[topic.other_share >= topic.threshold]
    if len(others) < LEAST_TO_TELL:
        return [], []
    length = pc.utf8_length(around.inputs).to_numpy(zero_copy_only=False)
    limit = float(np.quantile(length[others], LONG))
    tools = any("tool" in str(each) for each in (document["signal"], *document.get("moved", ())))
    turns = "turns" in document.get("moved", ())
    resumed = np.array([facets.get("resumed") == "yes" for facets in around.facets], bool)
    found = [
        (
            Condition("length", "long", f"requests of more than {limit:.0f} characters"),
            length > limit,
            _long(cases, limit),
        ),
        (
            Condition("resumed", "yes", "sessions resumed after a pause"),
            resumed,
            _told(cases, "resumed", {"yes", "true"}),
        ),
    ]
    if not turns:
        found.append((Condition("turns", "several", "several turns"), around.several, _several(cases)))
    if not tools:
        status = _told(cases, "tool_failed", {"yes", "true"})
        found.append((Condition("tool state", "failed", "a failed call of a tool"), around.tool_failed, status))
    kept = [(c, s) for c, has, s in found if has[mine].mean() >= COMMON and has[others].mean() <= RARE]
    return [c for c, _ in kept], [s for _, s in kept]


def _long(cases: Cases, limit: float) -> Status:
    return np.array([UNTOLD if text is None else YES if len(text) > limit else NO for text in cases.inputs], np.int8)


def _told(cases: Cases, facet: str, yes: set[str]) -> Status:
    known = [{value.lower() for value in told.get(facet, ())} for told in cases.told]
    return np.array([UNTOLD if not values else YES if values & yes else NO for values in known], np.int8)


def _several(cases: Cases) -> Status:
    """Of cases that tell their turns; an input that is a list of messages tells them too."""
    out = np.full(len(cases.names), UNTOLD, np.int8)
    for case, (told, text) in enumerate(zip(cases.told, cases.inputs, strict=True)):
        counts = [int(value) for name in TURNS_TOLD for value in told.get(name, ()) if value.isdigit()]
        counts += [_messages(text)] if text and text.lstrip().startswith("[") else []
        if counts:
            out[case] = YES if max(counts) > 1 else NO
    return out


def _messages(text: str) -> int:
    """How many messages of a user a text in JSON holds; 1 where it is something else."""
    try:
        found = json.loads(text)
    except ValueError:
        return 1
    roles = [each.get("role") for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return roles.count("user") or 1
