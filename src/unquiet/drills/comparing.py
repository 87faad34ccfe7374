"""Their stack beside ours: which failures it would notice, which are noticed with unquiet, and which nobody notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from unquiet.model.drills import Noticed, Rehearsed

MOST = 0.5
"""A failure counts as noticed if it is in at least this share of its rehearsals."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a watcher made of all rehearsals.

    `failures` are the drills that it noticed in at least MOST of their rehearsals; `noticed` of `rehearsals` are rehearsals of
    failures. `on_controls` of `controls` are rings for a harmless change. In `false_alarms` rehearsals of either kind one of its
    rules rang on the undisturbed record in the same time, and was not credited. In `blind` ones nothing of it could be asked;
    `unknown` tells of the rules that could not why.
    """

    watcher: str
    failures: tuple[str, ...]
    noticed: int
    rehearsals: int
    on_controls: int
    controls: int
    false_alarms: int
    blind: int
    unknown: Mapping[str, str]

    @property
    def is_unknown(self) -> bool:
        """Whether it could be asked in no rehearsal."""
        return self.blind == self.rehearsals + self.controls


@dataclass(frozen=True, slots=True)
class Answer:
    """Of `failures` drills, which the present stack notices, which are noticed with unquiet beside it, and which by nobody.

    `unasked` are the watchers of which nothing is known.
    """

    failures: tuple[str, ...]
    theirs: tuple[str, ...]
    together: tuple[str, ...]
    unasked: tuple[str, ...]

    @property
    def nobody(self) -> tuple[str, ...]:
        """The drills that are noticed by nobody."""
        return tuple(name for name in self.failures if name not in self.together)

    def __str__(self) -> str:
        """The answer in a sentence."""
        told = (
            f"of {len(self.failures)} failures your present stack would notice {len(self.theirs)}; with unquiet "
            f"{len(self.together)}; "
        )
        nobody = (
            f"these {len(self.nobody)} nobody: {', '.join(self.nobody)}" if self.nobody else "none is missed by all"
        )
        unasked = f" (not known: {', '.join(self.unasked)})" if self.unasked else ""
        return told + nobody + unasked


def standings(rehearsed: Sequence[Rehearsed], control: Mapping[str, bool]) -> list[Standing]:
    """One a watcher, in their order; `control` says of each drill whether it is harmless.

    Rehearsals that no watcher was shown, those of unquiet's own failures, are left out, here and of the answer.
    """
    rehearsed = [each for each in rehearsed if each.watchers]
    names = list(dict.fromkeys(name for each in rehearsed for name in each.watchers))
    return [_standing(name, rehearsed, control) for name in names]


def answer(rehearsed: Sequence[Rehearsed], control: Mapping[str, bool]) -> Answer:
    """The answer over all rehearsals of failures."""
    rehearsed = [each for each in rehearsed if each.watchers]
    return Answer(
        tuple(dict.fromkeys(each.preset for each in rehearsed if not control[each.preset])),
        _mostly(rehearsed, control, noticed_by_theirs),
        _mostly(rehearsed, control, lambda each: each.raised_us is not None or noticed_by_theirs(each)),
        tuple(each.watcher for each in standings(rehearsed, control) if each.is_unknown),
    )


def noticed_by_theirs(rehearsed: Rehearsed) -> bool:
    """Whether any watcher of the present stack noticed the failure."""
    return any(each.at_us is not None for each in rehearsed.watchers.values())


def _standing(name: str, rehearsed: Sequence[Rehearsed], control: Mapping[str, bool]) -> Standing:
    def seen(each: Rehearsed) -> Noticed:
        return each.watchers.get(name, Noticed(blind=True))

    bad = [each for each in rehearsed if not control[each.preset]]
    harmless = [each for each in rehearsed if control[each.preset]]
    unknown: dict[str, str] = {}
    for each in rehearsed:
        unknown |= seen(each).unknown
    return Standing(
        name,
        _mostly(rehearsed, control, lambda each: seen(each).at_us is not None),
        sum(seen(each).at_us is not None for each in bad),
        len(bad),
        sum(seen(each).at_us is not None for each in harmless),
        len(harmless),
        sum(bool(seen(each).false_alarms) for each in rehearsed),
        sum(seen(each).blind for each in rehearsed),
        unknown,
    )


def _mostly(
    rehearsed: Sequence[Rehearsed], control: Mapping[str, bool], told: Callable[[Rehearsed], bool]
) -> tuple[str, ...]:
    """The failures of which `told` holds in at least MOST of the rehearsals."""
    by_name: dict[str, list[bool]] = {}
    for each in rehearsed:
        if not control[each.preset]:
            by_name.setdefault(each.preset, []).append(told(each))
    return tuple(name for name, held in by_name.items() if sum(held) >= MOST * len(held))
