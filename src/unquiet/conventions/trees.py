"""The spans of one trace as trees, and the groups of steps that make one turn each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from unquiet.conventions.dialects import step_of
from unquiet.conventions.steps import Seen, Step
from unquiet.model.spans import Span

_WANTS_TOOLS = frozenset({"tool_calls", "tool_call", "tool_use", "function_call", "tool-calls"})


class Node:
    """A step with its children, in order of their starts.

    `calls_model` tells whether a model call lies below it, outside of judges and guardrails.
    """

    __slots__ = ("calls_model", "children", "end_us", "parent", "start_us", "step")

    def __init__(self, step: Step) -> None:
        """A node alone; a span that never ended is taken to end at its start."""
        span = step.span
        self.step = step
        self.start_us = span.start_us
        self.end_us = span.end_us if span.end_us is not None else span.start_us
        self.parent: Node | None = None
        self.children: list[Node] = []
        self.calls_model = False

    def walk(self) -> list[Node]:
        """This node and all below it, parents first; what judges and guardrails did is left out."""
        if not self.children:
            return [] if self.step.kind == "judge" else [self]
        found: list[Node] = []
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node.step.kind != "judge":
                found.append(node)
                waiting += node.children[::-1]
        return found

    def dissolve(self) -> None:
        """Let go of all nodes below: parents and children that hold each other stay in memory for long."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            node.parent = None
            waiting += node.children

    def ancestors(self) -> Iterator[Node]:
        """The parents, nearest first."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


@dataclass(slots=True)
class Group:
    """The steps of one turn: the invocation that owns them, or model calls that stand by themselves."""

    nodes: list[Node]
    owner: Node | None = None

    def walk(self) -> list[Node]:
        """All nodes of the turn."""
        return self.nodes[0].walk() if len(self.nodes) == 1 else [inner for node in self.nodes for inner in node.walk()]


_START_AND_ID = attrgetter("start_us", "span_id")


def trees(spans: Iterable[Span], seen: Seen) -> list[Node]:
    """The roots of a trace, in order of their starts; of a span sent twice the one that ended counts."""
    unique: dict[str, Span] = {}
    for span in spans:
        known = unique.get(span.span_id)
        if known is None or (known.end_us is None and span.end_us is not None):
            unique[span.span_id] = span
    ordered = sorted(unique.values(), key=_START_AND_ID)
    nodes = {span.span_id: Node(step_of(span, seen)) for span in ordered}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(node.step.span.parent_id or "")
        # Only a node that has children already can be an ancestor of its own parent.
        if parent is None or parent is node or (node.children and node in parent.ancestors()):
            roots.append(node)
        else:
            node.parent = parent
            parent.children.append(node)
    _mark_model_calls(nodes.values())
    return roots


def _mark_model_calls(nodes: Iterable[Node]) -> None:
    for node in nodes:
        if node.step.kind == "llm":
            above = node.parent
            while above is not None and not above.calls_model and above.step.kind != "judge":
                above.calls_model = True
                above = above.parent


def groups(roots: Sequence[Node]) -> list[Group]:
    """The turns of a trace, as groups of its nodes, in order of their starts."""
    found, loose = _gather(roots)
    found += _standalone(loose)
    return sorted(found, key=lambda group: (group.nodes[0].start_us, group.nodes[0].step.span.span_id))


def _gather(roots: Sequence[Node]) -> tuple[list[Group], list[Node]]:
    """The invocations below some nodes, and the model calls and tools outside of them."""
    found: list[Group] = []
    loose: list[Node] = []
    waiting = list(roots[::-1])
    while waiting:
        node = waiting.pop()
        kind = node.step.kind
        if kind == "judge":
            continue
        if kind in ("agent", "chain") and _is_invocation(node):
            found.append(Group([node], node))
        elif kind in ("llm", "tool"):
            loose.append(node)
        else:
            waiting += node.children[::-1]
    return found, loose


def _is_invocation(node: Node) -> bool:
    """Whether an agent or chain is one turn: it calls a model or tells of an answer, and serves one conversation."""
    sessions = {inner.step.session_id for inner in node.walk()}
    if len(sessions - {None}) > 1:
        return False
    if node.calls_model:
        return True
    step = node.step
    answers = step.answer is not None or bool(step.sent)
    # Where content is not captured, what it used and how it ended tell that a model answered.
    answers = answers or step.output_tokens is not None or step.ended_with() is not None
    return step.kind == "agent" and (answers or step.request is not None or bool(step.received))


def _standalone(loose: list[Node]) -> list[Group]:
    """Model calls without an agent span: those with one growing history between two requests are one turn."""
    made: list[Group] = []
    for node in sorted(loose, key=lambda node: (node.start_us, node.step.span.span_id)):
        if node.step.kind == "tool":
            if made:
                made[-1].nodes.append(node)
            continue
        home = next((group for group in reversed(made) if _continues(group, node)), None)
        if home is None:
            made.append(Group([node]))
        else:
            home.nodes.append(node)
    return made


def _continues(group: Group, node: Node) -> bool:
    last = next(inner for inner in reversed(group.nodes) if inner.step.kind == "llm")
    before, now = last.step, node.step
    if None not in (before.session_id, now.session_id) and before.session_id != now.session_id:
        return False
    if not before.received and not now.received:
        return before.ended_with() in _WANTS_TOOLS
    if _requests(before) != _requests(now):
        return False
    grew = len(now.received) > len(before.received)
    return grew or before.error is not None


def _requests(step: Step) -> list[str | None]:
    return [message.text for message in step.received if message.role == "user"]
