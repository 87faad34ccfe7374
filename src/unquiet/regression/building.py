"""From recorded answers to a suite: what to expect is learned, measured on sessions held out, and written down case by case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unquiet.model.errors import UnquietError
from unquiet.regression.answers import NEIGHBOURS, Answers, IntArray, features, nearest
from unquiet.regression.checking import failed
from unquiet.regression.choosing import representatives
from unquiet.regression.learned import Said, learn
from unquiet.regression.separating import Candidate, candidates, choose, together
from unquiet.regression.suite import Case, Given, Share, Suite

LEAST_FAILED = 0.5
"""Of the answers of the incident to a request and the nearest, the share that must fail."""

AFTER_NEIGHBOURS = 4
MOST_CANDIDATES = 600


class NothingSeparates(UnquietError):
    """No assertion on the answers tells the incident from the time before; the text says what was looked at."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of the incident in the exported files."""

    incident: str
    title: str
    onset: str


def build(
    told: Told,
    before: Answers,
    after: Answers,
    phrases: Mapping[str, str],
    clean: Callable[[str, str], str],
    count: int,
) -> Suite:
    """Up to `count` cases. `phrases` names the signals to look at; `clean` redacts a text of a session.

    Raises:
        NothingSeparates: nothing does, or too few answers are there.
    """
    if len(before) <= NEIGHBOURS or not len(after):
        raise NothingSeparates(
            f"{told.incident}: {len(before)} recorded answers before the onset and {len(after)} of the incident; more than "
            f"{NEIGHBOURS} before and at least 1 after are needed. Without recorded texts no regression case can be made."
        )
    near_before, near_after = nearest(before, before)[0], nearest(after, before)
    half = [_half(side.session) for side in (before, after)]
    found = features(before, after, _terms(before, after, half, clean), phrases)
    every = list(candidates(before, after, found, near_before, near_after[0]))
    held_out = [np.where(own, -1, side.session) for own, side in zip(half, (before, after), strict=True)]
    chosen = choose(every, held_out[0], held_out[1])
    if not chosen:
        raise NothingSeparates(
            f"{told.incident}: none of {len(every)} assertions tells the {len(np.unique(after.session))} sessions of the incident "
            "from those before it. What changed does not show in the texts and tools of single answers (a latency, a cost, or a "
            "rate of something usual): watch it with the incident's own signal instead."
        )
    rules = [each for each, _ in chosen]
    cases = _cases(told, before, after, rules, near_after, clean, count)
    shares = together(rules, held_out[0], held_out[1])
    return Suite(told.incident, told.title, told.onset, tuple(rule for _, rule in chosen), tuple(cases), *shares)


def _half(session: IntArray) -> np.ndarray:
    """Whether the answers of a session are learned from; the others are held out."""
    return session % 2 == 0


def _terms(
    before: Answers, after: Answers, half: Sequence[np.ndarray], clean: Callable[[str, str], str]
) -> dict[bool, tuple[str, ...]]:
    old, new = (_said(side, np.flatnonzero(own)) for side, own in zip((before, after), half, strict=True))
    learned = {True: learn(new, old), False: learn(old, new)}
    return {which: tuple(term for term in terms if clean(term, "") == term) for which, terms in learned.items()}


def _said(side: Answers, chosen: IntArray) -> Said:
    rows: list[int] = chosen.tolist()
    return Said([side.outputs[i] for i in rows], [side.requests[i][-1] for i in rows], side.session[chosen])


def _cases(
    told: Told,
    before: Answers,
    after: Answers,
    rules: Sequence[Candidate],
    near: tuple[IntArray, np.ndarray],
    clean: Callable[[str, str], str],
    count: int,
) -> list[Case]:
    fails = np.stack([rule.after for rule in rules])
    rows = np.flatnonzero(fails.any(axis=0))
    rows = rows[:: max(-(-len(rows) // MOST_CANDIDATES), 1)]
    first = list({after.requests[row]: int(row) for row in reversed(rows)}.values())[::-1]
    like = nearest(after, after, min(AFTER_NEIGHBOURS, len(after)))
    cases: list[Case] = []
    # Some do not separate when they are run on the recorded answers, so a few more are asked for.
    for row in [first[i] for i in representatives(after.vectors[first], 2 * count)]:
        around = [int(i) for i in near[0][row]]
        others = [int(i) for i, cosine in zip(like[0][row], like[1][row], strict=True) if cosine > -1]
        outputs = [before.outputs[i] for i in around]
        own = [
            rule.of(after.requests[row][-1], outputs) for rule, wrong in zip(rules, fails[:, row], strict=True) if wrong
        ]
        own = [each for each in own if not _failed(before, around, [each]) and _failed(after, [row], [each])]
        passed = Share(len(around) - _failed(before, around, own), len(around))
        failed_ = Share(_failed(after, [row, *others], own), 1 + len(others))
        if len(cases) < count and own and failed_.rate >= LEAST_FAILED:
            session = after.places[row][0]
            requests = tuple(clean(text, session) for text in after.requests[row])
            name, similarity = f"{told.incident}-{len(cases) + 1:02d}", float(near[1][row].mean())
            sides = (("before", before, around), ("after", after, [row, *others]))
            places = {side: tuple(answers.places[i] for i in rows) for side, answers, rows in sides}
            given = {side: tuple(_given(answers, i) for i in rows) for side, answers, rows in sides}
            cases.append(Case(name, requests, tuple(own), passed, failed_, similarity, places, given))
    return cases


def _given(side: Answers, row: int) -> Given:
    calls = side.calls[row]
    return Given(side.outputs[row], None if calls is None else tuple(calls))


def _failed(side: Answers, rows: Sequence[int], assertions: Sequence[Mapping[str, Any]]) -> int:
    """How many of the recorded answers fail any of the assertions, run as the exported files run them."""

    def wrong(row: int) -> bool:
        def measure(signal: str, _request: str, _output: str) -> float | None:
            value = float(side.signals[signal][row])
            return None if np.isnan(value) else value

        told = side.requests[row][-1], side.outputs[row], side.calls[row]
        return any(failed(each, *told, measure) is not None for each in assertions)

    return sum(wrong(row) for row in rows)
