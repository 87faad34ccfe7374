"""The agent's hands: tools that are not called, fail or go round, and what it says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from unquiet.drills.editing import answered, set_column
from unquiet.model.drills import Before

Calls = list[dict[str, Any]] | None

ANNOUNCEMENTS = (
    "Let me check that for you.",
    "I will look into this right away.",
    "One moment, I am going to look that up.",
    "I'll take care of this now.",
)
QUESTIONS = (
    "Could you tell me a little more about what you need?",
    "Can you please clarify your request?",
    "Which one do you mean exactly?",
    "Could you give me some more details first?",
)


class ToolsDropped:
    """The last tool of a turn is not called any more, and the answer claims success as before."""

    name = "tools_dropped"
    says = "says it has done what it did not do: its last tool is not called"
    control = False
    signals = ("claim_without_call", "no_tool_call", "no_write_call", "tool_calls")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Drop the last call of every turn that calls a tool."""
        return _with_calls(turns, [calls[:-1] if calls else calls for calls in _calls(turns)])


class ToolsPromised:
    """Tools are announced and not called."""

    name = "tools_promised"
    says = "announces to act and does not"
    control = False
    signals = ("promise_without_call", "no_tool_call", "tool_calls")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Turns that call tools announce it instead."""
        calls = _calls(turns)
        said = [ANNOUNCEMENTS[each] for each in rng.integers(len(ANNOUNCEMENTS), size=turns.num_rows)]
        texts = turns.column("output").to_pylist()
        changed = answered(turns, [new if own else old for new, own, old in zip(said, calls, texts, strict=True)])
        return _with_calls(changed, [[] if own else own for own in calls])


class ToolErrorNarrated:
    """Tools return nothing, and the answer tells of success."""

    name = "tool_error_narrated"
    says = "tells of success although its tools returned nothing"
    control = False
    signals = ("fail_plausible", "tool_empty_share")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """The results of all calls are empty; the answers stay."""
        return _with_calls(
            turns, [own and [call | {"result": "", "error": None} for call in own] for own in _calls(turns)]
        )


class ToolLoop:
    """The same call is made again and again."""

    name = "tool_loop"
    says = "calls the same tool again and again"
    control = False
    signals = ("loop", "tool_calls", "tool_mix")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """The last call of a turn is made four times."""
        return _with_calls(turns, [own and [*own, *[own[-1]] * 3] for own in _calls(turns)])


class ClarifyRuns:
    """Asks instead of answering."""

    name = "clarify_runs"
    says = "asks back instead of answering"
    control = False
    signals = ("asks_back", "clarify_run", "no_tool_call")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Every answer becomes a question, and no tool is called."""
        picks = rng.integers(len(QUESTIONS), size=turns.num_rows)
        changed = answered(turns, [QUESTIONS[each] for each in picks])
        return _with_calls(changed, [[] if own else own for own in _calls(turns)])


def _calls(turns: pa.Table) -> list[Calls]:
    return turns.column("tool_calls").to_pylist()


def _with_calls(turns: pa.Table, calls: list[Calls]) -> pa.Table:
    return set_column(turns, "tool_calls", calls)
