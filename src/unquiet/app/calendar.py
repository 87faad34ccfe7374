"""Which days of the record are judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from unquiet.model.settings import Settings
from unquiet.model.wording import counted

Days = Sequence[tuple[datetime, int]]
"""Days that have turns, in order, and how many."""


def lone_days(days: Days, settings: Settings) -> int:
    """How many of the first days are left out of the judgement: 0 in all but odd records.

    They have fewer turns in all than learning needs sessions, and then comes a silence longer than the learning period:
    a clock that was wrong, or a trial long ago. Learning would begin, and its time would run out, without traffic.
    A day is left out or not by what came before it and right after it, so that judging does not look ahead.
    """
    lone = seen = 0
    for i in range(1, len(days)):
        seen += days[i - 1][1]
        if seen >= settings.least_sessions:
            break
        if days[i][0] - days[i - 1][0] > settings.learn + timedelta(days=1):
            lone = i
    return lone


def lone_note(days: Days, lone: int) -> str:
    """What is said of the days left out."""
    turns = sum(count for _, count in days[:lone])
    return (
        f"{counted(turns, 'turn')} from {days[0][0]:%Y-%m-%d} to {days[lone - 1][0]:%Y-%m-%d} not judged: nothing follows "
        f"until {days[lone][0]:%Y-%m-%d}, so there is nothing to learn from; if their times are wrong, correct and scan anew"
    )
