"""Going round in circles: the same call again, two calls in turn, questions back, the user repeating."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SessionBatch, SignalInfo
from unquiet.signals.parts import Sessionwise
from unquiet.signals.sessions import any_turn, session_of_turn, total
from unquiet.signals.shortness import asks_back
from unquiet.signals.text import bools, filled, present, where
from unquiet.signals.tools import call_count, calls, turn_of_call

LOOP_CALLS = 3
"""So many identical calls in a session, or so many rounds of two alternating calls, make a loop."""

CLARIFY_RUN = 3
"""So many answers in a row that ask, without a tool call, make a run of clarification."""


def _call_keys(sessions: SessionBatch) -> npt.NDArray[np.int64]:
    """One integer a call, equal for calls of the same tool with the same arguments up to blanks and case."""
    each = calls(sessions.turns)
    arguments = pc.replace_substring_regex(pc.utf8_lower(pc.fill_null(each.field("arguments"), "")), r"\s+", "")
    name = pc.fill_null(each.field("name"), "").cast(pa.large_string())
    together = pc.binary_join_element_wise(name, arguments, pa.scalar("\x00", pa.large_string()))
    return together.dictionary_encode().indices.to_numpy().astype(np.int64)


def _runs(same: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Length of the run of True that ends at each place."""
    count = np.arange(1, len(same) + 1)
    return count - np.maximum.accumulate(np.where(same, 0, count)) if len(same) else count


def _loop(sessions: SessionBatch) -> FloatArray:
    recorded = ~np.isnan(total(sessions, call_count(sessions.turns)))
    key, of_call = _call_keys(sessions), session_of_turn(sessions)[turn_of_call(sessions.turns)]
    # Two calls whose arguments were not captured need not be the same call.
    untold = np.bincount(of_call[bools(pc.is_null(calls(sessions.turns).field("arguments")))], minlength=len(sessions)) > 0
    of_key = of_call * (len(key) + 1) + key
    _, place, times = np.unique(of_key, return_index=True, return_counts=True)
    again = np.bincount(of_call[place[times >= LOOP_CALLS]], minlength=len(sessions)) > 0
    two_back = np.zeros(len(key), np.bool_)
    two_back[2:] = (key[2:] == key[:-2]) & (of_call[2:] == of_call[:-2]) & (key[2:] != key[1:-1])
    cycle = _runs(two_back) >= 2 * LOOP_CALLS - 2
    cycles = np.bincount(of_call[cycle], minlength=len(sessions)) > 0
    return where(recorded & ~untold, again | cycles)


def _clarify_run(sessions: SessionBatch) -> FloatArray:
    turns = sessions.turns
    asks = (asks_back(turns) == 1) & (np.nan_to_num(call_count(turns)) == 0)
    first = np.zeros(len(turns), np.bool_)
    first[sessions.starts[:-1]] = True
    continues = asks & np.concatenate([[False], asks[:-1]]) & ~first if len(turns) else asks
    return any_turn(sessions, where(present(turns, "output"), _runs(continues) >= CLARIFY_RUN - 1))


def _user_repeat(sessions: SessionBatch) -> FloatArray:
    turns = sessions.turns
    text = pc.ascii_lower(pc.utf8_trim(filled(turns, "input"), " \t\r\n.!?,;:"))
    key = text.dictionary_encode().indices.to_numpy()
    long = pc.greater_equal(pc.utf8_length(text), 12).to_numpy(zero_copy_only=False)
    of_turn = session_of_turn(sessions)
    repeats = np.zeros(len(turns), np.bool_)
    repeats[1:] = (key[1:] == key[:-1]) & (of_turn[1:] == of_turn[:-1]) & long[1:]
    return any_turn(sessions, where(present(turns, "input"), repeats))


def _card(name: str, definition: str, up: str, down: str, needs: tuple[str, ...]) -> SignalInfo:
    return SignalInfo(name, 1, "flag", "session", "none", definition, up, down, needs)


SIGNALS = (
    Sessionwise(
        _card(
            "loop",
            f"The same tool was called with the same arguments {LOOP_CALLS} times, "
            f"or two calls alternated {LOOP_CALLS} times.",
            "calls its tools in circles",
            "calls its tools in circles less often",
            ("tool_calls",),
        ),
        _loop,
    ),
    Sessionwise(
        _card(
            "clarify_run",
            f"{CLARIFY_RUN} answers in a row ask the user back without calling a tool.",
            "keeps asking back",
            "keeps asking back less often",
            ("output",),
        ),
        _clarify_run,
    ),
    Sessionwise(
        _card(
            "user_repeat",
            "The user says the same thing again in the next turn.",
            "makes users repeat themselves",
            "makes users repeat themselves less often",
            ("input",),
        ),
        _user_repeat,
    ),
)
