"""The scorecard: what rehearsals of the same drill say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from unquiet.model.drills import Rehearsed

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Score:
    """One line of the scorecard.

    `found` of `rehearsals` were heard; of a control these are false alarms. `hours` are the delays of those that were, their
    median and quartiles (None without one), `met` the median of the affected sessions before the alarm, `users` of the users,
    `ratio` the median of delay / expected delay of the oracle. `affected` is the median number of sessions that the failure met
    to its end; `slice_right` and `onset_right` are shares of the found.
    """

    preset: str
    control: bool
    rehearsals: int
    found: int
    hours: tuple[float, float, float] | None
    met: float | None
    users: float | None
    affected: float
    ratio: float | None
    slice_right: float | None
    onset_right: float | None


def score(rehearsed: Sequence[Rehearsed], control: Mapping[str, bool]) -> list[Score]:
    """One score a preset, in the order in which they come; `control` says of each whether it is harmless."""
    names = list(dict.fromkeys(each.preset for each in rehearsed))
    return [_score(name, control[name], [each for each in rehearsed if each.preset == name]) for name in names]


def _score(name: str, control: bool, all_of_it: Sequence[Rehearsed]) -> Score:
    found = [each for each in all_of_it if each.raised_us is not None]
    hours = [(each.raised_us - each.onset_us) / HOUR_US for each in found if each.raised_us is not None]
    ratios = [each.ratio for each in found if each.ratio is not None]
    return Score(
        name,
        control,
        len(all_of_it),
        len(found),
        _quartiles(hours),
        median(each.met for each in found) if found else None,
        median(each.users for each in found) if found else None,
        median(each.affected for each in all_of_it),
        median(ratios) if ratios else None,
        _share([each.slice_right for each in found]),
        _share([each.onset_right for each in found]),
    )


def _share(right: Sequence[bool | None]) -> float | None:
    known = [each for each in right if each is not None]
    return sum(known) / len(known) if known else None


def _quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    if not values:
        return None
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high
