"""Turns into sessions: when a session is over, and what its turns add up to."""

from unquiet.sessions.assemble import Assembler, ClosedSessions
from unquiet.sessions.visits import resumed, visit_table

__all__ = ["Assembler", "ClosedSessions", "resumed", "visit_table"]
