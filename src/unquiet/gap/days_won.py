"""Days won: how long before the voices unquiet rang, against the first of them and against an alarm of theirs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class DaysWon:
    """Moments (microseconds since 1970) and days, positive where unquiet was first; None where there is no such voice or alarm.

    `first_low` and `first_high` are the days against the first voice since the earliest and since the latest possible onset.
    `alarm_at_least` stands where the voices never rang: so many days until the end of the record.
    """

    first_us: int | None
    alarm_us: int | None
    first: float | None
    first_low: float | None
    first_high: float | None
    alarm: float | None
    alarm_at_least: float | None


def days_won(
    raised_us: int,
    onset_us: tuple[int, int, int],
    said_us: Sequence[int],
    alarms_us: Sequence[int],
    end_us: int | None,
) -> DaysWon:
    """Compare the alarm of an incident with its voices.

    Args:
        raised_us: when unquiet rang.
        onset_us: the onset: earliest, at, latest.
        said_us: when the voices of the incident were said.
        alarms_us: when the streams of all voices rang.
        end_us: up to when these streams were judged; None where they were not.
    """
    earliest, at, latest = onset_us
    firsts = [min((each for each in said_us if each >= since), default=None) for since in (earliest, at, latest)]
    first = [None if each is None else (each - raised_us) / DAY_US for each in firsts]
    # An alarm before the change can have begun is about something else.
    alarm = min((each for each in alarms_us if each >= earliest), default=None)
    waited = None if alarm is not None or end_us is None else max(0.0, (end_us - raised_us) / DAY_US)
    return DaysWon(
        firsts[1],
        alarm,
        first[1],
        first[0],
        first[2],
        None if alarm is None else (alarm - raised_us) / DAY_US,
        waited,
    )
