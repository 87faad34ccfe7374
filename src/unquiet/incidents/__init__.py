"""Alarms into incidents: onset, slice, exposure, evidence, suspects, and a sentence that a tired person understands."""

from unquiet.incidents.affected import new_behaviour, showing
from unquiet.incidents.casebook import (
    ACCEPTED,
    OVER,
    Crossing,
    Streams,
    accepted,
    handle,
    moved_events,
    slice_rows,
    watched,
)
from unquiet.incidents.contrast import contrast
from unquiet.incidents.daily import by_day
from unquiet.incidents.exposure import Exposure, exposure
from unquiet.incidents.localise import Part, further_parts, members
from unquiet.incidents.recovery import recovered_at
from unquiet.incidents.suspects import Overlap, Routine, Suspect, merged, micros, near_changes, rank_suspects
from unquiet.incidents.wording import title

__all__ = [
    "ACCEPTED",
    "OVER",
    "Crossing",
    "Exposure",
    "Overlap",
    "Part",
    "Routine",
    "Streams",
    "Suspect",
    "accepted",
    "by_day",
    "contrast",
    "exposure",
    "further_parts",
    "handle",
    "members",
    "merged",
    "micros",
    "moved_events",
    "near_changes",
    "new_behaviour",
    "rank_suspects",
    "recovered_at",
    "showing",
    "slice_rows",
    "title",
    "watched",
]
