"""What a person does about an incident."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unquiet.model.errors import UnquietError

Verb = Literal["acknowledge", "unacknowledge", "accept", "mute", "unmute"]
"""`accept`: as the new normal."""


@dataclass(frozen=True, slots=True)
class Action:
    """One deed. `who` names the person or the token.

    `until_us` (microseconds since 1970, in the future) and `reason` are there for `mute` alone.
    """

    verb: Verb
    who: str
    note: str | None = None
    until_us: int | None = None
    reason: str | None = None


class UnknownIncident(UnquietError):
    """There is no incident of that id."""


class NotPossible(UnquietError):
    """What was asked does not fit the present state; the text says why and what to do instead."""
