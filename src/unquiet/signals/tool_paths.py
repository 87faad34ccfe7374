"""The order in which a session calls its tools: each pair of calls that follow one another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import SessionBatch, SignalInfo
from unquiet.signals.parts import SessionLabelled
from unquiet.signals.sessions import complete, session_of_turn
from unquiet.signals.tools import calls, turn_of_call

START, END = "START", "END"

Pairs = tuple[npt.NDArray[np.int64], pa.Array, pa.Array]


def tool_pairs(sessions: SessionBatch) -> Pairs:
    """Every pair (tool, next tool) of sessions that called one: the session, the first and the second of each pair.

    The first call comes after START, the last before END. Pairs are in the order of the calls.
    """
    return sessions.turns.once("tool_paths:pairs", lambda: _pairs(sessions))


def _pairs(sessions: SessionBatch) -> Pairs:
    of_call = session_of_turn(sessions)[turn_of_call(sessions.turns)]
    names = pc.fill_null(calls(sessions.turns).field("name").cast(pa.string()), "(unnamed)")
    count = np.bincount(of_call, minlength=len(sessions))
    called = np.flatnonzero(count)
    size = len(of_call) + len(called)
    ends = np.cumsum(count[called] + 1) - 1
    before, after = np.full(size, len(names)), np.full(size, len(names) + 1)
    inner = np.ones(size, np.bool_)
    inner[ends] = False
    after[inner] = np.arange(len(names))
    before[1:] = after[:-1]
    before[np.concatenate([[0], ends[:-1] + 1]) if len(ends) else []] = len(names)
    pool = pa.concat_arrays([names, pa.array([START, END], pa.string())])
    return np.repeat(called, count[called] + 1), pool.take(pa.array(before)), pool.take(pa.array(after))


def _labels(sessions: SessionBatch) -> pa.ListArray:
    of_pair, first, second = tool_pairs(sessions)
    told = complete(sessions, "tool_calls")
    # What is masked must be empty too: list_flatten passes over it, list_parent_indices does not.
    kept = told[of_pair]
    of_pair, first, second = of_pair[kept], first.filter(pa.array(kept)), second.filter(pa.array(kept))
    joined = pc.binary_join_element_wise(first, second, " > ")
    pairs = pa.table({"session": of_pair, "pair": joined}).group_by(["session", "pair"], use_threads=False)
    distinct = pairs.aggregate([]).sort_by([("session", "ascending"), ("pair", "ascending")])
    sizes = np.bincount(distinct.column("session").to_numpy(), minlength=len(sessions))
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    values = distinct.column("pair").combine_chunks().cast(pa.string())
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(~told))


SESSION_CATEGORIES = (
    SessionLabelled(
        SignalInfo(
            name="tool_mix",
            version=2,
            kind="category",
            unit="session",
            reduce="none",
            definition=(
                f'Which tool is called after which: "{START} > a", "a > b", "b > {END}"; '
                "no label where no tool was called."
            ),
            phrase_up="goes {label} with its tools more often",
            phrase_down="goes {label} with its tools less often",
            needs=("tool_calls",),
            none_means="The tool calls of a turn of the session were not recorded.",
        ),
        _labels,
    ),
)
