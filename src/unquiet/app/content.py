"""Text that was not captured: for which share of the traffic, since when, and which signals see nothing for want of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.seeing import signals_without_input
from unquiet.model.history import LATEST_US, Recorded
from unquiet.model.sessions import SIGNAL_PREFIX
from unquiet.model.signals import SignalInfo
from unquiet.pipeline.judging import DAY_US, Judge
from unquiet.store import Store

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ANSWERED = "empty"
"""The signal that applies to a session exactly if one of its answers was captured, empty or not."""

TEXTS = ("input", "output")
RECENT_US = 2 * DAY_US
ALL = 0.98
"""Content is off if that share of the sessions, or more, has no text."""

MISSED = 20.0
"""A signal has fallen silent if so many sessions with a reading were to be expected since its last one."""

NOT_RECORDED = "not recorded in the learning period, or of no use to it"
"""What is said of columns that a signal needs and that hold nothing, or always the same."""


def content_notes(judge: Judge) -> dict[str, object]:
    """What the coverage says of content: its share, the signals without input by reason, and those that fell silent."""
    started, answered = _answers(judge)
    notes: dict[str, object] = {"content": _content(started, answered)}
    if judge.plan is None:
        return notes
    off = bool(len(answered)) and 1.0 - float(answered.mean()) >= ALL
    infos = {info.name: info for info in judge.infos}
    reasons: dict[str, list[str]] = {}
    for name in signals_without_input(judge):
        reasons.setdefault(_reason(infos[name], off=off), []).append(name)
    return notes | {"signals_without_input_by_reason": reasons, "signals_fallen_silent": _fallen_silent(judge)}


def _answers(judge: Judge) -> tuple[IntArray, BoolArray]:
    """When each known session began, and whether an answer of it was captured."""
    if judge.plan is None:
        tables = [measured.visits for measured in judge.waiting]
        if not tables:
            return np.zeros(0, np.int64), np.zeros(0, bool)
        visits = pa.concat_tables(tables, promote_options="default")
        known = pc.is_valid(visits.column(SIGNAL_PREFIX + ANSWERED)).to_numpy()
        return visits.column("started").cast(pa.int64()).to_numpy(), known
    recorded = judge.history.upto(LATEST_US)
    place = next(i for i, event in enumerate(judge.plan.events) if event.signal == ANSWERED)
    return recorded.started_us, recorded.y[:, place] >= 0


def _content(started: IntArray, answered: BoolArray) -> dict[str, object] | None:
    """Sessions, the shares of them without an answer's text, and whether content is off now and since when.

    None without sessions. Content is off since the last captured answer, and from the beginning if there is none.
    """
    if not len(started):
        return None
    recent = started > started.max() - RECENT_US
    gone = 1.0 - float(answered[recent].mean())
    last = int(started[answered].max()) if answered.any() else None
    off = gone >= ALL
    return {
        "sessions": len(started),
        "without_text": round(1.0 - float(answered.mean()), 5),
        "without_text_of_the_last_two_days": round(gone, 5),
        "off": off,
        "last_text_at": _iso(last) if off and last is not None else None,
    }


def _reason(info: SignalInfo, *, off: bool) -> str:
    """Why a signal has nothing to read."""
    texts = [name for name in info.needs if name in TEXTS]
    if off and (texts or not info.needs):
        return "content is off: the text of requests and answers is not captured"
    if not info.needs:
        return "it applied to no session"
    return f"{' or '.join(info.needs)}: {NOT_RECORDED}"


def _fallen_silent(judge: Judge) -> dict[str, str]:
    """The signals that had readings and have none any more, with the moment of the last: unknown since then, not 0."""
    plan = judge.plan
    if plan is None:
        return {}
    recorded = judge.history.upto(LATEST_US)
    first, end = int(recorded.started_us.min()), int(recorded.started_us.max())
    silent: dict[str, str] = {}
    for signal in dict.fromkeys(event.signal for event in plan.events):
        places = [i for i, event in enumerate(plan.events) if event.signal == signal]
        read = recorded.started_us[(recorded.y[:, places] >= 0).any(axis=1)]
        if not len(read):
            continue
        last = int(read.max())
        if len(read) / max(last - first, DAY_US) * (end - last) >= MISSED:
            silent[signal] = _iso(last)
    return silent


def unread_pairs(recorded: Recorded, before: IntArray, after: IntArray, most: int) -> list[tuple[str, str]]:
    """Pairs of sessions (before, after) where no request can be read: each with the latest earlier one of its stratum."""
    left = before.tolist()[::-1]
    pairs: list[tuple[str, str]] = []
    for row in after.tolist():
        mate = next((each for each in left if recorded.stratum[each] == recorded.stratum[row]), None)
        if mate is not None and len(pairs) < most:
            left.remove(mate)
            pairs.append((str(recorded.session_id[mate]), str(recorded.session_id[row])))
    return pairs


def evidence_note(store: Store, sessions: Sequence[Sequence[str]]) -> str | None:
    """What is to be said of evidence (pairs or single sessions) whose text was not captured; None where all of it was."""
    session_ids = [each for group in sessions for each in group]
    if not session_ids:
        return None
    turns = store.turns_of_sessions(session_ids, columns=["session_id", *TEXTS])
    bare = pc.and_(pc.is_null(turns.column("input")), pc.is_null(turns.column("output")))
    without = pc.sum(bare).as_py() or 0
    if not without:
        return None
    if without < turns.num_rows:
        return f"no text was captured of {without} of {turns.num_rows} turns of these sessions"
    return (
        "no text was captured of these sessions: what was asked and answered cannot be shown; they are paired by their kind, "
        "not by their requests"
    )


def _iso(us: int) -> str:
    return np.datetime_as_string(np.datetime64(us, "us"), unit="s") + "Z"
