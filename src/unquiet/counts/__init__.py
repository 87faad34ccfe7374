"""Readings into counts: which events a session is counted for, and how many of them a tick holds."""

from unquiet.counts.crowd import RecentSessions
from unquiet.counts.events import OTHER, Event, event_matrix, number_shifts, plan_events
from unquiet.counts.tally import tally, tick_of

__all__ = ["OTHER", "Event", "RecentSessions", "event_matrix", "number_shifts", "plan_events", "tally", "tick_of"]
