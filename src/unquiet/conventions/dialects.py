"""Span -> step: every dialect in turn, then what all spans have in common."""

from __future__ import annotations

from collections.abc import Callable

from unquiet.conventions import frameworks, genai, langfuse, langsmith, openinference, traceloop
from unquiet.conventions.messages import ToolUse, text_or_none
from unquiet.conventions.payloads import messages_of
from unquiet.conventions.steps import Step, pick, system_text
from unquiet.model.spans import Span

DIALECTS: tuple[tuple[Callable[[Step], None], frozenset[str]], ...] = (
    (genai.read, frozenset({"gen_ai", "events"})),
    (openinference.read, frozenset({"openinference", "llm", "span_kind"})),
    (traceloop.read, frozenset({"traceloop", "llm", "gen_ai"})),
    (langsmith.read, frozenset({"langsmith"})),
    (
        frameworks.read,
        frozenset({"ai", "pydantic_ai", "all_messages_events", "final_result", "agent_name", "gcp", "mlflow"}),
    ),
    (langfuse.read, frozenset({"langfuse"})),
)
"""Dialects with the first parts of the attribute names they read.

In this order; what an earlier one filled, a later one leaves, unless it knows better and says so.
"""

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


def step_of(span: Span) -> Step:
    """What a span says about an agent; `kind` is None where no dialect knows the span."""
    step = Step(span)
    spoken = {name.partition(".")[0] for name in span.attributes}
    if span.events:
        spoken.add("gen_ai")
    for read, namespaces in DIALECTS:
        if not namespaces.isdisjoint(spoken):
            read(step)
    if step.kind == "tool":
        step.tool = _with_error(step)
    elif step.kind in ("agent", "chain"):
        step.fill(received=messages_of(step.request), sent=messages_of(step.answer))
    if step.sent:
        step.fill(finish_reason=next((m.finish_reason for m in reversed(step.sent) if m.role == "assistant"), None))
    if span.error is not None:
        step.fill(error=span.error or text_or_none(span.attributes.get("error.type")) or "error")
    step.fill(error=text_or_none(span.attributes.get("error.type")))
    step.fill(
        session_id=text_or_none(pick(span.attributes, "session.id")),
        user_id=text_or_none(pick(span.attributes, "user.id", "enduser.id")),
    )
    if "instructions.hash" not in step.facets and step.kind == "llm":
        step.fingerprint("instructions.hash", system_text(step.received))
    _common_facets(step)
    return step


def _with_error(step: Step) -> ToolUse:
    error_type = text_or_none(step.span.attributes.get("error.type"))
    if step.span.error is None and error_type is None:
        return step.tool
    return step.tool._replace(error=step.tool.error or step.span.error or error_type or "error")


def _common_facets(step: Step) -> None:
    for name, value in step.span.attributes.items():
        if not name.startswith(_NOT_FACETS) and name not in _RESOURCE_FACETS:
            step.attach(name, value)
    for name, facet in _RESOURCE_FACETS.items():
        step.facet(facet, step.span.resource.get(name))
        step.facet(facet, step.span.attributes.get(name))
