"""What external judges say of spans: the event `gen_ai.evaluation.result` -> rows of eval results."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from typing import Any

from unquiet.conventions.messages import as_dict, text_or_none
from unquiet.conventions.steps import facet_text, id_text, pick
from unquiet.conventions.times import to_iso
from unquiet.model.evals import ERROR, FAILED, PASSED, UNDECIDED
from unquiet.model.spans import Span, SpanEvent

EVALUATION_RESULT = "gen_ai.evaluation.result"
TOOL = "otel"
"""The tool of these results in the table of eval results."""

_GOOD = frozenset({"pass", "passed", "correct", "relevant", "factual"})
_BAD = frozenset({"fail", "failed", "incorrect", "not_relevant", "irrelevant", "unrelated", "hallucinated"})
"""Labels of the conventions' examples and of Phoenix's evaluators. Of others (yes, toxic) nobody knows which one is good."""

_SESSION = ("gen_ai.conversation.id", "session.id")
_OWN = frozenset(
    {
        "event.name", "gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.explanation",
        *_SESSION,
    }
)  # fmt: skip


def verdicts_of(spans: Iterable[Span], logged: Iterable[tuple[SpanEvent, Span]]) -> Iterator[tuple[SpanEvent, Span]]:
    """Every evaluation result, with the span that it speaks of: log records, and events on the spans themselves."""
    yield from logged
    for span in spans:
        for event in span.events:
            if event.name == EVALUATION_RESULT:
                yield event, span


def evaluation_row(event: SpanEvent, of: Span) -> dict[str, Any]:
    """The row of EVAL_RESULTS for a result; `time` in microseconds since 1970.

    A run is a day of an evaluator in UTC. `turn_id` names the span until the turn that it belongs to is known, null where the
    result names none; so is `session_id` until then.

    Raises:
        ValueError: it does not name its evaluator.
    """
    said = {**(as_dict(event.body) or {}), **event.attributes}
    name = text_or_none(said.get("gen_ai.evaluation.name"))
    if name is None:
        raise ValueError("the evaluation result does not name its evaluator (gen_ai.evaluation.name)")
    score, label = said.get("gen_ai.evaluation.score.value"), text_or_none(said.get("gen_ai.evaluation.score.label"))
    error = text_or_none(said.get("error.type"))
    explained = text_or_none(said.get("gen_ai.evaluation.explanation"))
    status = ERROR if error else _status(label)
    place = f"{of.trace_id}:{of.span_id}" if of.trace_id and of.span_id else None
    return {
        "result_id": _ident(event, name, place or text_or_none(said.get("gen_ai.response.id")) or ""),
        "run": f"{name} {to_iso(event.time_us)[:10]}",
        "time": event.time_us,
        "tool": TOOL,
        "suite": name,
        "case_name": name,
        "status": status,
        "score": _finite(score),
        "checks": [_check(name, status, _finite(score), error or explained)],
        "reason": error or (None if status == PASSED else explained),
        "session_id": id_text(pick(said, *_SESSION)) or id_text(pick(of.attributes, *_SESSION)),
        "turn_id": place,
        "facets": _facets({"service.name": of.resource.get("service.name"), **said}),
    }


def _status(label: str | None) -> str:
    plain = (label or "").strip().lower().replace(" ", "_").replace("-", "_")
    return PASSED if plain in _GOOD else FAILED if plain in _BAD else UNDECIDED


def _check(name: str, status: str, score: float | None, reason: str | None) -> dict[str, Any]:
    passed = {PASSED: True, FAILED: False}.get(status)
    return {"kind": name, "expected": None, "passed": passed, "score": score, "reason": reason}


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _facets(said: dict[str, Any]) -> dict[str, str]:
    found = {name: facet_text(value) for name, value in said.items() if name not in _OWN}
    return {name.removeprefix("gen_ai.evaluation."): text for name, text in found.items() if text is not None}


def _ident(event: SpanEvent, name: str, place: str) -> str:
    told = "\x1f".join(
        (TOOL, place, name, str(event.time_us), str(event.attributes.get("gen_ai.evaluation.score.value")))
    )
    return hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=12).hexdigest()
