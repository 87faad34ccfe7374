"""What the labels of a folder say of its signals; where they are too few, that, and how many more are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from unquiet import signals
from unquiet.app.labelling import frames
from unquiet.app.surveying import labelled_signal
from unquiet.labelling.strata import Stratum, strata_of
from unquiet.model.labels import JUDGE, PEOPLE, Frame, Label
from unquiet.model.signals import SignalInfo
from unquiet.model.slices import ALL_TRAFFIC
from unquiet.stats.detectable import turns_to_detect
from unquiet.stats.labelled import Accuracy, Estimate, accuracy, cohen_kappa, sample
from unquiet.store import Store

LEAST_OF_STRATUM = 10
"""Labels that every stratum needs (or one for each of its turns): without them one part of the traffic is unknown."""

LEAST_OF_ANSWER = 5
"""Turns labelled yes, and no, that are needed: sensitivity is a share of the one, specificity of the other."""

LEAST_SHARED = 20
"""Turns that a judge and people must both have labelled before their agreement is said."""

FACTOR = 2.0
SEED = 20260302
DISPUTED = "disputed"
Document = dict[str, Any]


def label_reports(store: Store) -> list[Document]:
    """A report for every signal that has labels."""
    known = {signal.info.name for signal in signals.TURN_SIGNALS}
    return [label_report(store, name) if name in known else _gone(name) for name in store.labels.signals()]


def _gone(name: str) -> Document:
    note = "this version of unquiet has no such signal; its labels are kept"
    return {"signal": name, "version": None, "note": note, "parts": [], "agreement": []}


def label_report(store: Store, name: str) -> Document:
    """What is known of a signal: by slice that labels were chosen from and by panel, and how judges agree with people."""
    info = labelled_signal(name).info
    labels, known = store.labels.of_signal(name), frames(store, name)
    parts: list[Document] = []
    for frame in sorted(known, key=lambda each: (each.name != ALL_TRAFFIC, each.name)):
        inside = [label for label in labels if label.frame == frame.name]
        for panel in sorted({label.panel for label in inside}, key=lambda each: (each != PEOPLE, each)):
            own = [label for label in inside if label.panel == panel]
            parts.append(_part(store, frame, panel, own, strata_of(info)))
    note = _note(info, labels, known)
    return {"signal": name, "version": info.version, "note": note, "parts": parts, "agreement": _agreement(labels)}


def _note(info: SignalInfo, labels: Sequence[Label], known: Sequence[Frame]) -> str | None:
    """What stands between labels and numbers: a version of the signal that measured them no more, slices not counted."""
    if not labels:
        return f"no labels yet: run `unquiet label {info.name}`"
    if any(frame.version != info.version for frame in known):
        return (
            f"measured by another version of the signal, which is {info.version} now: run `unquiet label {info.name}`"
        )
    lost = sorted({label.frame for label in labels} - {frame.name for frame in known})
    if lost:
        return (
            f"labels of {'; '.join(lost)} are not counted until `unquiet label {info.name}` is run for that slice again"
        )
    return None


def _part(store: Store, frame: Frame, panel: str, labels: Sequence[Label], strata: Sequence[Stratum]) -> Document:
    answers = _by_turn(labels)
    usable = _usable(labels, answers, frame)
    counts = Counter(answers.values())
    missing = _not_enough(usable, answers, frame.strata)
    unsurveyed = store.turn_extent().count - frame.surveyed
    document: Document = {
        "slice": frame.name,
        "panel": panel,
        "turns": frame.turns,
        "turns_since": unsurveyed,
        "labels": {each: counts[each] for each in ("yes", "no", "unsure", DISPUTED)},
        "chance_unknown": len(
            {label.turn_id for label in labels if label.inclusion is None and label.answer != "unsure"}
        ),
        "raw_rate": sum(frame.strata[s.name] for s in strata if s.flagged) / frame.turns if frame.turns else None,
        "not_enough": missing,
    }
    if missing:
        return document
    found = _accuracy(usable, answers, frame.strata, strata)
    document |= _numbers(found) | {"twice_the_rate": _twice(store, frame, found)}
    return document | {"groups": _groups(usable, answers, frame, strata)}


def _by_turn(labels: Sequence[Label]) -> dict[str, str]:
    """The answer of a panel for each turn: what most of its labellers say, `disputed` where as many say the other."""
    votes: dict[str, Counter[str]] = {}
    for label in labels:
        votes.setdefault(label.turn_id, Counter())[label.answer] += 1
    answers: dict[str, str] = {}
    for turn_id, told in votes.items():
        yes, no = told["yes"], told["no"]
        answers[turn_id] = "unsure" if not yes + no else DISPUTED if yes == no else "yes" if yes > no else "no"
    return answers


def _usable(labels: Sequence[Label], answers: Mapping[str, str], frame: Frame) -> list[Label]:
    """One label a turn that says yes or no, was chosen with a known chance and measured by the frame's version."""
    chosen = {
        label.turn_id: label
        for label in labels
        if label.inclusion is not None
        and answers[label.turn_id] in ("yes", "no")
        and label.version == frame.version
        and label.stratum in frame.strata
    }
    return list(chosen.values())


def _not_enough(usable: Sequence[Label], answers: Mapping[str, str], turns: Mapping[str, int]) -> list[str]:
    """What is missing, as sentences; empty where the labels say something of every stratum."""
    have = Counter(label.stratum for label in usable)
    missing: list[str] = []
    for stratum, count in turns.items():
        need = min(LEAST_OF_STRATUM, count)
        if have[stratum] < need:
            missing.append(f"{need - have[stratum]} more of turns that are {stratum!r}")
    told = Counter(answers[label.turn_id] for label in usable)
    missing += [
        f"{LEAST_OF_ANSWER - told[answer]} more that are answered {answer}"
        for answer in ("yes", "no")
        if told[answer] < LEAST_OF_ANSWER
    ]
    return missing


def _accuracy(
    usable: Sequence[Label], answers: Mapping[str, str], turns: Mapping[str, int], strata: Sequence[Stratum]
) -> Accuracy:
    place = {stratum.name: index for index, stratum in enumerate(strata)}
    labels = sample(
        np.array([turns[stratum.name] for stratum in strata], float),
        np.array([stratum.flagged for stratum in strata]),
        np.array([place[label.stratum] for label in usable], np.int64),
        np.array([answers[label.turn_id] == "yes" for label in usable]),
        np.array([label.inclusion for label in usable], float),
    )
    return accuracy(labels, SEED)


def _numbers(found: Accuracy) -> Document:
    return {
        "sensitivity": _rounded(found.sensitivity),
        "specificity": _rounded(found.specificity),
        "corrected_rate": _rounded(found.rate),
    }


def _rounded(estimate: Estimate) -> dict[str, float]:
    return {name: round(float(getattr(estimate, name)), 5) for name in ("value", "low", "high")}


def _twice(store: Store, frame: Frame, found: Accuracy) -> Document | None:
    """Turns until twice the rate is seen, by perfect labels and by this signal; None where its stream is not watched.

    `best` and `worst` take both ends of the intervals at once.
    """
    share, extent = _share(store, frame), store.turn_extent()
    if share is None or extent.first is None or extent.last is None:
        return None
    per_day = frame.turns / max((extent.last - extent.first) / timedelta(days=1), 1.0 / 24.0)
    s, c = found.sensitivity, found.specificity
    ends = {"perfect": (1.0, 1.0), "signal": (s.value, c.value), "best": (s.high, c.high), "worst": (s.low, c.low)}
    turns = {
        name: turns_to_detect(found.rate.value, FACTOR, *pair, per_day=per_day, share_per_day=share)
        for name, pair in ends.items()
    }
    return {name: None if count is None else round(count) for name, count in turns.items()}


def _share(store: Store, frame: Frame) -> float | None:
    """The false alarms a day that the signal's own stream may have in the slice; None where it is not watched, or unjudged."""
    coverage = store.get_setting("coverage")
    shares = coverage.get("alarm_shares") if isinstance(coverage, dict) else None
    if shares is None:
        return None
    part, weight = shares["slices"].get(frame.name), shares["signals"].get(frame.signal)
    return None if part is None or weight is None else float(part * weight)


def _groups(
    usable: Sequence[Label], answers: Mapping[str, str], frame: Frame, strata: Sequence[Stratum]
) -> list[Document]:
    """The same of every larger part of the traffic: numbers where its own labels suffice, else what is missing."""
    rows: list[Document] = []
    for group, turns in frame.groups.items():
        own = [label for label in usable if group in label.groups]
        row: Document = {"group": group, "turns": sum(turns.values()), "labels": len(own)}
        missing = _not_enough(own, answers, turns)
        rows.append(row | ({"not_enough": missing} if missing else _numbers(_accuracy(own, answers, turns, strata))))
    return rows


def _agreement(labels: Sequence[Label]) -> list[Document]:
    """How each judge agrees with people, on the turns of which both said yes or no."""
    people = _by_turn([label for label in labels if label.panel == PEOPLE])
    rows: list[Document] = []
    for judge in sorted({label.panel for label in labels if label.panel.startswith(JUDGE)}):
        told = _by_turn([label for label in labels if label.panel == judge])
        both = [turn for turn in told if {told[turn], people.get(turn, "")} <= {"yes", "no"}]
        row: Document = {"judge": judge, "turns": len(both)}
        if len(both) >= LEAST_SHARED:
            first, second = (np.array([answers[turn] == "yes" for turn in both]) for answers in (told, people))
            kappa = cohen_kappa(first, second)
            row |= {"same": int((first == second).sum()), "kappa": None if np.isnan(kappa) else round(kappa, 4)}
        else:
            row["not_enough"] = f"{LEAST_SHARED - len(both)} more turns that both label"
        rows.append(row)
    return rows
