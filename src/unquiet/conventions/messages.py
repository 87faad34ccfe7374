"""Messages of a conversation, read from the shapes in which providers and frameworks write one message."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import orjson

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Json: TypeAlias = "Mapping[str, Any]"

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "agent": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "function": "tool",
}
_LANGCHAIN = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
_CALL_PARTS = frozenset({"tool_call", "tool_use", "tool-call", "function_call", "server_tool_call", "server_tool_use"})
_RESULT_PARTS = frozenset(
    {"tool_call_response", "tool_result", "tool-result", "function_call_output", "server_tool_call_response"}
)
_PLAIN = frozenset({"role", "parts", "content", "finish_reason"})
_OPENING = ("{", "[")
_PYTHON = ("{'", "[{", "['")
PYTHON_TEXT_LIMIT = 200_000
_SHALLOW = 250
"""A text with fewer brackets cannot be deep."""
_UNSPOKEN = frozenset({"reasoning", "thinking", "redacted_thinking", "thought"})


class ToolUse(NamedTuple):
    """One call of a tool as far as it is known; arguments and result are text.

    `ran` tells the sight of a call that was carried out (a tool's span, a result) from the wish for it.
    """

    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    result: str | None = None
    error: str | None = None
    ran: bool = False


class Message(NamedTuple):
    """One message: `calls` are the tool calls it makes, `results` the tool results that it brings.

    `text` is None where there is none (a message that only calls tools).
    """

    role: Role
    text: str | None
    calls: tuple[ToolUse, ...] = ()
    results: tuple[ToolUse, ...] = ()
    finish_reason: str | None = None


def as_text(value: Any) -> str | None:
    """A value as text: texts as they are, null as none, everything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # integers of more than 64 bits
        return _as_python(value)


def _as_python(value: Any) -> str | None:
    try:
        return str(value)
    except RecursionError:  # lists in lists, a thousand deep: nobody's text
        return None


def from_json(value: Any) -> Any:
    """The value inside a JSON text (or the text of a Python object); other texts and values as they are.

    JSON that is more than 254 levels deep counts as any other text.
    """
    if isinstance(value, str) and value.lstrip()[:1] in _OPENING:
        try:
            read = orjson.loads(value)
            deep = value.count("[") + value.count("{") > _SHALLOW and _is_deep(read)
            return value if deep else read
        except orjson.JSONDecodeError:
            python = value.lstrip()[:2] in _PYTHON and len(value) <= PYTHON_TEXT_LIMIT
            return _from_python(value) if python else value
    return value


def _is_deep(value: Any) -> bool:
    """Whether lists and objects lie in each other deeper than orjson writes (254): what recurses would fail there."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


def _from_python(text: str) -> Any:
    """Some instrumentations write str(object); literals only are read, nothing runs."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def unquoted(value: Any) -> Any:
    """The text in a JSON text, for exporters that encode texts too; anything else as it is."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def as_dict(value: Any) -> Json | None:
    """The value where it is an object (or the JSON text of one)."""
    value = from_json(value)
    return value if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """The value where it is a list (or the JSON text of one)."""
    value = from_json(value)
    return cast("list[Any]", list(value)) if isinstance(value, list | tuple) else None


def text_or_none(value: Any) -> str | None:
    """A non-empty id or name as text."""
    return None if value is None or value == "" or isinstance(value, dict | list) else str(value)


def first(mapping: Json, *names: str) -> Any:
    """The first of the named values that is there."""
    for name in names:
        value = mapping.get(name)
        if value is not None:
            return value
    return None


def message_of(raw: Any) -> Message | None:
    """The message in an object, None where it is none."""
    if isinstance(raw, dict) and raw.keys() <= _PLAIN:
        plain = _plain(raw)
        if plain is not None:
            return plain
    item = as_dict(raw)
    if item is None:
        return None
    item = _unwrapped(item)
    kind = str(item.get("type") or "")
    bare = "toolName" in item and "role" not in item
    if bare and first(item, "result", "output") is not None:
        return Message("tool", None, results=(result_of(item),))
    if (bare or kind in _CALL_PARTS) and "role" not in item:
        return Message("assistant", None, calls=(call_of(item),))
    if kind in _RESULT_PARTS and "role" not in item:
        return Message("tool", None, results=(result_of(item),))
    role = ROLES.get(str(item.get("role") or _LANGCHAIN.get(kind.lower(), "")).lower())
    if role is None:
        return None
    return _built(role, item)


def _plain(item: Json) -> Message | None:
    """What `_built` makes of a message that says nothing beside its content; None where it must look closer."""
    name = item.get("role")
    role = ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        return None
    content = item.get("parts")
    if content is None:
        content = item.get("content")
    finish = text_or_none(item.get("finish_reason"))
    if isinstance(content, list) and len(content) == 1 and role != "tool":
        text = _plain_text(content[0])
        if text is not None:
            return Message(role, text, (), (), finish)
    texts, calls, results = _parts(content)
    if role == "tool" and not results:
        return None
    text = "\n".join(texts) if texts else None
    if role == "user" and text is None and results:
        role = "tool"
    return Message(role, text, tuple(calls), tuple(results), finish)


def _plain_text(part: Any) -> str | None:
    """The text of a part that has nothing but its text."""
    if isinstance(part, dict) and len(part) == 2 and part.get("type") == "text":
        text = part.get("content")
        return text if isinstance(text, str) else None
    return None


def _unwrapped(item: Json) -> Json:
    """LangChain's serialised messages and wrappers around a message, opened."""
    kwargs, ident = item.get("kwargs"), item.get("id")
    if isinstance(kwargs, dict) and isinstance(ident, list) and ident:
        name = str(ident[-1]).removesuffix("Chunk").removesuffix("Message").lower()
        return {"type": name, **cast("Json", kwargs)}
    data = item.get("data")
    if isinstance(data, dict) and str(item.get("type", "")).lower() in _LANGCHAIN:
        return {**cast("Json", data), "type": str(item["type"]).lower()}
    inner = item.get("message")
    if isinstance(inner, dict) and "role" not in item:
        found = {**cast("Json", inner)}
        if item.get("finish_reason"):
            found["finish_reason"] = item["finish_reason"]
        return found
    return item


def _built(role: Role, item: Json) -> Message:
    content = first(item, "parts", "content", "contents", "text")
    texts, calls, results = _parts(content)
    calls += _listed_calls(item)
    call_id = text_or_none(first(item, "tool_call_id", "id" if role == "tool" else "tool_call_id"))
    text = "\n".join(texts) if texts else None
    if role == "assistant" and text is None and item.get("refusal"):
        text = str(item["refusal"])
    if role == "tool" and not results:
        failed = item.get("status") == "error" or item.get("is_error") is True or bool(item.get("error"))
        shown = text if text is not None else as_text(content)
        results = [ToolUse(call_id, text_or_none(item.get("name")), None, shown, shown if failed else None, ran=True)]
    if role == "user" and text is None and results:
        role = "tool"
    finish = first(item, "finish_reason", "stop_reason", "finishReason")
    if finish is None:
        finish = (as_dict(item.get("response_metadata")) or {}).get("finish_reason")
    return Message(role, text, tuple(calls), tuple(results), text_or_none(finish))


def _listed_calls(item: Json) -> list[ToolUse]:
    """Tool calls beside the content (OpenAI, LangChain)."""
    extra = as_dict(item.get("additional_kwargs")) or {}
    listed = as_list(first(item, "tool_calls", "toolCalls")) or as_list(extra.get("tool_calls")) or []
    calls = [call_of(call) for call in map(as_dict, listed) if call is not None]
    old = as_dict(item.get("function_call"))
    return [*calls, call_of(old)] if old and old.get("name") else calls


def _parts(content: Any) -> tuple[list[str], list[ToolUse], list[ToolUse]]:
    """Texts, tool calls and tool results of a message's content."""
    if content is None:
        return [], [], []
    if isinstance(content, str):
        return [content], [], []
    texts: list[str] = []
    calls: list[ToolUse] = []
    results: list[ToolUse] = []
    for part in content if isinstance(content, list | tuple) else [content]:
        if isinstance(part, dict):
            text = _plain_text(part)
            if text is not None:
                texts.append(text)
            else:
                _one_part(part, texts, calls, results)
        elif isinstance(part, str):
            texts.append(part)
    return texts, calls, results


def _one_part(part: Json, texts: list[str], calls: list[ToolUse], results: list[ToolUse]) -> None:
    inner = part.get("message_content")
    if isinstance(inner, dict):
        part = cast("Json", inner)
    kind = str(part.get("type") or part.get("kind") or "")
    if kind in _CALL_PARTS:
        calls.append(call_of(part))
    elif kind in _RESULT_PARTS:
        results.append(result_of(part))
    elif isinstance(part.get("functionCall") or part.get("function_call"), dict):
        calls.append(call_of(cast("Json", part.get("functionCall") or part.get("function_call"))))
    elif isinstance(part.get("functionResponse") or part.get("function_response"), dict):
        results.append(result_of(cast("Json", part.get("functionResponse") or part.get("function_response"))))
    elif kind not in _UNSPOKEN and part.get("thought") is not True:
        text = first(part, "text", "content", "refusal")
        if isinstance(text, str):
            texts.append(text)


def call_of(raw: Json) -> ToolUse:
    """A tool call in any of its shapes."""
    call = as_dict(raw.get("tool_call")) or raw
    function = as_dict(call.get("function")) or as_dict(call.get("server_tool_call")) or call
    arguments = first(function, "arguments", "args", "input", "parameters")
    return ToolUse(
        call_id=text_or_none(first(call, "call_id", "tool_call_id", "toolCallId", "id")),
        name=text_or_none(
            first(function, "name", "toolName", "tool_name", "function_name")
            or first(call, "name", "toolName")
            or call.get("function.name")
        ),
        arguments=as_text(arguments if arguments is not None else call.get("function.arguments")),
    )


def result_of(raw: Json) -> ToolUse:
    """A tool result in any of its shapes."""
    value = first(raw, "response", "result", "output", "content", "server_tool_call_response")
    inner = as_dict(value) if isinstance(value, dict) else None
    if inner is not None and set(inner) <= {"type", "value"} and "value" in inner:
        value = inner["value"]
    if isinstance(value, list):
        texts = _parts(value)[0]
        value = "\n".join(texts) if texts else value
    text = as_text(value)
    failed = bool(first(raw, "is_error", "isError")) or str((inner or {}).get("type", "")).startswith("error")
    return ToolUse(
        call_id=text_or_none(first(raw, "call_id", "tool_use_id", "tool_call_id", "toolCallId", "id")),
        name=text_or_none(first(raw, "name", "toolName", "tool_name")),
        result=text,
        error=text if failed else None,
        ran=True,
    )


def merged(calls: Iterable[ToolUse]) -> list[ToolUse]:
    """Calls and results joined by call id, then by name in order; first sight keeps the place.

    What one sight of a call leaves out, another may fill in.
    """
    told = list(calls)
    ids = [call.call_id for call in told if call.call_id is not None]
    if len(set(ids)) == len(ids) and (len(ids) == len(told) or len({call.ran for call in told}) < 2):
        return told  # a call without an id only joins one that ran where it did not, or the other way round
    kept: list[ToolUse] = []
    for call in told:
        slot = _partner(kept, call)
        if slot is None:
            kept.append(call)
        else:
            kept[slot] = _filled(kept[slot], call)
    return kept


def _partner(kept: list[ToolUse], call: ToolUse) -> int | None:
    for slot, other in enumerate(kept):
        if call.call_id is not None and other.call_id is not None:
            if call.call_id == other.call_id:
                return slot
            continue
        same_name = call.name == other.name or call.name is None or other.name is None
        same_arguments = call.arguments == other.arguments or None in (call.arguments, other.arguments)
        if same_name and call.ran != other.ran and _agree(call, other, exact=same_arguments):
            return slot
    return None


def _agree(call: ToolUse, other: ToolUse, *, exact: bool) -> bool:
    return exact or _bare(call.arguments) == _bare(other.arguments)


def _bare(arguments: str | None) -> Any:
    """Arguments to compare: parsed, and out of the wrapper that some frameworks put around them."""
    value = from_json(arguments)
    return value["input"] if isinstance(value, dict) and set(value) == {"input"} else value


def _filled(one: ToolUse, two: ToolUse) -> ToolUse:
    return one._replace(
        call_id=one.call_id or two.call_id,
        name=one.name or two.name,
        arguments=one.arguments if one.arguments is not None else two.arguments,
        result=one.result if one.result is not None else two.result,
        error=one.error if one.error is not None else two.error,
        ran=one.ran or two.ran,
    )
