"""Turns into sessions: when a session is over, and what its turns add up to."""

from unquiet.sessions.assemble import ENDS, KEYS, Assembler, ClosedSessions, ending
from unquiet.sessions.visits import resumed, visit_table

__all__ = ["ENDS", "KEYS", "Assembler", "ClosedSessions", "ending", "resumed", "visit_table"]
