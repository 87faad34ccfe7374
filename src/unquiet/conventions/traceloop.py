"""Traceloop's OpenLLMetry: flattened prompts and completions, `traceloop.*` around them."""

from __future__ import annotations

from typing import Any

from unquiet.conventions.flat import indexed, nested
from unquiet.conventions.messages import (
    Json,
    Message,
    as_dict,
    as_text,
    from_json,
    message_of,
    text_or_none,
    unquoted,
)
from unquiet.conventions.rules import Dialect, does, facets, fills, flattened
from unquiet.conventions.steps import Step, StepKind, first_of, pick, whole

_KINDS: dict[str, StepKind] = {"workflow": "agent", "agent": "agent", "task": "chain", "tool": "tool"}
_FINISH = (
    "gen_ai.response.finish_reason",
    "gen_ai.response.stop_reason",
    "llm.response.finish_reason",
    "llm.response.stop_reason",
)
_VERSIONS = ("traceloop.prompt.version", "traceloop.prompt.version_name")


def _request_type(step: Step, attributes: Json) -> None:
    if pick(attributes, "llm.request.type") in ("chat", "completion"):
        step.fill(kind="llm")


def _flattened(items: list[Any]) -> list[Message]:
    found = [message_of({"role": "assistant", **item}) for item in map(as_dict, items) if item]
    return [message for message in found if message is not None]


def _entity(step: Step, attributes: Json) -> None:
    kind = pick(attributes, "traceloop.span.kind")
    if kind is None:
        return
    step.fill(kind=_KINDS.get(str(kind), "other"))
    received = from_json(unquoted(attributes.get("traceloop.entity.input")))
    returned = from_json(unquoted(attributes.get("traceloop.entity.output")))
    if step.kind == "tool":
        step.fill_tool(
            name=text_or_none(attributes.get("traceloop.entity.name")) or step.span.name,
            arguments=as_text(_inputs(received)),
            result=as_text(returned),
        )
        return
    step.ask(_inputs(received))
    step.reply(returned)
    step.facet("agent.name", attributes.get("traceloop.entity.name") if step.kind == "agent" else None)


def _inputs(value: Any) -> Any:
    """The arguments of the decorated function: {"args": [...], "kwargs": {...}} without its wrapping."""
    fields = as_dict(value)
    if fields is None or not set(fields) <= {"args", "kwargs", "inputs", "tags", "metadata"}:
        return value
    args, kwargs = fields.get("args"), fields.get("kwargs")
    if fields.get("inputs") is not None:
        return fields["inputs"]
    if isinstance(args, list) and len(args) == 1 and not kwargs:
        return args[0]
    if not args and isinstance(kwargs, dict):
        return kwargs
    return value


def _properties(step: Step, attributes: Json) -> None:
    step.metadata(nested(attributes, "traceloop.association.properties"))


def _version(step: Step, attributes: Json) -> None:
    step.facet("prompt.version", pick(attributes, *_VERSIONS))


def _functions(step: Step, attributes: Json) -> None:
    step.fingerprint("tools.hash", indexed(attributes, "llm.request.functions") or None)


DIALECT = Dialect(
    frozenset({"traceloop", "llm", "gen_ai"}),
    (
        flattened("received", "gen_ai.prompt", _flattened),
        flattened("sent", "gen_ai.completion", _flattened),
        does(_request_type, "llm.request.type"),
        does(_entity, "traceloop.span.kind"),
        fills("finish_reason", first_of, *_FINISH),
        fills("input_tokens", whole, "llm.usage.prompt_tokens"),
        fills("output_tokens", whole, "llm.usage.completion_tokens"),
        fills("reasoning_tokens", whole, "llm.usage.reasoning_tokens", "gen_ai.usage.reasoning_tokens"),
        does(_properties, below=("traceloop.association.properties.",)),
        *facets({"traceloop.workflow.name": "workflow.name", "traceloop.prompt.key": "prompt.name"}),
        does(_version, *_VERSIONS),
        *facets({"traceloop.prompt.version_hash": "prompt.hash"}),
        does(_functions, "llm.request.functions", below=("llm.request.functions.",)),
    ),
)
