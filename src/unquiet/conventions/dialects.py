"""Span -> step: every dialect in turn, then what all spans have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unquiet.conventions import frameworks, genai, langfuse, langsmith, openinference, traceloop
from unquiet.conventions.messages import Json, Message, text_or_none
from unquiet.conventions.rules import Dialect, Run, fills
from unquiet.conventions.steps import Seen, Step, keep_facet
from unquiet.model.spans import Span

DIALECTS: tuple[Dialect, ...] = (
    genai.DIALECT,
    openinference.DIALECT,
    traceloop.DIALECT,
    langsmith.DIALECT,
    *frameworks.DIALECTS,
    langfuse.DIALECT,
)
"""In this order; what an earlier one filled, a later one leaves, unless it knows better and says so."""

_ALL_SPANS = Dialect(
    frozenset(),
    (
        fills("error", text_or_none, "error.type"),
        fills("session_id", text_or_none, "session.id"),
        fills("user_id", text_or_none, "user.id", "enduser.id"),
    ),
)

_RESOURCE_FACETS = {
    "service.name": "service.name",
    "service.version": "service.version",
    "service.namespace": "service.namespace",
    "deployment.environment.name": "deployment.environment",
    "deployment.environment": "deployment.environment",
    "langfuse.environment": "deployment.environment",
    "langfuse.release": "release",
}
_NOT_FACETS = (
    "agno", "ai.", "all_messages", "aws.", "client.", "cloud.", "code.", "container.", "db.",
    "document.", "embedding.", "enduser.", "error.", "events", "exception.", "faas.", "final_result",
    "gcp.", "gen_ai.", "graph.", "host.", "http.", "input.", "k8s.", "langfuse.", "langsmith.", "lk.",
    "llm.", "logfire.", "message", "metadata", "mlflow.", "model_", "net.", "network.", "openai.",
    "openinference.", "operation.name", "os.", "otel.", "output.", "peer.", "process.", "pydantic_ai.",
    "reranker.", "resource.name", "retrieval.", "rpc.", "server.", "session.", "span_kind", "tag.",
    "telemetry.", "thread.", "tool", "traceloop.", "url.", "user.", "user_agent.", "agent_name",
)  # fmt: skip
"""Attributes of instrumentations; anything else was put there by the application: a facet."""


REMEMBERED_PLANS = 4096


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read spans that bear the same attribute names."""

    parts: tuple[tuple[Callable[[Json], bool] | None, tuple[Run, ...]], ...]
    common: tuple[Run, ...]
    loose: tuple[str, ...]
    names_resource: bool


_plans: dict[tuple[str | None, ...], _Plan] = {}
"""Plans by attribute names, with a None at their end for spans that have events."""


def _plan_of(span: Span) -> _Plan:
    names = (*span.attributes, None) if span.events else tuple(span.attributes)
    plan = _plans.get(names)
    if plan is None:
        if len(_plans) >= REMEMBERED_PLANS:
            _plans.clear()
        plan = _plans[names] = _plan(span.attributes, has_events=bool(span.events))
    return plan


def _plan(attributes: Json, *, has_events: bool) -> _Plan:
    bound = [(dialect.applies, dialect.bound(attributes, has_events=has_events)) for dialect in DIALECTS]
    return _Plan(
        tuple((applies, runs) for applies, runs in bound if runs),
        _ALL_SPANS.bound(attributes),
        tuple(name for name in attributes if not name.startswith(_NOT_FACETS) and name not in _RESOURCE_FACETS),
        not _RESOURCE_FACETS.keys().isdisjoint(attributes),
    )


def step_of(span: Span, seen: Seen) -> Step:
    """What a span says about an agent; `kind` is None where no dialect knows the span.

    The hash of instructions that only stand in messages is no facet of the step: see `Step.instructions_hash`.
    """
    attributes = span.attributes
    plan = _plan_of(span)
    step = Step(span, seen, plan.loose)
    for applies, runs in plan.parts:
        if applies is None or applies(attributes):
            for run in runs:
                run(step, attributes)
    if step.kind == "tool":
        _tool_error(step)
    elif step.kind in ("agent", "chain"):
        step.receive(_of_request, None)
        step.send(_of_answer, None)
    if span.error is not None:
        step.fill(error=span.error or text_or_none(attributes.get("error.type")) or "error")
    for run in plan.common:
        run(step, attributes)
    _resource_facets(step, plan)
    return step


def _of_request(step: Step, _: None) -> list[Message]:
    return step.seen.messages(step.request)


def _of_answer(step: Step, _: None) -> list[Message]:
    return step.seen.messages(step.answer)


def _tool_error(step: Step) -> None:
    error_type = text_or_none(step.span.attributes.get("error.type"))
    if step.span.error is not None or error_type is not None:
        step.tool = step.tool._replace(error=step.tool.error or step.span.error or error_type or "error")


def _resource_facets(step: Step, plan: _Plan) -> None:
    resource = step.span.resource
    if plan.names_resource:
        for name, facet in _RESOURCE_FACETS.items():
            step.facet(facet, resource.get(name))
            step.facet(facet, step.span.attributes.get(name))
    elif resource:
        told = step.seen.resource(resource, _facets_of_resource)
        step.facets = {**told, **step.facets} if step.facets else told


def _facets_of_resource(resource: Json) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, facet in _RESOURCE_FACETS.items():
        keep_facet(found, facet, resource.get(name))
    return found
