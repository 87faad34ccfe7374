"""Spans of one trace -> turns. The same for files and for a live receiver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from unquiet.conventions.drafts import TurnDraft
from unquiet.conventions.messages import ToolUse, merged
from unquiet.conventions.payloads import answer_text, last_answer, last_user, request_text
from unquiet.conventions.steps import INSTRUCTIONS, Seen, Step
from unquiet.conventions.trees import Group, Node, groups, trees
from unquiet.model.spans import Span


def turns_of(spans: Iterable[Span], seen: Seen | None = None) -> list[TurnDraft]:
    """The turns of one trace, in order of their starts.

    An invocation of an agent (or a chain around a model) is one turn: first request, last answer, every tool
    call with its result, tokens of the innermost model calls, latency of the outermost span. Model calls
    without an agent around them are grouped by their growing history. The session is the conversation where
    one is named, else the trace. `seen` keeps what the spans of several traces share.
    """
    if seen is None:
        seen = Seen()
    else:
        seen.forget_texts()
    roots = trees(spans, seen)
    drafts = [_draft(group) for group in groups(roots)]
    for root in roots:
        root.dissolve()
    return drafts


class _Parts:
    """A group's nodes, its model calls, and the last of these that answered.

    Model calls that have another one below them are left out: a wrapper repeats what the inner call says.
    """

    __slots__ = ("calls", "final", "group", "nodes")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.nodes = group.walk()
        self.calls = [node for node in self.nodes if node.step.kind == "llm" and not node.calls_model]
        self.final = _final(self.calls)


def _final(calls: list[Node]) -> Step | None:
    """The model call that answered: the last that says something, else the last."""
    if len(calls) > 1:
        calls = sorted(calls, key=lambda node: (node.end_us, node.start_us))
        for node in reversed(calls):
            if last_answer(node.step.sent) is not None:
                return node.step
    return calls[-1].step if calls else None


def _draft(group: Group) -> TurnDraft:
    parts = _Parts(group)
    head, final = group.nodes[0], parts.final
    span = head.step.span
    nodes = [*parts.nodes, *head.ancestors()] if head.parent is not None else parts.nodes
    output = _output(parts)
    end_us = max([node.end_us for node in group.nodes])
    ended = span.end_us is not None or len(group.nodes) > 1
    tellers = (head.step,) if final is None else (final, head.step)
    return TurnDraft(
        turn_id=f"{span.trace_id}:{span.span_id}",
        session_id=_first([node.step.session_id for node in nodes]) or span.trace_id,
        time_us=span.start_us,
        input=_input(parts),
        output=output,
        tool_calls=_tool_calls(parts),
        user_id=_first([node.step.user_id for node in nodes]),
        finish_reason=_first([step.ended_with() for step in tellers]),
        error=_error(group, final if output is None else None),
        latency_ms=(end_us - span.start_us) / 1000 if ended else None,
        input_tokens=_whole(parts, "input_tokens"),
        output_tokens=_whole(parts, "output_tokens"),
        reasoning_tokens=_whole(parts, "reasoning_tokens"),
        cost_usd=_used(parts, "cost_usd"),
        model=_first([step.model for step in tellers]),
        served_model=_first([step.served_model for step in tellers]),
        facets=_facets(parts),
        place=f"span {span.span_id}",
    )


def _first(values: Iterable[str | None]) -> str | None:
    for value in values:
        if value:
            return value
    return None


def _whole(parts: _Parts, field: str) -> int | None:
    total = _used(parts, field)
    return int(total) if total is not None and total < 2**63 else None


def _used(parts: _Parts, field: str) -> float | None:
    """Tokens or cost of a turn: of a node's children where they know, else its own."""
    own = [(node, value) for node in parts.nodes if (value := getattr(node.step, field)) is not None]
    if len(own) < 2:
        return 0 + own[0][1] if own else None
    known = {id(node): value for node, value in own}
    for node in reversed(parts.nodes):
        inner = [known[id(child)] for child in node.children if id(child) in known]
        if inner:
            known[id(node)] = sum(inner)
    return sum(known[id(node)] for node in parts.group.nodes if id(node) in known)


def _input(parts: _Parts) -> str | None:
    outer = parts.group.nodes[0].step
    if outer.received:
        text = last_user(outer.received)
        if text is not None:
            return text
    said = request_text(outer.request)
    if said is not None and not _is_structure(said):
        return said
    asked = sorted(parts.calls, key=lambda node: node.start_us)
    inner = _first(last_user(node.step.received) for node in asked)
    return inner if inner is not None else said


def _is_structure(text: str) -> bool:
    """Whether a text is a framework's state rather than something a person wrote."""
    return text[:1] in ("{", "[") and text.rstrip()[-1:] in ("}", "]")


def _output(parts: _Parts) -> str | None:
    group = parts.group
    outer = group.nodes[0].step
    spoken = None
    if group.owner is not None or len(group.nodes) == 1:
        spoken = answer_text(outer.answer) if not outer.sent else last_answer(outer.sent)
        if spoken is not None and not _is_structure(spoken):
            return spoken
    inner = last_answer(parts.final.sent) if parts.final is not None else None
    return inner if inner is not None else spoken


def _error(group: Group, final: Step | None) -> str | None:
    """The error of the invocation, or of the last model call where it left the turn without an answer."""
    outer = group.nodes[0].step.error if group.owner is not None or len(group.nodes) == 1 else None
    if outer is not None or final is None:
        return outer
    return final.error


def _tool_calls(parts: _Parts) -> Sequence[ToolUse] | None:
    """Every tool call with its result; None where nothing tells whether tools were called."""
    head = parts.group.nodes[0].step
    timed: list[tuple[int, int, ToolUse]] = []
    for node in parts.calls:
        for message in node.step.sent:
            if message.calls:
                timed += [(node.end_us, order, use) for order, use in enumerate(message.calls)]
    for node in parts.nodes:
        # A tool's own instrumentation may put a tool span right below it.
        if node.step.kind == "tool" and (node.parent is None or node.parent.step.kind != "tool"):
            timed.append((node.start_us, -1, ToolUse(*node.step.tool[:5], True)))
    timed.sort(key=_TIME_AND_ORDER)
    calls = merged([use for _, _, use in timed]) or merged(_said_calls(head))
    known = {call.call_id for call in calls} - {None}
    if known:
        told = [head.sent, *[node.step.received for node in parts.calls]]
        results = [use for messages in told for m in messages if m.results for use in m.results if use.call_id in known]
        # A history repeats the results of the one before it.
        calls = merged([*calls, *dict.fromkeys(results)]) if results else calls
    if calls:
        return calls
    return calls if head.sent or any(node.step.sent for node in parts.calls) else None


_TIME_AND_ORDER = itemgetter(0, 1)


def _said_calls(step: Step) -> list[ToolUse]:
    """Calls and results in an invocation's own messages, after the last request."""
    start = max((i for i, message in enumerate(step.sent) if message.role == "user"), default=-1) + 1
    return [use for message in step.sent[start:] for use in (*message.calls, *message.results)]


def _facets(parts: _Parts) -> dict[str, str]:
    """What instrumentations said anywhere in the turn, and what the application attached to or around it."""
    head = parts.group.nodes[0]
    steps = [node.step for node in parts.nodes]
    outer = [head.step]
    if head.parent is not None:
        outer += [node.step for node in head.ancestors()]
        steps = outer + steps
    kept: dict[str, str] = {}
    # What is nearest goes first: it is written last.
    for step in reversed(outer):
        kept.update(step.all_attached())
    written = None
    for step in reversed(steps):
        if step.facets is not written:
            written = step.facets
            kept.update(written)
    for step in steps:
        instructions = step.instructions_hash()
        if instructions is not None:
            kept[INSTRUCTIONS] = instructions
            break
    return kept
