"""Spans of one trace -> turns. The same for files and for a live receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from unquiet.conventions.drafts import TurnDraft
from unquiet.conventions.messages import ToolUse, merged
from unquiet.conventions.payloads import answer_text, last_answer, last_user, request_text
from unquiet.conventions.steps import Step
from unquiet.conventions.trees import Group, Node, groups, trees
from unquiet.model.spans import Span


def turns_of(spans: Iterable[Span]) -> list[TurnDraft]:
    """The turns of one trace, in order of their starts.

    An invocation of an agent (or a chain around a model) is one turn: first request, last answer, every tool
    call with its result, tokens of the innermost model calls, latency of the outermost span. Model calls
    without an agent around them are grouped by their growing history. The session is the conversation where
    one is named, else the trace.
    """
    return [_draft(group) for group in groups(trees(spans))]


@dataclass(slots=True)
class _Parts:
    """The model calls of a group: the innermost ones, those that answered last at the end."""

    calls: list[Node]
    group: Group

    @property
    def final(self) -> Step | None:
        """The model call that answered: the last that says something, else the last."""
        ended = sorted(self.calls, key=lambda node: (node.end_us, node.start_us))
        spoke = [node for node in ended if last_answer(node.step.sent) is not None]
        return spoke[-1].step if spoke else ended[-1].step if ended else None


def _draft(group: Group) -> TurnDraft:
    head = group.nodes[0]
    span = head.step.span
    parts = _Parts(_model_calls(group), group)
    final = parts.final
    nodes = [*group.walk(), *head.ancestors()]
    end = max(node.end_us for node in group.nodes)
    output = _output(group, parts)
    ended = span.end_us is not None or len(group.nodes) > 1
    return TurnDraft(
        turn_id=f"{span.trace_id}:{span.span_id}",
        session_id=_first(node.step.session_id for node in nodes) or span.trace_id,
        time_us=span.start_us,
        input=_input(group, parts),
        output=output,
        tool_calls=_tool_calls(group, parts),
        user_id=_first(node.step.user_id for node in nodes),
        finish_reason=_first(step.finish_reason for step in (final, head.step) if step is not None),
        error=_error(group, final if output is None else None),
        latency_ms=(end - span.start_us) / 1000 if ended else None,
        input_tokens=_whole(group, lambda step: step.input_tokens),
        output_tokens=_whole(group, lambda step: step.output_tokens),
        reasoning_tokens=_whole(group, lambda step: step.reasoning_tokens),
        cost_usd=_total(_used(node, lambda step: step.cost_usd) for node in group.nodes),
        model=_first(step.model for step in (final, head.step) if step is not None),
        served_model=_first(step.served_model for step in (final, head.step) if step is not None),
        facets=_facets(group),
        place=f"span {span.span_id}",
    )


def _model_calls(group: Group) -> list[Node]:
    """Model calls that have no other model call below them: a wrapper repeats what the inner call says."""
    return [
        node
        for node in group.walk()
        if node.step.kind == "llm"
        and not any(inner.step.kind == "llm" for child in node.children for inner in child.walk())
    ]


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _whole(group: Group, amount: Callable[[Step], int | None]) -> int | None:
    total = _total(_used(node, amount) for node in group.nodes)
    return None if total is None else int(total)


def _used(node: Node, amount: Callable[[Step], float | None]) -> float | None:
    """Tokens or cost of a node: of its children where they know, else its own."""
    inner = _total(_used(child, amount) for child in node.children if child.step.kind != "judge")
    return inner if inner is not None else amount(node.step)


def _input(group: Group, parts: _Parts) -> str | None:
    outer = group.nodes[0].step
    if outer.received:
        text = last_user(outer.received)
        if text is not None:
            return text
    asked = sorted(parts.calls, key=lambda node: node.start_us)
    inner = _first(last_user(node.step.received) for node in asked)
    said = request_text(outer.request)
    if said is None or (inner is not None and _is_structure(said)):
        return inner if inner is not None else said
    return said


def _is_structure(text: str) -> bool:
    """Whether a text is a framework's state rather than something a person wrote."""
    return text[:1] in ("{", "[") and text.rstrip()[-1:] in ("}", "]")


def _output(group: Group, parts: _Parts) -> str | None:
    outer = group.nodes[0].step
    final = parts.final
    inner = last_answer(final.sent) if final is not None else None
    if group.owner is None and len(group.nodes) > 1:
        return inner
    spoken = answer_text(outer.answer) if not outer.sent else last_answer(outer.sent)
    if spoken is None or (inner is not None and _is_structure(spoken)):
        return inner
    return spoken


def _error(group: Group, final: Step | None) -> str | None:
    """The error of the invocation, or of the last model call where it left the turn without an answer."""
    outer = group.nodes[0].step.error if group.owner is not None or len(group.nodes) == 1 else None
    if outer is not None or final is None:
        return outer
    return final.error


def _tool_calls(group: Group, parts: _Parts) -> Sequence[ToolUse] | None:
    """Every tool call with its result; None where nothing tells whether tools were called."""
    timed: list[tuple[int, int, ToolUse]] = []
    for node in parts.calls:
        timed += [(node.end_us, order, use) for message in node.step.sent for order, use in enumerate(message.calls)]
    timed += [(node.start_us, -1, node.step.tool._replace(ran=True)) for node in _tool_nodes(group)]
    calls = merged(use for _, _, use in sorted(timed, key=lambda item: item[:2]))
    if not calls:
        calls = merged(_said_calls(group.nodes[0].step))
    known = {call.call_id for call in calls} - {None}
    told = [group.nodes[0].step.sent, *(node.step.received for node in parts.calls)]
    results = [result for messages in told for m in messages for result in m.results if result.call_id in known]
    calls = merged([*calls, *results]) if results else calls
    heard = any(node.step.sent for node in parts.calls) or bool(group.nodes[0].step.sent)
    return calls if calls or heard else None


def _said_calls(step: Step) -> list[ToolUse]:
    """Calls and results in an invocation's own messages, after the last request."""
    start = max((i for i, message in enumerate(step.sent) if message.role == "user"), default=-1) + 1
    return [use for message in step.sent[start:] for use in (*message.calls, *message.results)]


def _tool_nodes(group: Group) -> Iterator[Node]:
    """Tool spans, without those that a tool's own instrumentation put right below it."""
    for node in group.walk():
        above = node.parent.step.kind if node.parent is not None else None
        if node.step.kind == "tool" and above != "tool":
            yield node


def _facets(group: Group) -> dict[str, str]:
    """What instrumentations said anywhere in the turn, and what the application attached to or around it."""
    head = group.nodes[0]
    outer = [head, *head.ancestors()]
    kept: dict[str, str] = {}
    for node in (*outer, *group.walk()):
        kept = {**node.step.facets, **kept}
    for node in outer:
        kept = {**node.step.attached, **kept}
    return kept
