"""The step: what a span says about an agent, whatever dialect it was written in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

from unquiet.conventions.messages import Message, ToolUse, as_dict, as_text, from_json, unquoted
from unquiet.model.spans import Span

StepKind: TypeAlias = Literal["llm", "agent", "chain", "tool", "judge", "other"]
"""llm: one call of a model. agent: an invocation. chain: a framework's wrapper around either.

judge: an evaluator or guardrail, whose model calls answer nobody. other: named by a dialect, none of these.
"""

FACET_LENGTH = 120
FACETS_PER_STEP = 40


@dataclass(slots=True)
class Step:
    """A span as far as the dialects could read it; what an earlier dialect filled, a later one leaves.

    `request` and `answer` hold an input or output that is not made of messages. Token counts are those that
    the span itself reports. `facets` hold what instrumentations say under any dialect, `attached` what the
    application added.
    """

    span: Span
    kind: StepKind | None = None
    received: list[Message] = field(default_factory=list[Message])
    sent: list[Message] = field(default_factory=list[Message])
    request: Any = None
    answer: Any = None
    tool: ToolUse = field(default_factory=ToolUse)
    model: str | None = None
    served_model: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    session_id: str | None = None
    user_id: str | None = None
    error: str | None = None
    facets: dict[str, str] = field(default_factory=dict[str, str])
    attached: dict[str, str] = field(default_factory=dict[str, str])

    def fill(self, **values: Any) -> None:
        """Set fields that are still empty; None and empty texts set nothing."""
        for name, value in values.items():
            if value not in (None, "") and getattr(self, name) in (None, [], ""):
                setattr(self, name, value)

    def fill_tool(self, **values: str | None) -> None:
        """Set parts of the tool call that are still empty."""
        empty = {
            name: value for name, value in values.items() if value is not None and getattr(self.tool, name) is None
        }
        self.tool = self.tool._replace(**empty)

    def facet(self, name: str, value: Any) -> None:
        """Keep a short scalar that an instrumentation wrote as a facet, unless it is there."""
        if value is None:
            return
        text = facet_text(value)
        if text is not None and not text.startswith("unknown_service"):
            self.facets.setdefault(name, text)

    def attach(self, name: str, value: Any) -> None:
        """Keep a short scalar that the application put there as a facet, unless it is there."""
        text = facet_text(value)
        if text is not None and len(self.attached) < FACETS_PER_STEP:
            self.attached.setdefault(name, text)

    def fingerprint(self, name: str, value: Any) -> None:
        """Keep a short hash of something too long for a facet (a prompt, tool definitions)."""
        text = as_text(value)
        if text:
            self.facet(name, short_hash(text))

    def metadata(self, values: Any) -> None:
        """What an application attached: session and user where named so, other scalars as facets."""
        for name, raw in (as_dict(values) or {}).items():
            value = unquoted(raw)
            plain = name.lower().replace("_", "").replace("-", "").replace(".", "")
            if plain in SESSION_NAMES:
                self.fill(session_id=id_text(value))
            elif plain in USER_NAMES:
                self.fill(user_id=id_text(value))
            elif not name.startswith(_INTERNAL):
                self.attach(name, value)


_INTERNAL = ("ls_", "LANGSMITH_", "langgraph_", "langfuse_", "checkpoint", "__", "lc_", "run_depth")
"""What frameworks put into the metadata for themselves."""

SESSION_NAMES = frozenset({"sessionid", "threadid", "conversationid", "chatid", "langfusesessionid"})
USER_NAMES = frozenset({"userid", "enduserid", "langfuseuserid", "customerid"})


def id_text(value: Any) -> str | None:
    """An id as text; None for what is no id."""
    return None if value is None or isinstance(value, bool | dict | list) else str(value) or None


def facet_text(value: Any) -> str | None:
    """A scalar as the text of a facet; None where it is none, empty, or too long to be one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float):
        return None
    text = str(value)
    return text if 0 < len(text) <= FACET_LENGTH and "\n" not in text else None


def short_hash(text: str) -> str:
    """12 hexadecimal digits of a text."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()


def whole(value: Any) -> int | None:
    """A token count: a whole number that is not negative."""
    if isinstance(value, str) and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value)


def amount(value: Any) -> float | None:
    """A number that is not negative, such as a cost in US dollars."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def pick(attributes: Mapping[str, Any], *names: str) -> Any:
    """The first of the attributes that has a value."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def first_of(value: Any) -> str | None:
    """A text, or the first text of a list (a list of finish reasons)."""
    value = from_json(value)
    if isinstance(value, list | tuple):
        value = next(iter(value), None)
    return str(value) if isinstance(value, str) and value else None


def indexed(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """A list that was flattened into attributes `prefix.0.name`, or that stands there whole.

    Order follows the indices; gaps are closed.
    """
    native = from_json(attributes.get(prefix))
    if isinstance(native, list):
        return native
    start = prefix + "."
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.startswith(start):
            _plant(tree, key[len(start) :].split("."), value)
    return _ordered(tree) if tree and all(key.isdigit() for key in tree) else []


def _plant(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.setdefault(path[-1], value)


def _ordered(tree: dict[str, Any]) -> list[Any]:
    return [_grown(tree[key]) for key in sorted(tree, key=int)]


def _grown(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return _ordered(value)
    return {key: _grown(inner) for key, inner in value.items()}


def nested(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The attributes below a prefix, without it."""
    start = prefix + "."
    return {key[len(start) :]: value for key, value in attributes.items() if key.startswith(start)}


def system_text(messages: Iterable[Message]) -> str | None:
    """The system messages' texts, one after the other."""
    texts = [message.text for message in messages if message.role == "system" and message.text]
    return "\n".join(texts) if texts else None
