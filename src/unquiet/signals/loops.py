"""Going round in circles: the same call again, two calls in turn, questions back, the user repeating."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SessionBatch, SignalInfo
from unquiet.signals.hashing import hashed
from unquiet.signals.parts import Sessionwise
from unquiet.signals.sessions import any_turn, complete, session_of_turn, settled, total, turn_counts
from unquiet.signals.shortness import asks_back
from unquiet.signals.text import Bytes, bools, bytes_of, filled, matched, present, tail, text_of, where
from unquiet.signals.tools import call_count, calls, turn_of_call
from unquiet.stats.runs import distinct

LOOP_CALLS = 3
"""So many identical calls in a session, or so many rounds of two alternating calls, make a loop."""

CLARIFY_RUN = 3
"""So many answers in a row that ask, without a tool call, make a run of clarification."""


REPEAT_CHARACTERS = 200
"""How much of a request is compared with the one before."""

_CONFIRMATION = (
    r"(?:proceed|confirm|go ahead|would you like|would that|shall i|should i|do you want|does that|is that ok|fortfahren|"
    r"bestätigen|möchten sie|soll ich|desea|quiere que|confirma|souhaitez-vous|voulez-vous|deseja|quer que)"
    r"[^.!?]*[?.]?\W*$"
)
"""Asking whether to go on is no question for what is missing."""

_SOLID = np.ones(256, np.bool_)
_SOLID[list(b" \t\n\f\r")] = False
_BLANKED = np.arange(256, dtype=np.uint8)
_BLANKED[list(b"!\"#%&'()*,-./:;?@[\\]_{}")] = ord(" ")
"""ASCII bytes that Unicode counts as punctuation become blanks."""

REPEAT_SHARE, REPEAT_WORDS = 0.7, 4
"""A request of at least so many different words that has so many of them in common with the one before repeats it."""


def _call_keys(sessions: SessionBatch) -> npt.NDArray[np.int64]:
    """One integer a call, equal for calls of the same tool with the same arguments up to blanks and case."""
    each = calls(sessions.turns)
    arguments = _without_blanks(pc.utf8_lower(pc.fill_null(each.field("arguments"), "")))
    name = pc.fill_null(each.field("name"), "").cast(pa.large_string())
    together = pc.binary_join_element_wise(name, arguments, pa.scalar("\x00", pa.large_string()))
    return together.dictionary_encode().indices.to_numpy().astype(np.int64)


def _without_blanks(text: pa.Array) -> pa.Array:
    data, offsets = bytes_of(text)
    kept = _SOLID[data]
    return text_of(data[kept], np.concatenate([[0], np.cumsum(kept)])[offsets])


def _runs(same: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Length of the run of True that ends at each place."""
    count = np.arange(1, len(same) + 1)
    return count - np.maximum.accumulate(np.where(same, 0, count)) if len(same) else count


def _loop(sessions: SessionBatch) -> FloatArray:
    key, of_call = _call_keys(sessions), session_of_turn(sessions)[turn_of_call(sessions.turns)]
    # Two calls whose arguments were not captured need not be the same call.
    untold = (
        np.bincount(of_call[bools(pc.is_null(calls(sessions.turns).field("arguments")))], minlength=len(sessions)) > 0
    )
    of_key = of_call * (len(key) + 1) + key
    _, place, times = np.unique(of_key, return_index=True, return_counts=True)
    again = np.bincount(of_call[place[times >= LOOP_CALLS]], minlength=len(sessions)) > 0
    cycle = _cycles(key, of_call, 2) | _cycles(key, of_call, 3)
    cycles = np.bincount(of_call[cycle], minlength=len(sessions)) > 0
    found = again | cycles
    return where(~untold & (found | complete(sessions, "tool_calls")), found)


def _cycles(key: npt.NDArray[np.int64], of_call: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.bool_]:
    """True at each call by which a cycle of `length` different calls has gone round `LOOP_CALLS` times."""
    back = np.zeros(len(key), np.bool_)
    if len(key) > length:
        same = (key[length:] == key[:-length]) & (of_call[length:] == of_call[:-length])
        back[length:] = same & (key[length:] != key[length - 1 : -1])
    return _runs(back) >= length * (LOOP_CALLS - 1)


def _clarify_run(sessions: SessionBatch) -> FloatArray:
    turns = sessions.turns
    calls, said = call_count(turns), present(turns, "output")
    asks = asks_back(turns) == 1
    asks &= ~matched(tail(turns), _CONFIRMATION, asks)
    run = _asks_on(sessions, asks & (calls == 0))
    perhaps = _asks_on(sessions, (asks | ~said) & ~(calls > 0))
    found = settled(sessions, where(said, run), perhaps & ~run)
    return where(~np.isnan(total(sessions, calls)), found)


def _asks_on(sessions: SessionBatch, asks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """True for turns that end a run of at least `CLARIFY_RUN` turns of their session that ask."""
    first = np.zeros(len(asks), np.bool_)
    first[sessions.starts[:-1]] = True
    continues = asks & np.concatenate([[False], asks[:-1]]) & ~first if len(asks) else asks
    return _runs(continues) >= CLARIFY_RUN - 1


def _user_repeat(sessions: SessionBatch) -> FloatArray:
    turns = sessions.turns
    of_turn, asked = session_of_turn(sessions), present(turns, "input")
    same = of_turn[1:] == of_turn[:-1]
    repeats = np.zeros(len(turns), np.bool_)
    repeats[1:] = same & (_shared_words(filled(turns, "input")) >= REPEAT_SHARE)
    pairs = asked.copy()
    pairs[1:] &= asked[:-1] | ~same
    # The first request of a session says something only where no other follows.
    pairs[sessions.starts[:-1]] &= turn_counts(sessions) == 1
    return any_turn(sessions, where(pairs, repeats))


def _shared_words(text: pa.Array) -> FloatArray:
    """Distinct words in common of each text and the next, over those of the longer one, shape (len(text) - 1,).

    0 where the longer one has fewer than `REPEAT_WORDS`. Case and punctuation at the ends of words do not count.
    """
    row, word = hashed(*_without_marks(pc.utf8_lower(pc.utf8_slice_codeunits(text, 0, REPEAT_CHARACTERS))))
    _, code = np.unique(word, return_inverse=True)
    size = len(word) + 1
    # Each word of each text once. What stands in the text after it, too, is found as many places on as there are words.
    keys = distinct((row * size + code).astype(np.uint64)).astype(np.int64)
    place = np.minimum(np.searchsorted(keys, keys + size), len(keys) - 1)
    both = keys // size
    count = np.bincount(both, minlength=len(text))
    shared = np.bincount(both[keys[place] == keys + size], minlength=len(text))[: len(text) - 1]
    longer = np.maximum(count[1:], count[:-1])
    return np.where(longer >= REPEAT_WORDS, shared / np.maximum(longer, 1), 0.0)


def _without_marks(text: pa.Array) -> Bytes:
    """The texts with a blank for every punctuation mark."""
    beyond_ascii = pc.not_equal(pc.binary_length(text), pc.utf8_length(text))
    plain = pc.replace_substring_regex(text.filter(beyond_ascii), r"[\p{P}\s]+", " ")
    data, offsets = bytes_of(pc.replace_with_mask(text, beyond_ascii, plain))
    return _BLANKED[data], offsets


def _card(
    name: str, definition: str, up: str, down: str, needs: tuple[str, ...], none_means: str, version: int = 1
) -> SignalInfo:
    return SignalInfo(name, version, "flag", "session", "none", definition, up, down, needs, none_means=none_means)


SIGNALS = (
    Sessionwise(
        _card(
            "loop",
            f"The same tool was called with the same arguments {LOOP_CALLS} times, "
            f"or a cycle of two or three calls went round {LOOP_CALLS} times.",
            "calls its tools in circles",
            "calls its tools in circles less often",
            ("tool_calls",),
            "The tool calls of a turn of the session were not recorded, or the arguments of a call.",
            version=3,
        ),
        _loop,
    ),
    Sessionwise(
        _card(
            "clarify_run",
            f"{CLARIFY_RUN} answers in a row ask the user for something, other than whether to go on, and call no tool.",
            "keeps asking back",
            "keeps asking back less often",
            ("output", "tool_calls"),
            "No answer of the session was recorded, or no tool calls; or it hangs on a turn of which one is missing.",
            version=4,
        ),
        _clarify_run,
    ),
    Sessionwise(
        _card(
            "user_repeat",
            f"Two requests in a row have {REPEAT_SHARE:.0%} of their words in common: the user says it again.",
            "makes users repeat themselves",
            "makes users repeat themselves less often",
            ("input",),
            "No two requests in a row were recorded, nor the one that there is.",
            version=3,
        ),
        _user_repeat,
    ),
)
