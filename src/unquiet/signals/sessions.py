"""Whole sessions: length, tools called or avoided, endings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SessionBatch, SignalInfo, TurnBatch
from unquiet.signals.actions import acted, comparable
from unquiet.signals.deflection import called_handoff
from unquiet.signals.language import covered
from unquiet.signals.parts import Sessionwise
from unquiet.signals.shortness import asks_back
from unquiet.signals.text import Bools, bools, characters, floats, head, present, where
from unquiet.signals.tools import acts, call_count, failed, turn_of_call
from unquiet.signals.wording import WORDING_VERSION, hit

_YES_OR_NO = r"^\W*(?:yes|yep|no|ja|nein|s[ií]|no|oui|non|sim|não|是的?|对|没有|はい|いいえ)(?:[,.!:;，。、 ]|$)"


def turn_counts(sessions: SessionBatch) -> npt.NDArray[np.int64]:
    """Turns per session, shape (len(sessions),)."""
    return np.diff(sessions.starts)


def session_of_turn(sessions: SessionBatch) -> npt.NDArray[np.int64]:
    """The session of each turn, shape (number of turns,)."""
    return sessions.turns.once("sessions:of_turn", lambda: np.repeat(np.arange(len(sessions)), turn_counts(sessions)))


def total(sessions: SessionBatch, per_turn: FloatArray) -> FloatArray:
    """Sum of the turns' known values per session; NaN where a session has none."""
    known = ~np.isnan(per_turn)
    of_turn = session_of_turn(sessions)
    count = np.bincount(of_turn[known], minlength=len(sessions))
    summed = np.bincount(of_turn[known], weights=per_turn[known], minlength=len(sessions))
    return where(count > 0, summed)


def any_turn(sessions: SessionBatch, per_turn: FloatArray) -> FloatArray:
    """1 where a turn of the session has 1, 0 where its known turns all have 0; NaN where none is known."""
    summed = total(sessions, per_turn)
    return where(~np.isnan(summed), summed > 0)


def complete(sessions: SessionBatch, column: str) -> Bools:
    """True for sessions of which every turn has `column`, shape (len(sessions),)."""
    lacking = session_of_turn(sessions)[~present(sessions.turns, column)]
    return np.bincount(lacking, minlength=len(sessions)) == 0


def settled(sessions: SessionBatch, per_turn: FloatArray, hangs: Bools) -> FloatArray:
    """`any_turn`, and NaN where no turn has 1 but one might: `hangs` marks turns whose value hangs on what is not known."""
    found = any_turn(sessions, where(~hangs, per_turn))
    undecided = np.bincount(session_of_turn(sessions)[hangs], minlength=len(sessions)) > 0
    return where((found == 1) | ~undecided, found)


def _none(sessions: SessionBatch, count: FloatArray) -> FloatArray:
    """1 for sessions that have none of what is counted per turn, 0 for those that have some; NaN where it cannot be told."""
    some = total(sessions, count)
    return where((some > 0) | complete(sessions, "tool_calls"), some == 0)


def _calls(sessions: SessionBatch) -> FloatArray:
    return where(complete(sessions, "tool_calls"), total(sessions, call_count(sessions.turns)))


def _no_call(sessions: SessionBatch) -> FloatArray:
    return _none(sessions, call_count(sessions.turns))


def _no_write_call(sessions: SessionBatch) -> FloatArray:
    turns = sessions.turns
    wrote = np.bincount(turn_of_call(turns)[acts(turns)], minlength=len(turns))
    return _none(sessions, where(present(turns, "tool_calls"), wrote))


def _output_chars(sessions: SessionBatch) -> FloatArray:
    return total(sessions, characters(sessions.turns))


def _latency_max(sessions: SessionBatch) -> FloatArray:
    latency = floats(sessions.turns.column("latency_ms"))
    if len(sessions) == 0:
        return np.zeros(0)
    highest = np.maximum.reduceat(np.nan_to_num(latency, nan=-np.inf), sessions.starts[:-1])
    return where(np.isfinite(highest), highest)


def _claim(sessions: SessionBatch) -> FloatArray:
    """A claim is supported when an acting call succeeded by then, and no more claims than such calls were made by then.

    An answer that begins with yes or no says again what was done: it is not held against the calls.
    """
    turns = sessions.turns
    claims = hit(turns, "claim") & _readable(turns)
    said_again = bools(pc.match_substring_regex(head(turns), _YES_OR_NO))
    calls = np.bincount(turn_of_call(turns)[acts(turns) & ~failed(turns)], minlength=len(turns))
    counted = claims & present(turns, "tool_calls")
    too_many = claims & ~said_again & ~acted(turns) & (_so_far(sessions, counted) > _so_far(sessions, calls))
    alone = (claims & ~acted_so_far(sessions)) | too_many
    untold = _so_far(sessions, ~present(turns, "tool_calls")) > 0
    return settled(sessions, where(comparable(turns), alone), alone & untold)


def _readable(turns: TurnBatch) -> Bools:
    return present(turns, "output") & covered(turns)


def _so_far(sessions: SessionBatch, per_turn: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Sum over the turns of a session up to each turn, shape (number of turns,)."""
    done = np.cumsum(per_turn.astype(np.int64))
    before = np.concatenate([[0], done])[sessions.starts[:-1]]
    return done - before[session_of_turn(sessions)]


def acted_so_far(sessions: SessionBatch) -> Bools:
    """True for turns by whose end an acting call of their session had succeeded, shape (number of turns,)."""
    return _so_far(sessions, acted(sessions.turns)) > 0


def _promise(sessions: SessionBatch) -> FloatArray:
    turns = sessions.turns
    of_turn = session_of_turn(sessions)
    calls = call_count(turns)
    later = np.zeros(len(turns))
    later[:-1] = np.where(of_turn[1:] == of_turn[:-1], calls[1:], 0.0)
    open_promise = hit(turns, "promise") & _readable(turns) & ~(calls > 0) & ~(later > 0)
    return settled(sessions, where(comparable(turns), open_promise), open_promise & np.isnan(calls + later))


def _handoff_offer(sessions: SessionBatch) -> FloatArray:
    turns = sessions.turns
    called = any_turn(sessions, called_handoff(turns))
    offered = any_turn(sessions, where(_readable(turns), hit(turns, "handoff")))
    alone = (offered == 1) & (called == 0)
    hangs = alone & ~complete(sessions, "tool_calls")
    return where(~np.isnan(offered) & ~np.isnan(called) & ~hangs, alone)


def _abandonment(sessions: SessionBatch) -> FloatArray:
    turns = sessions.turns
    refusal = sessions.readings.get("refusal", np.full(len(turns), np.nan))
    asks = asks_back(turns) == 1
    last = sessions.starts[1:] - 1
    return where((asks | ~np.isnan(refusal))[last], (asks | (refusal >= 0.5))[last])


def _card(
    name: str,
    kind: str,
    definition: str,
    up: str,
    down: str,
    needs: tuple[str, ...],
    *,
    alarms: bool = True,
    version: int = 1,
    none_means: str = "",
) -> SignalInfo:
    return SignalInfo(
        name,
        version,
        "number" if kind == "number" else "flag",
        "session",
        "none",
        definition,
        up,
        down,
        needs,
        alarms,
        none_means or _none_means(needs, version),
    )


def _none_means(needs: tuple[str, ...], version: int) -> str:
    if not needs:
        return ""
    language = " in a language with wording families" if version == WORDING_VERSION else ""
    return f"No turn of the session has {' and '.join(f'`{name}`' for name in needs)}{language}."


_CALLS_UNTOLD = "The tool calls of a turn of the session were not recorded"
_HANGS = (
    "No turn of the session has `output` and `tool_calls` in a language with wording families, or the matter hangs on a turn "
    "whose tool calls were not recorded."
)


SIGNALS = (
    Sessionwise(
        _card(
            "turns",
            "number",
            "Turns of the session; how much users ask is theirs, so sessions are compared with those as long.",
            "needs more turns",
            "needs fewer turns",
            (),
            alarms=False,
            version=2,
        ),
        lambda sessions: turn_counts(sessions).astype(np.float64),
    ),
    Sessionwise(
        _card(
            "tool_calls",
            "number",
            "Tool calls of the session.",
            "makes more tool calls",
            "makes fewer tool calls",
            ("tool_calls",),
            version=2,
            none_means=f"{_CALLS_UNTOLD}.",
        ),
        _calls,
    ),
    Sessionwise(
        _card(
            "no_tool_call",
            "flag",
            "No tool was called in the session; more often than such requests usually have it, that is tool avoidance.",
            "calls no tool",
            "calls a tool more often",
            ("tool_calls",),
            version=2,
            none_means=f"{_CALLS_UNTOLD}, and the others called none.",
        ),
        _no_call,
    ),
    Sessionwise(
        _card(
            "no_write_call",
            "flag",
            "No tool that acts was called in the session; read like `no_tool_call`.",
            "takes no action with its tools",
            "takes an action with its tools more often",
            ("tool_calls",),
            version=2,
            none_means=f"{_CALLS_UNTOLD}, and the others took no action.",
        ),
        _no_write_call,
    ),
    Sessionwise(
        _card(
            "session_output_chars",
            "number",
            "Characters of all answers of the session that were recorded.",
            "writes more in a session",
            "writes less in a session",
            ("output",),
            alarms=False,
        ),
        _output_chars,
    ),
    Sessionwise(
        _card(
            "latency_max_ms",
            "number",
            "The slowest answer of the session, in milliseconds.",
            "keeps users waiting longer",
            "keeps users waiting less",
            ("latency_ms",),
            alarms=False,
        ),
        _latency_max,
    ),
    Sessionwise(
        _card(
            "session_claim_without_call",
            "flag",
            "An answer says that something was done; by then no acting call had succeeded in the session, or fewer than "
            "there were such answers.",
            "claims actions that it did not take",
            "claims actions that it did not take less often",
            ("output", "tool_calls"),
            version=WORDING_VERSION + 1,
            none_means=_HANGS,
        ),
        _claim,
    ),
    Sessionwise(
        _card(
            "session_promise_without_call",
            "flag",
            "An answer announces an action, and neither its turn nor the next calls a tool.",
            "promises actions without taking them",
            "promises actions without taking them less often",
            ("output", "tool_calls"),
            version=WORDING_VERSION + 1,
            none_means=_HANGS,
        ),
        _promise,
    ),
    Sessionwise(
        _card(
            "handoff_offer_without_call",
            "flag",
            "An answer offers to pass the user on, and no tool that does so was called in the session.",
            "offers a person without connecting one",
            "offers a person without connecting one less often",
            ("output", "tool_calls"),
            version=WORDING_VERSION + 1,
            none_means=_HANGS,
        ),
        _handoff_offer,
    ),
    Sessionwise(
        _card(
            "abandonment",
            "flag",
            "The session's last answer asks or refuses, and the user says no more.",
            "leaves users who then give up",
            "leaves fewer users who then give up",
            ("output",),
            version=WORDING_VERSION + 1,
            none_means="The last answer does not ask, and whether it refuses is unknown: it was not recorded, or is in a language "
            "without wording families.",
        ),
        _abandonment,
    ),
)
