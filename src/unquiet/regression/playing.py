"""Playing the requests of a case to the agent under test: exported files carry the text of this module."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import Any

AGENT = "UNQUIET_AGENT"
"""Names the agent under test, MODULE:FUNCTION. It is called with the messages so far, [{"role", "content"}], and returns
the answer as text, or {"output": text, "tool_calls": [names, or mappings with a name]}."""


def agent() -> Callable[[list[dict[str, str]]], Any]:
    """The agent under test.

    Raises:
        RuntimeError: the variable names none.
    """
    name = os.environ.get(AGENT, "")
    module, _, function = name.partition(":")
    if not module or not function:
        raise RuntimeError(f"{AGENT}={name!r}: expected MODULE:FUNCTION, a function that answers a list of messages")
    return getattr(importlib.import_module(module), function)


def play(requests: Sequence[str]) -> tuple[str, list[str] | None]:
    """The answer to the last request, after the agent has answered those before, and the tools called for it."""
    answer, messages = agent(), list[dict[str, str]]()
    output, calls = "", None
    for request in requests:
        messages.append({"role": "user", "content": request})
        output, calls = _told(answer(list(messages)))
        messages.append({"role": "assistant", "content": output})
    return output, calls


def _told(reply: Any) -> tuple[str, list[str] | None]:
    """Text and tools of a reply; None where it does not tell its tools."""
    if isinstance(reply, str):
        return reply, None
    calls = reply.get("tool_calls")
    names = None if calls is None else [call if isinstance(call, str) else str(call["name"]) for call in calls]
    return str(reply.get("output") or ""), names
