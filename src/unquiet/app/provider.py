"""A change at the provider that nobody announced: other models behind the same name, other settings behind the same model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unquiet.incidents import Streams, contrast, near_changes
from unquiet.model.changes import SEEN, Change
from unquiet.model.history import Recorded
from unquiet.model.incidents import Incident
from unquiet.store import Store

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Shares = dict[str, float]

FAMILIES = {
    "output_chars": "length",
    "output_tokens": "tokens",
    "reasoning_tokens": "tokens",
    "latency_ms": "latency",
    "has_list": "structure",
    "has_heading": "structure",
    "code_fence": "structure",
    "json_answer": "structure",
}
"""The behavioural fingerprint of a model with its settings: what each signal is part of."""

OF_FORM = {*FAMILIES, "truncated", "repetition", "unfinished", "format_break"}
"""Signals of how an answer is put, not of what the agent does: another model may bring them."""

LEAST_FAMILIES = 3
CLEAR = 12.0
"""Nats that a signal must have moved by, in the sessions that do not show the behaviour that appeared."""

MODEL, SERVED = "model", "served_model"
FINGERPRINT = re.compile(r"(?:^|[._-])(?:system_)?fingerprint$", re.IGNORECASE)
OF_MODELS = re.compile(r"model|provider|fingerprint|engine", re.IGNORECASE)
"""Kinds of changes that announce what a provider's change would show as."""

NEAR_US = 3 * 86_400_000_000
MOST_SESSIONS, LEAST_TURNS, MOST_VALUES = 400, 20, 5
OTHER, SAME = 0.5, 0.1
"""A mix is another one if so much of it has moved to other values, and the same if no more than that has."""


def provider_change(
    store: Store,
    recorded: Recorded,
    incident: Incident,
    where: int,
    streams: Streams,
    changes: Sequence[Change],
    until_us: int | None,
) -> dict[str, object] | None:
    """What speaks for a change at the provider at an incident's onset, in its slice (number `where`); None where nothing does.

    Either the models that answered, or their fingerprints, became others though the same were asked for, as far as that is
    recorded. Or length, tokens, latency and structure (three of them or more) moved together with no change known nearby.
    """
    rows = recorded.member_session[recorded.member_slice == where].astype(np.int64)
    near = near_changes(changes, incident.onset)
    announced = [change for change in near if change.source != SEEN]
    before, after = _turns(store, recorded, rows, incident)
    served, fingerprint = _replaced(before, after, SERVED), _replaced(before, after, "fingerprint")
    asked = _moved(before[MODEL], after[MODEL])
    said = ""
    told = any(OF_MODELS.search(change.kind) for change in announced)
    if (served or fingerprint) and (asked is None or asked <= SAME) and not told:
        said = _served_said(served, fingerprint, asked_known=asked is not None, announced=bool(announced))
    # What the traffic shows of the provider itself is no announcement.
    silent = not [change for change in near if change.source != SEEN or not _of_provider(change.kind)]
    moved = _fingerprint_moves(recorded, incident, where, streams, until_us) if said or silent else []
    families = list(dict.fromkeys(FAMILIES[signal] for signal in moved))
    if not said and len(families) >= LEAST_FAMILIES:
        together = f"{', '.join(families[:-1])} and {families[-1]}"
        said = (
            f"{together} moved together and nothing was announced: this looks like another model or other settings behind "
            "the same name"
        )
    return {"said": said, SERVED: served, "fingerprint": fingerprint, "moved": moved} if said else None


def _of_provider(kind: str) -> bool:
    return kind == SERVED or bool(FINGERPRINT.search(kind))


def _served_said(
    served: Mapping[str, Shares] | None, fingerprint: Mapping[str, Shares] | None, *, asked_known: bool, announced: bool
) -> str:
    what, moved = ("was answered by", served) if served else ("now has the fingerprint", fingerprint or {})
    asked = (
        "the same model was asked for, but" if asked_known else "which model was asked for is not recorded; the traffic"
    )
    old, new = (max(moved[side], key=lambda value: moved[side][value]) for side in ("before", "after"))
    told = "" if announced else ", and nothing was announced"
    return f"{asked} {what} {new} instead of {old}{told}"


def _turns(
    store: Store, recorded: Recorded, rows: IntArray, incident: Incident
) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """How often each model was asked for and answered, and each fingerprint, in sessions right before and after the onset."""
    at, onset = recorded.started_us[rows], incident.onset
    early = rows[(at < onset.earliest_us) & (at >= onset.earliest_us - NEAR_US)][-MOST_SESSIONS:]
    late = rows[(at > onset.latest_us) & (at <= onset.latest_us + NEAR_US)][:MOST_SESSIONS]
    return _counts(store, recorded.session_id[early].tolist()), _counts(store, recorded.session_id[late].tolist())


def _counts(store: Store, sessions: Sequence[str]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {name: Counter() for name in (MODEL, SERVED, "fingerprint")}
    if not sessions:
        return counts
    for turn in store.turns_of_sessions(list(sessions), columns=["session_id", MODEL, SERVED, "facets"]).to_pylist():
        facets: list[tuple[str, Any]] = turn["facets"] or []
        found = next((value for name, value in facets if FINGERPRINT.search(name)), None)
        for name, value in ((MODEL, turn[MODEL]), (SERVED, turn[SERVED]), ("fingerprint", found)):
            if value is not None:
                counts[name][value] += 1
    return counts


def _replaced(
    before: Mapping[str, Counter[str]], after: Mapping[str, Counter[str]], name: str
) -> dict[str, Shares] | None:
    """The shares of values before and after where the mix has become another one."""
    moved = _moved(before[name], after[name])
    if min(before[name].total(), after[name].total()) < LEAST_TURNS or moved is None or moved < OTHER:
        return None
    return {"before": _shares(before[name]), "after": _shares(after[name])}


def _shares(counts: Counter[str]) -> Shares:
    return {value: round(count / counts.total(), 4) for value, count in counts.most_common(MOST_VALUES)}


def _moved(before: Counter[str], after: Counter[str]) -> float | None:
    """Total variation distance of two mixes, 0 to 1; None where one of them is not known."""
    if not before or not after:
        return None
    values = before.keys() | after.keys()
    return sum(abs(before[v] / before.total() - after[v] / after.total()) for v in values) / 2.0


def _fingerprint_moves(
    recorded: Recorded, incident: Incident, where: int, streams: Streams, until_us: int | None
) -> list[str]:
    """The signals of the fingerprint that moved clearly, the clearest first, without sessions that show a new behaviour.

    A refusal is short, and quick: where refusals appear, that lengths fall with them says nothing of the model.
    """
    ours = np.array([signal in FAMILIES for signal in streams.signal_of])
    at = incident.onset.at_us
    whole = contrast(recorded, at, len(streams.slices))
    does = streams.named & np.array([signal not in OF_FORM for signal in streams.signal_of])
    appeared = does & (whole.score[where] >= CLEAR) & (whole.direction[where] > 0)
    left_out = (recorded.y[:, appeared] == 1).any(axis=1)
    if until_us is not None:
        left_out |= recorded.started_us >= until_us
    score = contrast(recorded, at, len(streams.slices), left_out).score[where] if left_out.any() else whole.score[where]
    best: dict[str, float] = {}
    for event in np.flatnonzero(ours & (score >= CLEAR)).tolist():
        signal = streams.signal_of[event]
        best[signal] = max(best.get(signal, 0.0), float(score[event]))
    return sorted(best, key=lambda signal: -best[signal])
