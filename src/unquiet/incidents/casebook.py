"""From alarms to incidents: where, since when, and which alarms have one cause."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from unquiet.incidents.contrast import contrast, stream_score
from unquiet.incidents.localise import Part, best_part, near_slices, telling
from unquiet.incidents.recovery import recovered_at
from unquiet.incidents.timing import BASELINE_US, onset_of, quick_onset
from unquiet.model.history import Recorded
from unquiet.model.incidents import Incident, Onset, Sibling
from unquiet.model.slices import Slice

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

HOUR_US = 3_600_000_000
SLACK_US = 12 * HOUR_US
RECENT_US = 28 * 24 * HOUR_US
SHARED = 0.05
"""Share of a stream's sessions that an incident must have for a change at the same time to be the same change."""

UNEXPLAINED = 0.3
"""A crossing is news if more than this share of its evidence is left without the sessions of a known incident."""

ACCEPTED = "accepted"
OVER = ("resolved", ACCEPTED)
"""What an incident is when nothing more is expected of it. One that was accepted still explains features of answers."""

UNCLEAR = 7.0
"""Nats that do not make an incident of their own while another one is open."""


@dataclass(frozen=True, slots=True)
class Streams:
    """What the indices of alarms mean.

    `named` (E,) marks events that are behaviours rather than mere numbers, `worded` (E,) features of answers.
    """

    slices: tuple[Slice, ...]
    events: tuple[str, ...]
    signal_of: tuple[str, ...]
    named: BoolArray
    worded: BoolArray


@dataclass(frozen=True, slots=True)
class Crossing:
    """One stream that crossed its threshold: indices into `Streams`, +1 up or -1 down, the tick and its moment."""

    slice: int
    event: int
    direction: int
    tick_us: int
    raised_us: int


def handle(
    incidents: Sequence[Incident],
    crossings: Sequence[Crossing],
    recorded: Callable[[], Recorded],
    streams: Streams,
) -> tuple[Incident, ...]:
    """The incidents after the crossings of one tick.

    A crossing whose onset may be that of a known incident joins it; otherwise it opens one, in the slice and with the
    event that show the change best.
    """
    sessions = recorded()
    known = list(watched(incidents, sessions, streams))
    for crossing in crossings:
        sibling = Sibling(
            streams.slices[crossing.slice],
            streams.events[crossing.event],
            "up" if crossing.direction > 0 else "down",
            crossing.tick_us,
        )
        home = _known(known, sibling)
        if home is None and applies(sessions, crossing):
            onset = crossing_onset(sessions, crossing)
            home = _home(known, sessions, crossing, onset, streams)
            if home is None:
                opened = open_incident(sessions, crossing, onset, streams)
                home = _same_change(known, opened)
                if home is None:
                    home = len(known)
                    known.append(opened)
        if home is not None:
            known[home] = _join(known[home], sibling, sessions, streams)
    return tuple(known)


def watched(incidents: Sequence[Incident], recorded: Recorded, streams: Streams) -> tuple[Incident, ...]:
    """The incidents, those resolved whose rate has gone back by the last of the sessions known.

    To be asked once a day, also while nothing rings: what happened before an onset is known for so long only.
    """
    return tuple(_watched(incident, recorded, streams) for incident in incidents)


def applies(recorded: Recorded, crossing: Crossing) -> bool:
    """Whether the sessions still known say anything of the stream that crossed."""
    return bool((recorded.y[slice_rows(recorded, crossing.slice), crossing.event] >= 0).any())


def _watched(incident: Incident, recorded: Recorded, streams: Streams) -> Incident:
    """The incident, resolved if its rate has gone back by now, as far as enough is known of the time before it."""
    if incident.status in OVER or incident.onset.at_us < int(recorded.started_us.min()) + BASELINE_US:
        return incident
    rows = slice_rows(recorded, streams.slices.index(incident.slice))
    event = streams.events.index(incident.event)
    before = rows[recorded.started_us[rows] < incident.onset.at_us]
    if not (recorded.y[before, event] >= 0).any():
        # A later epoch began in its signal: nothing is known any more of what it was before.
        return incident
    over_us = recovered_at(recorded, rows, event, incident.onset.at_us, incident.onset.latest_us)
    return incident if over_us is None else replace(incident, status="resolved", resolved_us=over_us)


def accepted(incident: Incident, streams: Streams) -> Incident:
    """The incident as the new normal: of its streams only features of answers stay, their rates are not begun anew."""
    worded = {name for name, is_word in zip(streams.events, streams.worded.tolist(), strict=True) if is_word}
    left = tuple(sibling for sibling in incident.siblings if sibling.event in worded)
    return replace(incident, status=ACCEPTED, siblings=left)


def moved_events(incident: Incident, recorded: Recorded, streams: Streams) -> IntArray:
    """The events (k,) of all signals that moved with an incident, features of answers apart: rang with it or will soon."""
    found = contrast(recorded, incident.onset.at_us, len(streams.slices))
    score = found.score[streams.slices.index(incident.slice)]
    rang = {incident.event, *(sibling.event for sibling in incident.siblings)}
    signals = {
        signal
        for name, signal, nats in zip(streams.events, streams.signal_of, score.tolist(), strict=True)
        if name in rang or nats >= UNCLEAR
    }
    moved = [signal in signals for signal in streams.signal_of] & ~streams.worded
    return np.flatnonzero(moved).astype(np.int64)


def crossing_onset(recorded: Recorded, crossing: Crossing) -> Onset:
    """When the stream that crossed began to change, as far as can be told at its tick."""
    rows = slice_rows(recorded, crossing.slice)
    return quick_onset(recorded, rows, crossing.event, crossing.direction, crossing.tick_us)


def open_incident(recorded: Recorded, crossing: Crossing, onset: Onset, streams: Streams) -> Incident:
    """A new incident: the slice and event that explain the change best, given when it seems to have begun."""
    found = contrast(recorded, onset.at_us, len(streams.slices))
    near = near_slices(recorded, crossing.slice, len(streams.slices), onset.at_us)
    own = stream_score(recorded, crossing.slice, crossing.event, crossing.direction, onset.at_us)
    rang = Part(crossing.slice, crossing.event, crossing.direction, own)
    part = best_part(found, streams.slices, telling(streams.named, streams.worded), near, rang)
    refined = _timed(recorded, part.slice, part.event, part.direction, crossing.tick_us)
    where = streams.slices[part.slice]
    event = streams.events[part.event]
    mark = hashlib.blake2b(f"{crossing.tick_us}|{where.name}|{event}".encode(), digest_size=3).hexdigest()
    day = datetime.fromtimestamp(crossing.raised_us / 1e6, UTC).strftime("%Y%m%d")
    direction = "up" if part.direction > 0 else "down"
    return Incident(f"{day}-{mark}", where, event, direction, refined, crossing.tick_us, crossing.raised_us)


def slice_rows(recorded: Recorded, index: int) -> IntArray:
    """The sessions of one slice."""
    return recorded.member_session[recorded.member_slice == index].astype(np.int64)


def _timed(recorded: Recorded, where: int, event: int, direction: int, tick_us: int) -> Onset:
    """The onset in one stream, its base rates taken from before a first idea of it."""
    rows = slice_rows(recorded, where)
    first = quick_onset(recorded, rows, event, direction, tick_us)
    return onset_of(recorded, rows, event, direction, first.earliest_us, tick_us)


def _known(incidents: Sequence[Incident], sibling: Sibling) -> int | None:
    """The open incident that holds this very stream in this direction: then it says nothing new."""
    key = (sibling.slice, sibling.event, sibling.direction)
    for index, incident in enumerate(incidents):
        recent = incident.status != "resolved" and sibling.tick_us - incident.last_us <= RECENT_US
        if recent and any((s.slice, s.event, s.direction) == key for s in incident.siblings):
            return index
    return None


def _home(
    incidents: Sequence[Incident], recorded: Recorded, crossing: Crossing, onset: Onset, streams: Streams
) -> int | None:
    """Which recent incident explains a crossing, the latest first; None where it is news.

    It is explained if little of its evidence is left without the sessions of the incident's slice, or if it
    began with the incident and tells of the same signal or of sessions that the incident has too.
    """
    for index in range(len(incidents) - 1, -1, -1):
        incident = incidents[index]
        accepted = incident.status == ACCEPTED and not streams.worded[crossing.event]
        if accepted or crossing.tick_us - incident.last_us > RECENT_US:
            continue
        same_signal = streams.signal_of[streams.events.index(incident.event)] == streams.signal_of[crossing.event]
        inside, shared = _shared(recorded, streams.slices.index(incident.slice), crossing.slice, incident.onset.at_us)
        if onset.overlaps(incident.onset, SLACK_US) and (same_signal or shared >= SHARED):
            return index
        if shared > 0 and _explained(recorded, crossing, (incident.onset.at_us, onset.at_us), inside):
            return index
    return None


def _shared(recorded: Recorded, where: int, other: int, since_us: int) -> tuple[BoolArray, float]:
    """The sessions (n,) of slice `where`, and the share of the other slice's sessions since a moment that are in it."""
    inside = np.zeros(len(recorded), bool)
    inside[slice_rows(recorded, where)] = True
    rows = slice_rows(recorded, other)
    rows = rows[recorded.started_us[rows] >= since_us]
    return inside, float(inside[rows].mean()) if len(rows) else 0.0


def _explained(recorded: Recorded, crossing: Crossing, moments: tuple[int, int], inside: BoolArray) -> bool:
    """Whether little is left of what a stream shows since either moment without the sessions `inside`."""
    stream = crossing.slice, crossing.event, crossing.direction
    whole = max(stream_score(recorded, *stream, at) for at in moments)
    rest = max(stream_score(recorded, *stream, at, inside) for at in moments)
    return rest <= max(UNEXPLAINED * whole, UNCLEAR)


def _same_change(incidents: Sequence[Incident], opened: Incident) -> int | None:
    """The known incident that a newly localised one turns out to be: same slice and event, or an onset in common."""
    for index in range(len(incidents) - 1, -1, -1):
        incident = incidents[index]
        same = (incident.slice, incident.event, incident.direction) == (opened.slice, opened.event, opened.direction)
        recent = opened.tick_us - incident.last_us <= RECENT_US
        if recent and (opened.onset.overlaps(incident.onset, SLACK_US) or (same and incident.status not in OVER)):
            return index
    return None


def _join(incident: Incident, sibling: Sibling, recorded: Recorded, streams: Streams) -> Incident:
    """The incident with one more stream; one that was over is open again if what it tells of is back by then."""
    joined = incident.with_sibling(sibling)
    if incident.status != "resolved" or incident.resolved_us is None:
        return joined
    own = (sibling.slice, sibling.event, sibling.direction) == (incident.slice, incident.event, incident.direction)
    if own or _is_back(incident, recorded, streams):
        joined = replace(joined, status="reopened", resolved_us=None)
    return joined


def _is_back(incident: Incident, recorded: Recorded, streams: Streams) -> bool:
    """Whether the stream that an incident tells of has moved again since it was over."""
    where, event = streams.slices.index(incident.slice), streams.events.index(incident.event)
    direction = 1 if incident.direction == "up" else -1
    rows = slice_rows(recorded, where)
    onset = quick_onset(recorded, rows, event, direction, int(recorded.tick_us[-1]))
    again_us = max(onset.at_us, incident.resolved_us or 0)
    return stream_score(recorded, where, event, direction, again_us) >= UNCLEAR
