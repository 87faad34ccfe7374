"""Labels: what a person or a judge says of a turn, and the turns that it was chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

Answer = Literal["yes", "no", "unsure"]
"""Whether the turn shows what the signal is for; `unsure` is kept, so that it is not asked again, and counted only."""

ANSWERS: tuple[Answer, ...] = get_args(Answer)

JUDGE = "judge:"
"""How the labeller of a judge's labels begins; the model's name follows."""

PEOPLE = "people"
"""The panel of all labellers that are no judge."""

NOT_APPLICABLE = "does not apply"
"""The stratum of a labelled turn to which the signal no longer applies."""


def panel_of(labeller: str) -> str:
    """Those whose labels are taken together: all people, each judge for itself."""
    return labeller if labeller.startswith(JUDGE) else PEOPLE


@dataclass(frozen=True, slots=True)
class Label:
    """One answer of one labeller about one turn.

    `score` and `stratum` are those of `version` of the signal, and are measured anew when that changes. `frame` names the
    slice whose turns it was chosen from, `drawn` the version and stratum then; `inclusion` is the share of the turns of
    that stratum which have a label of the same panel, the chance with which this one was chosen (None: not known).
    `groups` are the parts of the traffic that the turn belongs to, as `facet=value`.
    """

    turn_id: str
    session_id: str
    signal: str
    version: int
    score: float
    stratum: str
    groups: tuple[str, ...]
    answer: Answer
    labeller: str
    at: datetime
    frame: str
    drawn: str
    inclusion: float | None

    @property
    def panel(self) -> str:
        """Whose labels it is taken together with."""
        return panel_of(self.labeller)


@dataclass(frozen=True, slots=True)
class Frame:
    """The turns that labels of a signal can be chosen from, counted.

    `strata` is the number of turns in each stratum, `groups` the same for every larger part of the traffic.
    `beyond` counts the turns to which the signal does not apply, `surveyed` all turns that the folder had then.
    """

    signal: str
    version: int
    name: str
    strata: Mapping[str, int]
    groups: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    beyond: int = 0
    surveyed: int = 0

    @property
    def turns(self) -> int:
        """The number of turns."""
        return sum(self.strata.values())
