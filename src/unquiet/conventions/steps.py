"""The step: what a span says about an agent, whatever dialect it was written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

from unquiet.conventions.messages import Json, Message, ToolUse, as_dict, as_text, from_json, unquoted
from unquiet.conventions.payloads import messages_of
from unquiet.model.spans import Span

StepKind: TypeAlias = Literal["llm", "agent", "chain", "tool", "judge", "other"]
"""llm: one call of a model. agent: an invocation. chain: a framework's wrapper around either.

judge: an evaluator or guardrail, whose model calls answer nobody. other: named by a dialect, none of these.
"""

FACET_LENGTH = 120
REMEMBERED_RESOURCES = 64
INSTRUCTIONS = "instructions.hash"
FACETS_PER_STEP = 40


class Seen:
    """What was read before: an agent's span and its model calls hold the same texts, its spans the same resource."""

    def __init__(self) -> None:
        # By length: texts of messages are long, and cheaper to compare than to hash.
        self._messages: dict[int, tuple[str, list[Message]]] = {}
        self._hashes: dict[str, str] = {}
        self._resources: dict[int, tuple[Json, dict[str, str]]] = {}

    def forget_texts(self) -> None:
        """Another trace begins: its texts are its own."""
        self._messages.clear()
        self._hashes.clear()
        if len(self._resources) > REMEMBERED_RESOURCES:
            self._resources.clear()

    def messages(self, value: Any) -> list[Message]:
        """`payloads.messages_of`, once for most texts."""
        if not isinstance(value, str):
            return messages_of(value)
        known = self._messages.get(len(value))
        if known is None or known[0] != value:
            known = self._messages[len(value)] = (value, messages_of(value))
        return known[1]

    def short_hash(self, text: str) -> str:
        """`short_hash`, once for each text."""
        found = self._hashes.get(text)
        if found is None:
            found = self._hashes[text] = short_hash(text)
        return found

    def resource(self, resource: Json, read: Callable[[Json], dict[str, str]]) -> dict[str, str]:
        """What a function makes of a resource, once for each."""
        known = self._resources.get(id(resource))
        if known is None or known[0] is not resource:
            known = self._resources[id(resource)] = (resource, read(resource))
        return known[1]


Read: TypeAlias = "Callable[[Step, Any], list[Message]]"
"""Reads messages out of a source of any kind; it gets the step that asks for them."""


def messages_seen(step: Step, value: Any) -> list[Message]:
    """The messages in a value of an attribute."""
    return step.seen.messages(value)


def _as_it_is(_: Step, messages: list[Message]) -> list[Message]:
    return messages


class Step:
    """A span as far as the dialects could read it; what an earlier dialect filled, a later one leaves.

    `received` and `sent` are the messages of the first source that holds any; sources are read when somebody
    asks. `request` and `answer` hold an input or output that is not made of messages; they too may be read
    late. Token counts are those that the span itself reports. `facets` hold what instrumentations say under
    any dialect, `attached` what the application put into their metadata; `loose` names the span's attributes
    that the application added.
    """

    __slots__ = (
        "_answer", "_answer_is_raw", "_received", "_received_from", "_request", "_request_is_raw", "_sent", "_sent_from",
        "attached", "cost_usd", "error", "facets", "finish_reason", "input_tokens", "kind", "loose", "model",
        "output_tokens", "reasoning_tokens", "seen", "served_model", "session_id", "span", "tool", "user_id",
    )  # fmt: skip

    def __init__(self, span: Span, seen: Seen, loose: Sequence[str] = ()) -> None:
        self.span = span
        self.seen = seen
        self.loose = loose
        self.kind: StepKind | None = None
        self.tool = NO_TOOL
        self.model: str | None = None
        self.served_model: str | None = None
        self.finish_reason: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self.cost_usd: float | None = None
        self.session_id: str | None = None
        self.user_id: str | None = None
        self.error: str | None = None
        self.facets: dict[str, str] = {}
        self.attached: dict[str, str] = {}
        self._request = self._answer = None
        self._request_is_raw = self._answer_is_raw = False
        self._received = self._sent = _NOTHING
        self._received_from: list[tuple[Read, Any]] | None = None
        self._sent_from: list[tuple[Read, Any]] | None = None

    @property
    def received(self) -> Sequence[Message]:
        """Messages that the step was given."""
        if self._received_from:
            self._received, self._received_from = self._first_found(self._received, self._received_from), None
        return self._received

    @property
    def sent(self) -> Sequence[Message]:
        """Messages that the step gave."""
        if self._sent_from:
            self._sent, self._sent_from = self._first_found(self._sent, self._sent_from), None
        return self._sent

    @property
    def request(self) -> Any:
        """An input that is not made of messages."""
        if self._request_is_raw:
            self._request, self._request_is_raw = from_json(self._request), False
        return self._request

    @property
    def unread_request(self) -> Any:
        """The request as it stands now, or the text that it is still to be read from."""
        return self._request

    @property
    def answer(self) -> Any:
        """An output that is not made of messages."""
        if self._answer_is_raw:
            self._answer, self._answer_is_raw = from_json(self._answer), False
        return self._answer

    def _first_found(self, found: Sequence[Message], sources: list[tuple[Read, Any]]) -> Sequence[Message]:
        for read, source in sources:
            if found:
                break
            found = read(self, source)
        return found

    def receive(self, read: Read, source: Any) -> None:
        """A source of received messages, after those that are known."""
        if self._received_from is None:
            self._received_from = [(read, source)]
        else:
            self._received_from.append((read, source))

    def send(self, read: Read, source: Any) -> None:
        """A source of sent messages, after those that are known."""
        if self._sent_from is None:
            self._sent_from = [(read, source)]
        else:
            self._sent_from.append((read, source))

    def ask(self, value: Any, *, raw: bool = False) -> None:
        """Set the request where it is still empty; `raw`: a JSON text to be read when somebody asks."""
        if value not in _EMPTY and (self._request is None or self.request in (None, [], "")):
            self._request, self._request_is_raw = value, raw

    def reply(self, value: Any, *, raw: bool = False) -> None:
        """Set the answer where it is still empty; `raw`: a JSON text to be read when somebody asks."""
        if value not in _EMPTY and (self._answer is None or self.answer in (None, [], "")):
            self._answer, self._answer_is_raw = value, raw

    def converse(self, received: list[Message] | None = None, sent: list[Message] | None = None) -> None:
        """Messages that are read already, after those that are known."""
        if received:
            self.receive(_as_it_is, received)
        if sent:
            self.send(_as_it_is, sent)

    def fill(self, **values: Any) -> None:
        """Set plain fields that are still empty; None and empty texts set nothing."""
        for name, value in values.items():
            if value not in _EMPTY and getattr(self, name) is None:
                setattr(self, name, value)

    def ended_with(self) -> str | None:
        """Why the model stopped: as the span says, else as its last message does."""
        if self.finish_reason is None:
            for message in reversed(self.sent):
                if message.role == "assistant":
                    self.finish_reason = message.finish_reason
                    break
        return self.finish_reason

    def instructions_hash(self) -> str | None:
        """The hash of the instructions: as a dialect read it, else of a model call's system messages."""
        found = self.facets.get(INSTRUCTIONS)
        if found is None and self.kind == "llm":
            text = system_text(self.received)
            found = short_hash(text) if text else None
        return found

    def fill_tool(
        self,
        call_id: str | None = None,
        name: str | None = None,
        arguments: str | None = None,
        result: str | None = None,
    ) -> None:
        """Set parts of the tool call that are still empty."""
        told = self.tool
        self.tool = ToolUse(
            told.call_id if told.call_id is not None else call_id,
            told.name if told.name is not None else name,
            told.arguments if told.arguments is not None else arguments,
            told.result if told.result is not None else result,
            told.error,
            told.ran,
        )

    def facet(self, name: str, value: Any) -> None:
        """Keep a short scalar that an instrumentation wrote as a facet, unless it is there."""
        keep_facet(self.facets, name, value)

    def attach(self, name: str, value: Any) -> None:
        """Keep a short scalar that the application put there as a facet, unless it is there."""
        text = facet_text(value)
        if text is not None and len(self.attached) < FACETS_PER_STEP:
            self.attached.setdefault(name, text)

    def all_attached(self) -> dict[str, str]:
        """`attached` with the loose attributes."""
        for name in self.loose:
            self.attach(name, self.span.attributes[name])
        self.loose = ()
        return self.attached

    def fingerprint(self, name: str, value: Any) -> None:
        """Keep a short hash of something too long for a facet (a prompt, tool definitions)."""
        text = as_text(value)
        if text:
            self.facets.setdefault(name, self.seen.short_hash(text))

    def metadata(self, values: Any) -> None:
        """What an application attached: session and user where named so, other scalars as facets."""
        for name, raw in (as_dict(values) or {}).items():
            value = unquoted(raw)
            plain = str(name).lower().replace("_", "").replace("-", "").replace(".", "")
            if plain in SESSION_NAMES:
                self.fill(session_id=id_text(value))
            elif plain in USER_NAMES:
                self.fill(user_id=id_text(value))
            elif not str(name).startswith(_INTERNAL):
                self.attach(str(name), value)


NO_TOOL = ToolUse()
_NOTHING: Sequence[Message] = ()
_EMPTY = (None, "")


_INTERNAL = ("ls_", "LANGSMITH_", "langgraph_", "langfuse_", "checkpoint", "__", "lc_", "run_depth")
"""What frameworks put into the metadata for themselves."""

SESSION_NAMES = frozenset({"sessionid", "threadid", "conversationid", "chatid", "langfusesessionid"})
USER_NAMES = frozenset({"userid", "enduserid", "langfuseuserid", "customerid"})


def keep_facet(facets: dict[str, str], name: str, value: Any) -> None:
    """Keep a short scalar as a facet, unless it is there, or is the name that SDKs give to what has none."""
    if value is None or name in facets:
        return
    text = facet_text(value)
    if text is not None and not text.startswith("unknown_service"):
        facets[name] = text


def id_text(value: Any) -> str | None:
    """An id as text; None for what is no id."""
    return None if value is None or isinstance(value, bool | dict | list) else str(value) or None


def facet_text(value: Any) -> str | None:
    """A scalar as the text of a facet; None where it is none, empty, or too long to be one."""
    if isinstance(value, str):
        return value if 0 < len(value) <= FACET_LENGTH and "\n" not in value else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int | float):
        return None
    text = str(value)
    return text if len(text) <= FACET_LENGTH else None


def short_hash(text: str) -> str:
    """12 hexadecimal digits of a text."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()


_DIGITS = 16
"""Of the largest whole number that a float holds exactly."""


def whole(value: Any) -> int | None:
    """A token count: a whole number that is not negative."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value)


def amount(value: Any) -> float | None:
    """A number that is not negative, such as a cost in US dollars."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
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


def system_text(messages: Iterable[Message]) -> str | None:
    """The system messages' texts, one after the other."""
    texts = [message.text for message in messages if message.role == "system" and message.text]
    return "\n".join(texts) if texts else None
