"""Logs of whole runs -> spans: messages that an Inspect log keeps once for all of its events."""

from __future__ import annotations

from typing import Any

import pytest

from unquiet.conventions.trajectories import inspect_spans

SYSTEM = {"role": "system", "content": "Be a bank."}
ASKED = {"role": "user", "content": "attachment://abc"}
SAID = {"role": "assistant", "content": "It is 3."}


def sample(**event: Any) -> dict[str, Any]:
    """As Inspect 0.3.285 writes it."""
    own = {"event": "model", "timestamp": "2026-03-10T02:00:00+00:00", "model": "mockllm/model", "input": []}
    return {
        "id": "a",
        "uuid": "u1",
        "events": [own | event],
        "events_data": {"messages": [SYSTEM, SAID, ASKED], "calls": []},
        "attachments": {"abc": "what is my balance"},
    }


def inputs(**event: Any) -> list[Any]:
    _, call = inspect_spans(sample(**event), {"eval": {"task": "bank"}})
    return call.attributes["gen_ai.input.messages"]


def test_messages_that_are_kept_once_are_filled_in() -> None:
    whole = {"role": "user", "content": "what is my balance"}
    assert inputs(input_refs=[[0, 1], [2, 3]]) == [SYSTEM, whole]
    assert inputs(input_refs=[[0, 3]]) == [SYSTEM, SAID, whole]
    assert inputs(input=[SAID], input_refs=None) == [SAID]


@pytest.mark.parametrize("refs", [[[0, 9]], [[2, 1]], [["a", 1]], [[1]], [7], "x"])
def test_references_to_nothing_fill_in_nothing(refs: Any) -> None:
    assert inputs(input_refs=refs) == []
