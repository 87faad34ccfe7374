"""Recorded answers to learn from, and what each of them is seen to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unquiet.regression.checking import JSON, MEASURED_YES, PARTS, holds, says, script

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.int8]
"""1 yes, 0 no, -1 not known."""

NEIGHBOURS = 8
"""Answers before the onset, to the nearest requests, that say what is expected of one."""

LEAST_TOOL_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers (n,): what was asked up to them, the latest last, what was called, and of which session and turn they are.

    `session` (n,) numbers sessions, the same numbers for all answers of a suite; `vectors` (n, d) are unit vectors of the
    requests; `calls` names tools, None where they were not recorded; `signals` are readings by name, NaN where unknown.
    """

    requests: Sequence[tuple[str, ...]]
    outputs: Sequence[str]
    calls: Sequence[Sequence[str] | None]
    places: Sequence[tuple[str, int]]
    session: IntArray
    vectors: npt.NDArray[np.float32]
    signals: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(self.outputs)


@dataclass(frozen=True, slots=True)
class Feature:
    """Something an answer does or does not: as an assertion and in words, for each answer before and after."""

    assertion: Mapping[str, Any]
    does: str
    does_not: str
    before: Flags
    after: Flags


def features(
    before: Answers, after: Answers, terms: Mapping[bool, Sequence[str]], phrases: Mapping[str, str]
) -> list[Feature]:
    """All that is looked at in the answers: parts, scripts, tools, learned terms, signals, in this order.

    `terms` are those that answers after (True) and before (False) say; `phrases` finishes "the agent ..." for each signal.
    """
    found = [_part(part, before, after) for part in (*PARTS, JSON)]
    found.append(
        _of(
            {"kind": "script"},
            "answers in the script of the request",
            "answers in another script",
            _same_script,
            before,
            after,
        )
    )
    found += [_tool(tool, before, after) for tool in _tools(before, after)]
    for chosen in terms.values():
        if chosen:
            does, does_not = f"says one of: {', '.join(chosen)}", f"says none of: {', '.join(chosen)}"
            read = _saying(chosen)
            found.append(_of({"kind": "terms", "terms": list(chosen)}, does, does_not, read, before, after))
    for name, phrase in phrases.items():
        flags = [_flags(side.signals[name]) for side in (before, after)]
        found.append(Feature({"kind": "signal", "signal": name}, phrase, f"not: {phrase}", flags[0], flags[1]))
    return found


def nearest(queries: Answers, pool: Answers, count: int = NEIGHBOURS) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """For each answer those of the pool, of other sessions, whose requests are nearest: rows (n, count), cosines (n, count).

    The nearest come first, of equals the first of the pool.
    """
    columns = pool.vectors.T.astype(np.float64)
    rows, near = np.zeros((len(queries), count), np.int64), np.zeros((len(queries), count))
    for at in range(0, len(queries), 512):
        part = slice(at, at + 512)
        cosine = np.round(queries.vectors[part].astype(np.float64) @ columns, 6)
        cosine[queries.session[part][:, None] == pool.session] = -2.0
        rows[part] = np.argsort(-cosine, axis=1, kind="stable")[:, :count]
        near[part] = np.take_along_axis(cosine, rows[part], axis=1)
    return rows, near


Read = Callable[[Answers, int], "bool | None"]


def _of(assertion: Mapping[str, Any], does: str, does_not: str, read: Read, before: Answers, after: Answers) -> Feature:
    def flags(side: Answers) -> Flags:
        known = (read(side, row) for row in range(len(side)))
        return np.fromiter((-1 if value is None else int(value) for value in known), np.int8, len(side))

    return Feature(assertion, does, does_not, flags(before), flags(after))


def _part(part: str, before: Answers, after: Answers) -> Feature:
    does, does_not = ("is JSON", "is not JSON") if part == JSON else (f"holds {part}", f"holds no {_bare(part)}")
    return _of(
        {"kind": "holds", "part": part}, does, does_not, lambda side, row: holds(part, side.outputs[row]), before, after
    )


def _bare(part: str) -> str:
    return part.removeprefix("a ").removeprefix("any ")


def _same_script(side: Answers, row: int) -> bool | None:
    asked, answered = script(side.requests[row][-1]), script(side.outputs[row])
    return None if asked is None or answered is None else asked == answered


def _saying(terms: Sequence[str]) -> Read:
    return lambda side, row: bool(says(terms, side.outputs[row]))


def _tools(before: Answers, after: Answers) -> list[str | None]:
    """The tools that more than a few answers of either side called, and None for any tool where there are some."""
    names: set[str] = set()
    for side in (before, after):
        every = [set(calls) for calls in side.calls if calls is not None]
        seen = {name for calls in every for name in calls}
        names |= {name for name in seen if sum(name in calls for calls in every) >= LEAST_TOOL_SHARE * len(every)}
    return [None, *sorted(names)] if names else []


def _tool(tool: str | None, before: Answers, after: Answers) -> Feature:
    def read(side: Answers, row: int) -> bool | None:
        calls = side.calls[row]
        return None if calls is None else (bool(calls) if tool is None else tool in calls)

    name = "a tool" if tool is None else f"the tool {tool}"
    return _of({"kind": "calls", "tool": tool}, f"calls {name}", f"does not call {name}", read, before, after)


def _flags(values: FloatArray) -> Flags:
    return np.where(np.isnan(values), -1, values >= MEASURED_YES).astype(np.int8)
