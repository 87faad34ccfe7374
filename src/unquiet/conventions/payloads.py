"""Requests and responses of models and frameworks -> messages: the containers around messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from unquiet.conventions.messages import (
    Json,
    Message,
    as_dict,
    as_list,
    as_text,
    first,
    from_json,
    message_of,
)

DEEPEST = 50
"""Objects deeper than this in lists of messages are not looked into."""
_MESSAGE_LISTS = ("messages", "chat_history", "contents", "new_messages", "message_history", "msg_history")
_SPOKEN = (
    "text", "content", "output", "answer", "response", "result", "final_result", "final_output", "final_answer",
    "raw", "input", "question", "query", "prompt", "user_input", "message", "value",
)  # fmt: skip


_GEMINI_FINISH = (
    "FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "BLOCKLIST",
    "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL",
)  # fmt: skip
"""Candidate.FinishReason of Google's generative language API, by number."""


def messages_of(value: Any) -> list[Message]:
    """The messages in a request, a response, a list or a single message; empty where none is recognised."""
    value = from_json(value)
    if isinstance(value, list | tuple):
        return _of_list(value)
    if isinstance(value, dict):
        return _of_object(value)
    return []


def _of_list(items: Sequence[Any], level: int = 0) -> list[Message]:
    while len(items) == 1 and isinstance(items[0], list):
        items = cast("list[Any]", items[0])
    found: list[Message] = []
    for item in items:
        message = message_of(item)
        if message is not None:
            found.append(message)
        elif (inner := as_dict(item)) is not None and ("choices" in inner or "message" in inner):
            found += _of_object(inner, level + 1)
    return found


def _of_object(value: Json, level: int = 0) -> list[Message]:
    message = message_of(value)
    if message is not None:
        return [message]
    if level > DEEPEST:
        return []
    found = _openai_chat(value) or _gemini(value) or _responses(value, level) or _langchain(value)
    if found:
        return found
    for name in _MESSAGE_LISTS:
        inner = as_list(value.get(name))
        if inner:
            return _system(value) + _of_list(inner, level)
    return _anthropic(value) or _prompt(value, level)


def _openai_chat(value: Json) -> list[Message]:
    choices = as_list(value.get("choices")) or []
    found = [message_of(choice) for choice in choices[:1]]
    if found and found[0] is None:
        text = first(as_dict(choices[0]) or {}, "text")
        return [Message("assistant", text)] if isinstance(text, str) else []
    return [message for message in found if message is not None]


def _gemini(value: Json) -> list[Message]:
    found: list[Message] = []
    for candidate in map(as_dict, (as_list(value.get("candidates")) or [])[:1]):
        if candidate is None:
            continue
        content = as_dict(candidate.get("content")) or {}
        finish = first(candidate, "finishReason", "finish_reason")
        if isinstance(finish, int) and 0 <= finish < len(_GEMINI_FINISH):
            finish = _GEMINI_FINISH[finish]
        message = message_of({"role": "model", **content, "finish_reason": finish})
        if message is not None:
            found.append(message)
    return found


def _responses(value: Json, level: int) -> list[Message]:
    """OpenAI's Responses API: a list of items under `output` or `input`."""
    output = as_list(value.get("output")) if not isinstance(value.get("output"), str) else None
    if output:
        items = [message for message in map(message_of, output) if message is not None]
        return [_joined(items)] if items and all(item.role == "assistant" for item in items) else items
    items = as_list(value.get("input")) if not isinstance(value.get("input"), str) else None
    found = _of_list(items, level) if items else []
    return _system(value) + found if found else []


def _joined(items: list[Message]) -> Message:
    texts = [item.text for item in items if item.text]
    return Message(
        "assistant", "\n".join(texts) if texts else None, tuple(call for item in items for call in item.calls)
    )


def _langchain(value: Json) -> list[Message]:
    generations = as_list(value.get("generations")) or []
    while generations and isinstance(generations[0], list):
        generations = cast("list[Any]", generations[0])
    for generation in map(as_dict, generations[:1]):
        if generation is None:
            continue
        message = message_of(generation)
        if message is not None:
            return [message]
        text = generation.get("text")
        return [Message("assistant", text)] if isinstance(text, str) else []
    return []


def _anthropic(value: Json) -> list[Message]:
    """A response without a role: content parts and a stop reason."""
    content = value.get("content")
    if not isinstance(content, list):
        return []
    message = message_of({"role": "assistant", **value})
    return [message] if message is not None and (message.text or message.calls) else []


def _prompt(value: Json, level: int) -> list[Message]:
    prompt = value.get("prompt")
    if isinstance(prompt, str):
        return [*_system(value), Message("user", prompt)]
    return _of_list(cast("list[Any]", prompt), level) if isinstance(prompt, list) else []


def _system(value: Json) -> list[Message]:
    config = as_dict(value.get("config")) or {}
    raw = first(value, "system", "instructions", "system_instruction", "systemInstruction") or config.get(
        "system_instruction"
    )
    if raw is None:
        return []
    message = message_of(
        {"role": "system", "content": raw}
        if isinstance(raw, str | list)
        else {"role": "system", **(as_dict(raw) or {})}
    )
    return [message] if message is not None else []


def last_user(messages: Sequence[Message]) -> str | None:
    """The text of the last message of the user."""
    return next((m.text for m in reversed(messages) if m.role == "user" and m.text is not None), None)


def last_answer(messages: Sequence[Message]) -> str | None:
    """The text of the last message of the assistant that says something."""
    return next((m.text for m in reversed(messages) if m.role == "assistant" and m.text is not None), None)


def spoken(value: Any) -> str | None:
    """The text a person would read in a value that is no message: the value of a telling key, else JSON."""
    value = from_json(value)
    while isinstance(value, dict):
        item = cast("Json", value)
        for name in _SPOKEN:
            inner = item.get(name)
            if isinstance(inner, str):
                return inner
        texts = [inner for inner in item.values() if isinstance(inner, str)]
        if len(texts) == 1 and len(item) == 1:
            return texts[0]
        inner = next((item[name] for name in _SPOKEN if isinstance(item.get(name), dict)), None)
        if inner is None:
            break
        value = inner
    return as_text(value)


def request_text(value: Any) -> str | None:
    """The user's request in an input of any shape."""
    if value is None:
        return None
    messages = messages_of(value)
    return last_user(messages) if messages else spoken(value)


def answer_text(value: Any) -> str | None:
    """The agent's answer in an output of any shape; None where the output only calls tools."""
    if value is None:
        return None
    messages = messages_of(value)
    return last_answer(messages) if messages else spoken(value)
