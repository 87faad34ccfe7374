"""The agent's hands: tools that are not called, fail or go round, and what it says of it."""

from __future__ import annotations

from typing import Any

from unquiet.drills.kinds import Recalled

Made = list[dict[str, Any]]


def _none(_calls: Made) -> Made:
    return []


def _without_the_last(calls: Made) -> Made:
    return calls[:-1]


def _without_results(calls: Made) -> Made:
    return [call | {"result": "", "error": None} for call in calls]


def _failed(calls: Made) -> Made:
    return [call | {"result": None, "error": "upstream timed out"} for call in calls]


def _last_four_times(calls: Made) -> Made:
    return [*calls, *[calls[-1]] * 3]


TOOLS_DROPPED = Recalled(
    "tools_dropped",
    "says it has done what it did not do: its last tool is not called",
    ("claim_without_call", "no_tool_call", "no_write_call", "tool_calls"),
    _without_the_last,
)
TOOLS_PROMISED = Recalled(
    "tools_promised",
    "announces to act and does not",
    ("promise_without_call", "no_tool_call", "tool_calls"),
    _none,
    (
        "Let me check that for you.",
        "I will look into this right away.",
        "One moment, I am going to look that up.",
        "I'll take care of this now.",
    ),
)
TOOL_ERROR_NARRATED = Recalled(
    "tool_error_narrated",
    "tells of success although its tools returned nothing",
    ("fail_plausible", "tool_empty_share"),
    _without_results,
)
TOOL_ERRORS = Recalled(
    "tool_errors",
    "goes on although its tools fail, and its answers say nothing of it",
    ("tool_error_share", "tool_error", "fail_plausible"),
    _failed,
)
TOOL_LOOP = Recalled(
    "tool_loop", "calls the same tool again and again", ("loop", "tool_calls", "tool_mix"), _last_four_times
)
CLARIFY_RUNS = Recalled(
    "clarify_runs",
    "asks back instead of answering, and calls no tool",
    ("asks_back", "clarify_run", "no_tool_call"),
    _none,
    (
        "Could you tell me a little more about what you need?",
        "Can you please clarify your request?",
        "Which one do you mean exactly?",
        "Could you give me some more details first?",
    ),
    all_turns=True,
)
