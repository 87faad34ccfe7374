"""Known faults injected into recorded sessions: what each signal should catch.

A session is a list of turns (`input`, `output`, `tool_calls`, ... as in the turn table). A fault takes a session and a generator
and gives back the faulty session, or None where the session has no place for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from signal_samples import turns
from unquiet import signals
from unquiet.model.signals import FloatArray, SessionBatch, TurnBatch

Turn = dict[str, Any]
Session = list[Turn]
Inject = Callable[[Session, np.random.Generator], Session | None]

READS = re.compile(r"^(?:get|list|search|find|lookup|look|track|check|calculate|think|read|view|query)")
DONE = re.compile(
    r"\b(?:has|have|is|are|was|were|'ve) (?:now |been |successfully |already )*(?:been |now )*(?:successfully )?"
    r"(?:cancel\w+|book\w*|updat\w+|process\w+|sent|refund\w+|chang\w+|creat\w+|schedul\w+|add\w+|remov\w+|upgrad\w+|"
    r"issued|applied|made|paid)\b",
    re.IGNORECASE,
)
"""A success said in English, written apart from the families that are tested with it."""

QUESTIONS = (
    "Could you tell me which order you mean?",
    "And what is the delivery address on it?",
    "Which of the two items do you mean?",
)
FOREIGN = (
    "Das Paket ist heute Morgen angekommen und liegt in der Filiale für Sie bereit.",
    "El paquete llegó esta mañana y lo puede recoger en la tienda de su barrio.",
    "Le colis est arrivé ce matin et vous attend dans le magasin de votre quartier.",
)


@dataclass(frozen=True)
class Fault:
    """`signals` are those that should catch it; a session counts as caught when any does."""

    name: str
    signals: tuple[str, ...]
    inject: Inject


def writes(session: Session) -> list[tuple[int, int]]:
    """Turn and place of every call that acts and went through."""
    return [
        (at, place)
        for at, turn in enumerate(session)
        for place, call in enumerate(turn.get("tool_calls") or [])
        if not READS.match(call["name"]) and not call["error"] and not str(call["result"]).startswith("Error")
    ]


def _claims(session: Session, at: int) -> bool:
    return bool(DONE.search(session[at].get("output") or ""))


def dropped(session: Session, _: np.random.Generator) -> Session | None:
    """The only acting call is gone, its answer still says that it was done."""
    found = writes(session)
    if len(found) != 1 or not _claims(session, found[0][0]):
        return None
    del session[found[0][0]]["tool_calls"][found[0][1]]
    return session


def failed(session: Session, _: np.random.Generator) -> Session | None:
    """The only acting call failed, its answer still says that it was done."""
    found = writes(session)
    if len(found) != 1 or not _claims(session, found[0][0]):
        return None
    session[found[0][0]]["tool_calls"][found[0][1]] |= {"result": None, "error": "timeout"}
    return session


def last_dropped(session: Session, _: np.random.Generator) -> Session | None:
    """Of two or more acting calls the last is gone, its answer still says that it was done."""
    found = writes(session)
    if len(found) < 2 or not _claims(session, found[-1][0]):
        return None
    del session[found[-1][0]]["tool_calls"][found[-1][1]]
    return session


def _with_calls(session: Session) -> list[int]:
    return [at for at, turn in enumerate(session) if turn.get("tool_calls")]


def same_call(session: Session, rng: np.random.Generator) -> Session | None:
    """A call is made three times."""
    places = _with_calls(session)
    if not places:
        return None
    calls = session[int(rng.choice(places))]["tool_calls"]
    calls += [deepcopy(calls[-1]) for _ in range(2)]
    return session


def cycle(session: Session, rng: np.random.Generator) -> Session | None:
    """Two different calls go round three times."""
    every = [call for at in _with_calls(session) for call in session[at]["tool_calls"]]
    names = list({call["name"]: call for call in every}.values())
    if len(names) < 2:
        return None
    first, second = (names[int(place)] for place in rng.choice(len(names), 2, replace=False))
    session[_with_calls(session)[-1]]["tool_calls"] += [deepcopy(call) for call in (first, second) * 3]
    return session


def clarify(session: Session, _: np.random.Generator) -> Session | None:
    """Three answers in a row ask back, without a call."""
    asked = [{"input": "The one from last week.", "output": question, "tool_calls": []} for question in QUESTIONS]
    return [session[0] | {"output": asked[0]["output"], "tool_calls": []}, *asked[1:], *session]


def cut(session: Session, rng: np.random.Generator) -> Session | None:
    """An answer breaks off, and no finish reason says so."""
    places = [at for at, turn in enumerate(session) if len(turn.get("output") or "") > 40]
    if not places:
        return None
    turn = session[int(rng.choice(places))]
    turn["output"] = turn["output"][: int(len(turn["output"]) * rng.uniform(0.4, 0.9))].rstrip()
    return [each | {"finish_reason": None} for each in session]


def broken_json(session: Session, rng: np.random.Generator) -> Session | None:
    """An answer is JSON that does not close."""
    session[int(rng.integers(len(session)))]["output"] = '{"status": "ok", "items": [{"id": 17, "price": 12.5}, {"id"'
    return session


def language(session: Session, rng: np.random.Generator) -> Session | None:
    """An answer is in another language than its request."""
    places = [at for at, turn in enumerate(session) if len((turn.get("input") or "").split()) >= 6]
    if not places:
        return None
    session[int(rng.choice(places))]["output"] = str(rng.choice(FOREIGN))
    return session


def no_calls(session: Session, _: np.random.Generator) -> Session | None:
    """All tool calls are gone."""
    return [turn | {"tool_calls": []} for turn in session] if _with_calls(session) else None


def repeats(session: Session, rng: np.random.Generator) -> Session | None:
    """The user says the last thing again, in the same words or nearly so."""
    places = [at for at, turn in enumerate(session) if len((turn.get("input") or "").split()) >= 4]
    if not places:
        return None
    at = int(rng.choice(places))
    said = session[at]["input"]
    words = said.split()
    again = (said, said.upper(), f"As I said: {said}", " ".join(words[:-1]), f"{said} Please!", " ".join(words[1:]))
    turn = {"input": str(rng.choice(again)), "output": "One moment, please.", "tool_calls": []}
    return [*session[: at + 1], turn, *session[at + 1 :]]


FAULTS = (
    Fault("call dropped, success claimed", ("session_claim_without_call",), dropped),
    Fault("call failed, success claimed", ("session_claim_without_call",), failed),
    Fault("last of two writes dropped", ("session_claim_without_call",), last_dropped),
    Fault("same call three times", ("loop",), same_call),
    Fault("cycle of two calls, three times", ("loop",), cycle),
    Fault("three questions back in a row", ("clarify_run",), clarify),
    Fault("cut off without a finish reason", ("truncated",), cut),
    Fault("broken JSON", ("format_break",), broken_json),
    Fault("answer in another language", ("language_mismatch",), language),
    Fault("no tool call any more", ("no_tool_call",), no_calls),
    Fault("the user repeats", ("user_repeat",), repeats),
)


def measured(sessions: Sequence[Session]) -> dict[str, FloatArray]:
    """The readings of every session: its own signals, and of its turns the largest."""
    rows = [
        {"session_id": f"s{number}", "turn_index": at} | turn
        for number, session in enumerate(sessions)
        for at, turn in enumerate(session)
    ]
    keep = {"input", "output", "tool_calls", "finish_reason", "session_id", "turn_index"}
    batch = TurnBatch(turns([{name: value for name, value in row.items() if name in keep} for row in rows]))
    starts = np.concatenate([[0], np.cumsum([len(session) for session in sessions])]).astype(np.int64)
    readings, _, failures = signals.measure_turns(batch)
    values, more = signals.measure_sessions(SessionBatch(batch, starts, readings))
    assert not failures | more
    most = {name: np.maximum.reduceat(np.nan_to_num(column), starts[:-1]) for name, column in readings.items()}
    return most | values


def rates(fault: Fault, sessions: Sequence[Session], seed: int) -> tuple[int, float, float]:
    """How many sessions had a place for the fault, the share caught, and the share flagged of all that were not touched."""
    rng = np.random.default_rng(seed)
    injected = [faulty for each in sessions if (faulty := fault.inject(deepcopy(each), rng)) is not None]
    if not injected:
        return 0, float("nan"), float("nan")
    caught, untouched = measured(injected), measured(sessions)
    hit = np.any([np.nan_to_num(caught[name]) >= 0.5 for name in fault.signals], axis=0)
    false = np.any([np.nan_to_num(untouched[name]) >= 0.5 for name in fault.signals], axis=0)
    return len(injected), float(hit.mean()), float(false.mean())


def without_reasons(sessions: Sequence[Session]) -> list[Session]:
    """The sessions as a provider that says no finish reason would leave them."""
    return [[turn | {"finish_reason": None} for turn in session] for session in sessions]


def table(sessions: Sequence[Session], seed: int) -> pa.Table:
    """Every fault on these sessions: name, n, recall, flagged."""
    rows = [(fault.name, *rates(fault, without_reasons(sessions), seed)) for fault in FAULTS]
    names = ("fault", "n", "recall", "flagged")
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})
