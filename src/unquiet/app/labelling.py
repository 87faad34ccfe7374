"""Labelling: the queue of turns to ask about, what was answered kept at once, and what it was chosen from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from unquiet.app.surveying import Candidate, Progress, Survey, labelled_signal, survey
from unquiet.labelling.strata import turn_to
from unquiet.model.errors import ConfigError
from unquiet.model.labels import JUDGE, NOT_APPLICABLE, Answer, Frame, Label, panel_of
from unquiet.model.slices import Slice
from unquiet.store import Store

Clock = Callable[[], datetime]

SHOWN = ("turn_id", "session_id", "time", "input", "output", "tool_calls", "error")
FRAMES = "label frames of "
MOST_NAME = 100
MOST_EARLIER = timedelta(hours=2)
TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Queue:
    """The turns to ask one labeller about, the most informative first. Every answer is in the store before the next."""

    store: Store
    survey: Survey
    labeller: str
    clock: Clock
    _known: dict[str, Label]
    _given: list[tuple[Candidate, Label]] = field(default_factory=list[tuple[Candidate, Label]])
    _served: list[int] = field(default_factory=list[int])
    _again: list[Candidate] = field(default_factory=list[Candidate])

    def __post_init__(self) -> None:
        """Nothing has been served yet."""
        self._served = [0] * len(self.survey.strata)

    @property
    def given(self) -> int:
        """How many labels were given and not taken back."""
        return len(self._given)

    def next(self) -> Candidate | None:
        """The next turn, None when there is no more. What the labeller said of a turn before is taken over, not asked."""
        if self._again:
            return self._again.pop()
        queues = self.survey.queues
        while (index := turn_to(self._served, [bool(q) for q in queues], self.survey.strata)) is not None:
            candidate = queues[index].pop(0)
            self._served[index] += 1
            known = self._known.get(candidate.turn_id)
            if known is None:
                return candidate
            if (known.frame, known.drawn) != (self.survey.frame.name, self._drawn(candidate)):
                self._keep(replace(self._label(candidate, known.answer), at=known.at), candidate)
        return None

    def put(self, candidate: Candidate, answer: Answer) -> None:
        """Keep an answer."""
        label = self._label(candidate, answer)
        self._keep(label, candidate)
        self._given.append((candidate, label))

    def undo(self) -> Candidate | None:
        """Take the last answer of this queue back and return its turn; None where there is none."""
        if not self._given:
            return None
        candidate, label = self._given.pop()
        with self.store.transaction():
            self.store.labels.remove(label)
            self._include(candidate)
        return candidate

    def put_back(self, candidate: Candidate) -> None:
        """Ask about this turn next, before all others."""
        self._again.append(candidate)

    def turn(self, candidate: Candidate) -> dict[str, Any]:
        """The turn itself: the columns SHOWN."""
        table = self.store.turns_between(candidate.time, candidate.time + TICK, columns=SHOWN)
        return next(row for row in table.to_pylist() if row["turn_id"] == candidate.turn_id)

    def earlier(self, candidate: Candidate) -> dict[str, Any] | None:
        """The turn before it in its session, at most MOST_EARLIER earlier; None where it is the first."""
        span = (candidate.time - MOST_EARLIER, candidate.time)
        known = self.store.turns_of_sessions([candidate.session_id], columns=SHOWN, within=span).to_pylist()
        before = [row for row in known if row["time"] < candidate.time]
        return before[-1] if before else None

    def _drawn(self, candidate: Candidate) -> str:
        return f"{self.survey.strata[candidate.stratum].name}, version {self.survey.frame.version}"

    def _label(self, candidate: Candidate, answer: Answer) -> Label:
        frame = self.survey.frame
        return Label(
            **measured_fields(candidate, self.survey),
            turn_id=candidate.turn_id,
            session_id=candidate.session_id,
            signal=frame.signal,
            answer=answer,
            labeller=self.labeller,
            at=self.clock(),
            frame=frame.name,
            drawn=self._drawn(candidate),
            inclusion=None,
        )

    def _keep(self, label: Label, candidate: Candidate) -> None:
        with self.store.transaction():
            self.store.labels.put([label])
            self._include(candidate)

    def _include(self, candidate: Candidate) -> None:
        frame, name = self.survey.frame, self.survey.strata[candidate.stratum].name
        panel = panel_of(self.labeller)
        self.store.labels.include(frame.signal, frame.name, self._drawn(candidate), panel, frame.strata[name])


def measured_fields(candidate: Candidate, found: Survey) -> dict[str, Any]:
    """What the signal says of a turn now, as the fields of a label."""
    stratum = found.strata[candidate.stratum].name if candidate.stratum >= 0 else NOT_APPLICABLE
    return {
        "version": found.frame.version,
        "score": candidate.score,
        "stratum": stratum,
        "groups": candidate.groups,
    }


def open_queue(
    store: Store, name: str, where: Slice, *, labeller: str, count: int, seed: int, clock: Clock, progress: Progress
) -> Queue:
    """Survey the folder and line up the turns of a slice for a labeller, at least `count` that are not labelled yet.

    Raises:
        ConfigError: no such signal or slice. UnquietError: there is no turn to label.
    """
    signal = labelled_signal(name)
    labels = store.labels.of_signal(name)
    mine = [label for label in labels if label.labeller == labeller]
    own = {label.turn_id: label for label in sorted(mine, key=lambda label: label.frame == where.name)}
    keep = count + len(own)
    wanted = {label.turn_id for label in labels}
    found = survey(store, signal, where, seed=seed, keep=keep, wanted=wanted, progress=progress)
    with store.transaction():
        measure_again(store, labels, found)
        keep_frame(store, found.frame)
    return Queue(store, found, labeller, clock, own)


def measure_again(store: Store, labels: Sequence[Label], found: Survey) -> None:
    """Give labels of an earlier version of their signal what it says now: their answers stay true."""
    old = [each for each in labels if each.version != found.frame.version and each.turn_id in found.wanted]
    store.labels.put([replace(each, **measured_fields(found.wanted[each.turn_id], found)) for each in old])


def keep_frame(store: Store, frame: Frame) -> None:
    """Remember what labels were chosen from, in place of what was known of the same signal and slice."""
    known = {each.name: each for each in frames(store, frame.signal)} | {frame.name: frame}
    rows = [
        {name: getattr(each, name) for name in Frame.__dataclass_fields__}
        for each in known.values()
        if each.version == frame.version
    ]
    store.put_setting(FRAMES + frame.signal, rows)


def frames(store: Store, signal: str) -> list[Frame]:
    """What labels of a signal were chosen from, as it was when they were."""
    return [Frame(**row) for row in store.get_setting(FRAMES + signal) or ()]


def check_labeller(name: str) -> str:
    """The name of a person who labels.

    Raises:
        ConfigError: it is none.
    """
    if not name.strip() or len(name) > MOST_NAME or not name.isprintable() or name.startswith(JUDGE):
        raise ConfigError(
            f"--labeller {name[:MOST_NAME]!r}: expected a name of 1 to {MOST_NAME} printable characters that does not begin "
            f"with {JUDGE}"
        )
    return name


def parse_slice(texts: Sequence[str]) -> Slice:
    """A slice of `facet=value` texts, none meaning all traffic.

    Raises:
        ConfigError: one is of another shape, or a facet is given twice.
    """
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (facet, _, value) in zip(texts, pairs, strict=True) if not (facet and value)]
    if wrong:
        raise ConfigError(f"--slice {wrong[0]}: expected FACET=VALUE, for example --slice locale=de-DE")
    names = [facet for facet, _, _ in pairs]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"--slice: {', '.join(sorted({n for n in names if names.count(n) > 1}))} given twice; give it once"
        )
    return Slice(tuple(sorted((facet, value) for facet, _, value in pairs)))
