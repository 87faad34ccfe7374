"""Which attributes identify a user, which a conversation, and which hold what was said: by their names, in every dialect."""

from __future__ import annotations

import re
from enum import IntEnum

from unquiet.conventions.steps import SESSION_NAMES, USER_NAMES

MOST_NAMES = 50_000
"""Names whose kind is remembered; flattened messages make many."""


class Kind(IntEnum):
    """What the value of an attribute is."""

    PLAIN = 0
    USER = 1
    """Identifies a person."""
    ID = 2
    """Identifies a conversation: two of them must stay two."""
    CONTENT = 3
    """What was asked, answered, or passed to a tool and back."""
    PRINTED = 4
    """Content of which a fingerprint is a facet: instructions, a template."""
    HOLDER = 5
    """An object with further names in it."""
    KNOWN = 6
    """Said by an instrumentation and no content, however long."""


_USERS = frozenset(
    {
        "user.id", "user.name", "user.full_name", "user.email", "user.hash", "user.account_id", "user.account_uuid",
        "enduser.id", "enduser.pseudo.id", "gen_ai.user.id", "langfuse.user.id", "user_id", "userId", "userid",
    }
)  # fmt: skip
_METADATA = (
    "metadata", "langfuse.trace.metadata", "langfuse.observation.metadata", "langsmith.metadata",
    "traceloop.association.properties", "ai.telemetry.metadata", "llm.invocation_parameters", "logfire.metadata",
)  # fmt: skip
"""Objects, whole or flattened, in which applications name their users as they like."""

_PERSON = re.compile(
    r"(?:end|langfuse|app|customer)?user(?:id|name|fullname|email|mail|login|handle|key|uuid)?|customerid"
)
_PUNCTUATION = re.compile(r"[_\-.]")

_CONTENT = frozenset(
    {
        "gen_ai.prompt", "gen_ai.completion", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.event.content",
        "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.retrieval.documents", "gen_ai.retrieval.query.text",
        "gen_ai.evaluation.explanation", "input.value", "output.value", "tool_call.function.arguments", "document.content",
        "embedding.text", "message.content", "traceloop.entity.input", "traceloop.entity.output",
        "langfuse.observation.input", "langfuse.observation.output", "langfuse.trace.input", "langfuse.trace.output",
        "langsmith.inputs", "langsmith.outputs", "ai.prompt", "ai.prompt.messages", "ai.response.text", "ai.response.object",
        "ai.response.toolCalls", "ai.response.reasoning", "ai.response.files", "ai.result.text", "ai.result.object",
        "ai.result.toolCalls", "ai.toolCall.args", "ai.toolCall.input", "ai.toolCall.result", "ai.toolCall.output", "ai.value",
        "ai.values", "gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response", "gcp.vertex.agent.data", "mlflow.spanInputs", "mlflow.spanOutputs",
        "mlflow.chat.messages", "events", "all_messages_events", "pydantic_ai.all_messages", "final_result",
        "tool_arguments", "tool_response", "logfire.msg", "lk.chat_ctx", "lk.response.text", "lk.user_transcript",
        "lk.input_text", "lk.function_tool.arguments", "lk.function_tool.output", "db.statement", "db.query.text",
        "llm.prompt_template.variables", "traceloop.prompt.template_variables",
    }
)  # fmt: skip
_FLATTENED = (
    "gen_ai.prompt.", "gen_ai.completion.", "llm.input_messages", "llm.output_messages", "llm.prompts", "llm.choices",
    "retrieval.documents", "reranker.", "embedding.embeddings", "traceloop.prompt.template_variables.",
)  # fmt: skip
_PRINTED = frozenset({"gen_ai.system_instructions", "llm.prompt_template.template", "traceloop.prompt.template"})
_NO_CONTENT = frozenset(
    {"gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.prompt.id", "reranker.model_name", "reranker.top_k"}
)
_STRUCTURE = frozenset({"role", "finish_reason", "index", "type", "id", "tool_call_id"})
"""Last parts of flattened names that say how a message is built."""

_KNOWN = (
    "gen_ai.", "llm.", "openinference.", "traceloop.", "langfuse.", "langsmith.", "ai.", "error.", "exception.",
    "telemetry.", "service.", "otel.", "server.", "http.", "url.", "tool",
)  # fmt: skip

CONTENT_EVENTS = re.compile(
    r"gen_ai\.(?:[a-z_]+\.message|choice|content\.[a-z]+)|gen_ai\.client\.(?:inference\.)?operation\.details"
)
"""Events that are messages: `content`, `message` and the like in them is content."""

MESSAGE_FIELDS = frozenset({"content", "message", "tool_calls", "body", "arguments", "result", "parts"})


class Kinds(dict[str, Kind]):
    """The kind of every name that was met, looked up as in a dictionary."""

    def __missing__(self, name: str) -> Kind:
        """Find the kind of a new name and remember it."""
        if len(self) >= MOST_NAMES:
            self.clear()
        kind = self[name] = kind_of(name)
        return kind


class Told(dict[str, bool]):
    """Whether a name tells a user, or may hold such names; nothing is quicker to ask for every attribute of every span."""

    def __missing__(self, name: str) -> bool:
        """Find out about a new name and remember it."""
        if len(self) >= MOST_NAMES:
            self.clear()
        told = self[name] = kind_of(name) in (Kind.USER, Kind.HOLDER)
        return told


class Lengths(dict[bytes, int]):
    """How long a serialised KeyValue is that begins so, if its name tells no user and nothing follows its value; else -1.

    The beginning is the key and three bytes more: 0A <length> <key> 12 <length> <next>, where the length of the value is one
    byte or two. A name and a length come again and again, so that one look tells of nearly every attribute that it can stay.
    """

    def __missing__(self, start: bytes) -> int:
        """Find out about a new beginning and remember it."""
        if len(self) >= MOST_NAMES:
            self.clear()
        length = self[start] = _length_of(start)
        return length


def _length_of(start: bytes) -> int:
    head = start[1] + 2
    if start[0] != 0x0A or head >= 0x82 or len(start) != head + 3 or start[head] != 0x12:
        return -1
    if kind_of(start[2:head].decode()) in (Kind.USER, Kind.HOLDER):
        return -1
    low, high = start[head + 1], start[head + 2]
    if low < 0x80:
        return head + 2 + low
    return head + 3 + (low & 0x7F | high << 7) if high < 0x80 else -1


def kind_of(name: str) -> Kind:
    """What the value of an attribute is, told from its name."""
    if name in _USERS:
        return Kind.USER
    for holder in _METADATA:
        if name == holder:
            return Kind.HOLDER
        if name.startswith(holder) and name[len(holder)] == ".":
            return kind_within(name[len(holder) + 1 :])
    if name in _PRINTED:
        return Kind.PRINTED
    if name in _CONTENT or _is_flattened_content(name):
        return Kind.CONTENT
    word = plain(name)
    if word.endswith(("userid", "useremail", "username")):
        return Kind.USER
    if word.endswith(tuple(SESSION_NAMES)):
        return Kind.ID
    return Kind.KNOWN if name.startswith(_KNOWN) else Kind.PLAIN


def kind_within(name: str) -> Kind:
    """What a field of metadata is."""
    word = plain(name)
    if word in USER_NAMES or _PERSON.fullmatch(word) or _PERSON.fullmatch(plain(name.rpartition(".")[2])):
        return Kind.USER
    return Kind.ID if word in SESSION_NAMES else Kind.PLAIN


def plain(name: str) -> str:
    """A name without the ways to write it: `User-ID`, `user_id` and `userId` are one."""
    return _PUNCTUATION.sub("", name).lower()


def _is_flattened_content(name: str) -> bool:
    if not name.startswith(_FLATTENED) or name in _NO_CONTENT:
        return False
    last = name.rpartition(".")[2]
    return not (last in _STRUCTURE or (last == "name" and ("tool_call" in name or "function" in name)))
