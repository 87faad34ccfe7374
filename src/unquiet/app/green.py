"""Why the evals were green while an incident went on: from the folder, as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet import intents, signals
from unquiet.app.describing import iso
from unquiet.app.eval_cases import Cases, gather_cases, twins
from unquiet.app.green_places import inside_slices, places_of
from unquiet.app.green_traffic import AFFECTED, BEFORE, EARLIER, SINCE, Around, load_around
from unquiet.gap.green import HOLDS, UNKNOWN, Answers, Finding, Place, Saw, Scene, judge_all, path_name, saw_it
from unquiet.gap.near import FEWEST, topic_of
from unquiet.model.evals import FAILED, PASSED
from unquiet.model.incidents import Onset
from unquiet.model.signals import TurnBatch
from unquiet.model.turns import TURNS
from unquiet.privacy import Redactor
from unquiet.privacy.patterns import NAMES
from unquiet.signals.measuring import measure_turns_with
from unquiet.slices.facets import VERSION_NAME
from unquiet.store import Store

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SCHEMA = "unquiet.why-green/1"
PATH = ("model", "served_model", "prompt_hash", "tools_hash")
SHOWN_CHARACTERS = 300
NO_EVALS = "no eval results are known: add reports with `unquiet evals PATH`, or name them with --evals"
NO_INPUTS = "the reports do not hold the inputs of the cases, so what they ask is not known"


def why_green(store: Store, document: Mapping[str, Any], extra: Sequence[pa.Table] = ()) -> dict[str, Any]:
    """The causes for which the evals did not see an incident, as a document of schema `unquiet.why-green/1`.

    `extra` are eval results beside those in the folder.
    """
    cases = gather_cases([store.evals.read(), *extra])
    end = datetime.fromisoformat(document["resolved_at"] or document["told_at"]).astimezone(UTC)
    around = load_around(store, document, end + timedelta(microseconds=1))
    scene = build_scene(store, document, cases, around, end)
    return _document(document, scene, around, judge_all(scene), saw_it(scene))


def build_scene(store: Store, document: Mapping[str, Any], cases: Cases, around: Around, end: datetime) -> Scene:
    """The incident and the evals beside it, for the causes to judge."""
    onset = Onset(*(_us(document["onset"][name]) for name in ("at", "earliest", "latest")))
    mine, others, early = (around.rows(kind) for kind in (AFFECTED, SINCE, EARLIER))
    asked, no_topic = cases.asked, _no_topic(cases, around, len(mine))
    texts = [cases.inputs[i] for i in asked.tolist()]
    topic = (
        None
        if no_topic
        else topic_of(
            around.vectors[mine], around.vectors[others], intents.embed(texts), inside_slices(document, around, others)
        )
    )
    places: list[Place] = []
    if topic is not None:
        twin = twins(store, cases, datetime.fromtimestamp(onset.earliest_us / 1e6, UTC) - BEFORE, end)
        places = places_of(document, around, cases, twin, topic)
    return Scene(
        onset=onset,
        raised_us=_us(document["raised_at"]),
        end_us=_us(end.isoformat()),
        results=cases.results,
        case=cases.case,
        case_names=cases.names,
        case_inputs=cases.inputs,
        asked=asked,
        topic=topic,
        no_topic=no_topic,
        beyond_share=min(1.0, document["excess_sessions"]["estimate"] / max(around.claimed, 1)),
        places=tuple(places),
        answers=_answers(around, mine, early),
        served=_served(store, around, mine),
        shows=_shows(document, cases.results),
        shift=_shift(cases),
        behaviour=str(document["title"]).split(":", 1)[0],
    )


def _no_topic(cases: Cases, around: Around, affected: int) -> str:
    if not cases.results.num_rows:
        return NO_EVALS
    if not len(cases.asked):
        return NO_INPUTS
    if affected < FEWEST:
        return (
            f"of {around.claimed} affected sessions the request of {affected} is known; {FEWEST} are needed to tell what they "
            "have in common"
        )
    return ""


def _answers(around: Around, mine: IntArray, early: IntArray) -> Answers | None:
    if not len(mine) or not len(early):
        return None
    index, _ = intents.nearest(around.vectors[mine], around.vectors[early])
    return Answers(around.outputs.take(pa.array(mine)), around.outputs.take(pa.array(early[index])))


def _served(store: Store, around: Around, mine: IntArray) -> dict[str, dict[str, int]]:
    """The values of facets that tell the path, of affected sessions."""
    coverage = store.get_setting("coverage")
    roles: Mapping[str, str] = coverage.get("facets", {}) if isinstance(coverage, dict) else {}
    versions = {path_name(facet) for facet, role in roles.items() if role.startswith("version:")}
    out: dict[str, dict[str, int]] = {}
    for row in mine.tolist():
        for facet, value in around.facets[row].items():
            if facet in PATH or facet in versions or VERSION_NAME.search(facet):
                counts = out.setdefault(facet, {})
                counts[value] = counts.get(value, 0) + 1
    return out


def _shows(document: Mapping[str, Any], results: pa.Table) -> FloatArray:
    """Whether each recorded answer shows what the incident counts; NaN where that is no yes-or-no of single answers."""
    out = np.full(results.num_rows, np.nan)
    wanted = [s for s in signals.TURN_SIGNALS if s.info.name == document["signal"] and s.info.kind in ("flag", "score")]
    if (
        not wanted
        or not results.num_rows
        or document["event"] not in (document["signal"], f"{document['signal']}>=0.5")
    ):
        return out
    columns = {name: pa.nulls(results.num_rows, TURNS.field(name).type) for name in TURNS.names}
    columns |= {name: results.column(name).combine_chunks() for name in ("input", "output")}
    readings, _, _ = measure_turns_with(TurnBatch(pa.table(columns)), wanted, ())
    values = readings[document["signal"]]
    known = ~np.isnan(values)
    out[known] = (values[known] >= 0.5) == (document["direction"] == "up")
    return out


def _shift(cases: Cases) -> FloatArray:
    """The distance of each recorded answer to the one before of the same case."""
    out = np.full(cases.results.num_rows, np.nan)
    vectors = intents.embed(cases.results.column("output"))
    known = np.flatnonzero(vectors.any(axis=1))
    order = known[np.argsort(cases.case[known], kind="stable")]
    same = cases.case[order[1:]] == cases.case[order[:-1]]
    out[order[1:][same]] = 1.0 - (vectors[order[1:][same]] * vectors[order[:-1][same]]).sum(axis=1)
    return out


def _document(
    document: Mapping[str, Any], scene: Scene, around: Around, found: Sequence[Finding], saw: Saw | None
) -> dict[str, Any]:
    clean = Redactor(NAMES)
    mine = around.rows(AFFECTED)
    told = [{"cause": f.cause, "said": f.said, "evidence": _told(f.evidence, around, mine, clean)} for f in found]
    by_verdict = {
        verdict: [each for each, f in zip(told, found, strict=True) if f.verdict == verdict]
        for verdict in dict.fromkeys(f.verdict for f in found)
    }
    time_us, judged = scene.time_us, np.isin(scene.status, (PASSED, FAILED)) & scene.after
    return {
        "schema": SCHEMA,
        "incident": document["id"],
        "title": document["title"],
        "onset": document["onset"],
        "raised_at": document["raised_at"],
        "evals": {
            "results": scene.results.num_rows,
            "cases": len(scene.case_names),
            "cases_with_input": len(scene.asked),
            "first": iso(int(time_us[0])) if len(time_us) else None,
            "last": iso(int(time_us[-1])) if len(time_us) else None,
        },
        "green": None if not judged.any() else saw is None,
        "saw": _saw_fields(saw, scene),
        "causes": by_verdict.get(HOLDS, []),
        "unknown": by_verdict.get(UNKNOWN, []),
        "ruled_out": [each for each, f in zip(told, found, strict=True) if f.verdict not in (HOLDS, UNKNOWN)],
    }


def _saw_fields(saw: Saw | None, scene: Scene) -> dict[str, Any] | None:
    if saw is None:
        return None
    hours = (saw.first_us - scene.raised_us) / 3.6e9
    return {
        "failed_cases": list(saw.failed),
        "near_the_affected_requests": list(saw.near),
        "first_failed_at": iso(saw.first_us),
        "hours_after_the_alarm": round(hours, 2),
    }


def _told(evidence: Mapping[str, Any], around: Around, mine: IntArray, clean: Redactor) -> dict[str, Any]:
    """Evidence with the affected requests by session and text; texts shortened and without what identifies people."""
    out = dict(evidence)
    if "nearest" in out:
        out["nearest"] = [
            {
                "session_id": around.session_ids[int(mine[each["affected"]])],
                "request": shortened(clean(around.inputs[int(mine[each["affected"]])].as_py())),
                "case": each["case"],
                "case_input": shortened(clean(each["case_input"] or "")),
                "distance": each["distance"],
            }
            for each in out["nearest"]
        ]
    return out


def shortened(text: str) -> str:
    """A text on one line, its beginning where it is long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN_CHARACTERS else f"{flat[:SHOWN_CHARACTERS]} [...]"


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)
