"""The mix: the share of sessions that ask for something new, as a stream of its own beside those of behaviour.

New kinds of request are a change of the mix, never of behaviour: their sessions are no evidence for or against a change of
behaviour until they have a name, and make a stratum of their own then. A known kind that grows raises nothing.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from unquiet.counts import tally
from unquiet.detectors import Watch
from unquiet.incidents.casebook import SLACK_US
from unquiet.incidents.timing import onset_of, quick_onset
from unquiet.intents import NEW, ORDINARY, UNKNOWN, Novelty, Request, Waiting, grouped, joining, marks_of, request_keys
from unquiet.intents.novelty import WINDOW_DAYS
from unquiet.model.counts import TickCounts
from unquiet.model.history import LATEST_US, WINDOW_US, History, Recorded
from unquiet.model.incidents import Incident, Onset
from unquiet.model.settings import Settings
from unquiet.model.slices import Slice
from unquiet.pipeline.measuring import Measured
from unquiet.pipeline.plan import INTENT_NAME, MIX_SHARE, NEW_KIND, REQUEST
from unquiet.slices import FacetColumn
from unquiet.stats.edetector import DEFAULT_WEIGHT_LEVELS, BetTables

IntArray = npt.NDArray[np.int64]

SIGNAL = "mix"
EVENT = "mix:new kind of request"
TOLERANCE = 1.0
"""The odds of a new kind may double before it is a reason to wake anybody: language is open, something is always new."""

READ_A_DAY = 2_000
"""Requests whose words are read, a day and on average; of more traffic a part that follows from the session id."""

DAY_US = 86_400_000_000


@dataclass(slots=True)
class Mix:
    """State of the watch on the mix.

    `facet` says what was asked, where the traffic itself does; else the words of the first request do. `read` is the part of
    the sessions whose words are read. `waiting` are the recent sessions with recurring new keys. The history's events are:
    of a new kind without a number; then, one an incident, of one of its kinds (`kinds_of`).
    """

    facet: str | None
    read: float
    share: float
    tables: BetTables
    novelty: Novelty
    watch: Watch
    history: History = field(default_factory=History)
    waiting: list[Waiting] = field(default_factory=list[Waiting])
    incidents: tuple[Incident, ...] = ()
    kinds_of: list[list[int]] = field(default_factory=list[list[int]])

    @classmethod
    def begin(cls, sliced: tuple[str, ...], baseline: Measured, settings: Settings, tables: BetTables) -> Mix:
        """Nothing known yet; `sliced` are the facets that make slices, `baseline` the sessions of the learning period."""
        named = (facet for facet in sliced if facet != REQUEST and INTENT_NAME.search(facet))
        per_day = len(baseline) / max(settings.learn.total_seconds() / 86_400, 0.1)
        share = settings.budget_per_day * MIX_SHARE
        novelty = Novelty(np.zeros(0, np.uint32))
        return cls(next(named, None), min(1.0, READ_A_DAY / per_day), share, tables, novelty, new_watch(share, tables))

    def learn(self, columns: dict[str, FacetColumn], measured: Measured) -> IntArray:
        """What the requests of the learning period are; how often something is new is told from its second half.

        It is new there to the first half, which knows less than the whole: rather too often is taken for usual.
        """
        requests = self._requests(columns, measured)
        half = len(requests) // 2
        begun = Novelty(np.unique(marks_of(_keys(requests[:half]))))
        kind, _ = begun.sort(requests[half:], 0)
        self.novelty.learn(_keys(requests))
        return np.concatenate([np.full(half, UNKNOWN), kind])

    def sort(
        self, columns: dict[str, FacetColumn], measured: Measured, ticks: IntArray, started_us: IntArray
    ) -> IntArray:
        """What the requests of a day are: the number of their kind, NEW, ORDINARY or UNKNOWN, (n,)."""
        if not len(measured):
            return np.zeros(0, np.int64)
        day = int((ticks[0] - 1) // DAY_US)
        kind, keys = self.novelty.sort(self._requests(columns, measured), day)
        first = self.history.appended
        self.waiting += [
            Waiting(first + i, int(ticks[i]), int(started_us[i]), day, keys[i])
            for i in np.flatnonzero((kind == NEW) | (kind >= 0)).tolist()
        ]
        return kind

    def turn(self, day: int) -> None:
        """Begin a day: what was named on the days before holds from now on."""
        for key, kind in joining([each.keys for each in self.waiting], self.novelty.kind_of).items():
            self.novelty.kind_of[key] = kind
        self._settle()
        self.novelty.turn(day)
        kinds = self.novelty.kind_of.keys()
        oldest = {False: day - 2 * WINDOW_DAYS, True: day - 1 - WINDOW_US // DAY_US}
        self.waiting = [each for each in self.waiting if each.day > oldest[not kinds.isdisjoint(each.keys)]]

    def count(self, chunk: Recorded, kind: IntArray, weight: IntArray, raised_us: Callable[[int], int] | None) -> None:
        """Count sessions; with `raised_us`, which says when a tick would have rung, every tick is judged first."""
        columns = [np.where(kind == UNKNOWN, -1, kind == NEW)]
        columns += [np.where(kind == UNKNOWN, -1, np.isin(kind, kinds)) for kinds in self.kinds_of]
        n = len(chunk)
        place, root = np.arange(n, dtype=np.int32), np.zeros(n, np.int32)
        y = np.stack(columns, axis=1).astype(np.int8)
        own = replace(chunk, y=y, stratum=np.zeros(n, np.int64), member_session=place, member_slice=root)
        self.history.append(own)
        self.history.forget(int(chunk.tick_us[-1]))
        if raised_us is None:
            self._learn_ticks(own)
            return
        for tick in _ticks(own, weight):
            if any(alarm.direction == "up" for alarm in self.watch.step(tick)):
                self._open(tick.tick_us, raised_us(tick.tick_us))

    def settled(self) -> Recorded:
        """The sessions of the window, those of named kinds told apart from what is still new."""
        recorded = self.history.upto(LATEST_US)
        y = recorded.y.copy()
        first = self.history.appended - len(recorded)
        for each in self.waiting:
            kinds = {self.novelty.kind_of[key] for key in each.keys if key in self.novelty.kind_of}
            if kinds and each.number >= first:
                y[each.number - first, 0] = 0
                for i, mine in enumerate(self.kinds_of):
                    y[each.number - first, i + 1] = not kinds.isdisjoint(mine)
        return replace(recorded, y=y)

    def _settle(self) -> None:
        """Learn anew how often something is new, given what has a name by now."""
        if not self.kinds_of or not self.history.chunks:
            return
        settled = self.settled()
        if (settled.y != self.history.upto(LATEST_US).y).any():
            self.history.chunks = [settled]
            self.watch = new_watch(self.share, self.tables)
            self._learn_ticks(settled)

    def _learn_ticks(self, recorded: Recorded) -> None:
        weight = np.zeros(len(recorded), np.int64)
        for tick in _ticks(recorded, weight):
            self.watch.learn(tick)
        for tick in _ticks(recorded, weight):
            self.watch.look_back(tick)

    def _open(self, tick_us: int, raised_us: int) -> None:
        """Name what rang, and make an incident of it, or let it join the one that began with it."""
        recorded = self.history.upto(tick_us)
        rows = np.arange(len(recorded))
        first = quick_onset(recorded, rows, 0, 1, tick_us)
        onset = onset_of(recorded, rows, 0, 1, first.earliest_us, tick_us)
        since = min(first.earliest_us, onset.earliest_us) - SLACK_US
        recent = [each.keys for each in self.waiting if each.tick_us <= tick_us and each.started_us >= since]
        known = self.novelty.kind_of
        kinds = grouped([keys for keys in recent if not known.keys() & set(keys)])
        home = self._home(onset)
        if home is None and kinds:
            mark = hashlib.blake2b(f"{tick_us}|{EVENT}|{kinds[0][0]}".encode(), digest_size=3).hexdigest()
            day = datetime.fromtimestamp(raised_us / 1e6, UTC).strftime("%Y%m%d")
            opened = Incident(f"{day}-{mark}", Slice(), EVENT, "up", onset, tick_us, raised_us)
            self.incidents = (*self.incidents, opened)
            self.kinds_of.append([])
            whole = self.history.upto(LATEST_US)
            self.history.with_event(np.where(whole.y[:, 0] < 0, -1, 0).astype(np.int8))
            home = len(self.kinds_of) - 1
        if home is not None:
            self.kinds_of[home] += [self.novelty.found(keys) for keys in kinds]

    def _home(self, onset: Onset) -> int | None:
        for i in range(len(self.incidents) - 1, -1, -1):
            if self.incidents[i].onset.overlaps(onset, SLACK_US):
                return i
        return None

    def _requests(self, columns: dict[str, FacetColumn], measured: Measured) -> list[Request]:
        visits = measured.visits
        sessions: list[str] = visits.column("session_id").to_pylist()
        users: list[str | None] = visits.column("user_id").to_pylist()
        who = [zlib.crc32((user or session).encode()) for user, session in zip(users, sessions, strict=True)]
        if self.facet is not None:
            column = columns.get(self.facet, FacetColumn([], np.full(len(sessions), -1, np.int64)))
            keys = [[column.values[code]] if code >= 0 else [] for code in column.codes]
            return [Request(k, w, zlib.crc32(s.encode())) for k, w, s in zip(keys, who, sessions, strict=True)]
        texts: list[str | None] = measured.inputs.to_pylist()
        limit = round(self.read * 2**32)
        read = [text if zlib.crc32(s.encode()) < limit else None for text, s in zip(texts, sessions, strict=True)]
        return [Request(request_keys(t), w, zlib.crc32((t or "").encode())) for t, w in zip(read, who, strict=True)]


def new_watch(share: float, tables: BetTables) -> Watch:
    """A watch of one stream, on all traffic, that has learned nothing yet; `share` of false alarms a day."""
    return Watch(np.array([share]), 1, tables, TOLERANCE)


def apart(kind: IntArray) -> dict[int, str]:
    """The strata of sessions whose kinds of request the learning period did not know, by their rows."""
    rows = np.flatnonzero((kind != ORDINARY) & (kind != UNKNOWN)).tolist()
    return {row: f"(new kind {kind[row]})" if kind[row] >= 0 else NEW_KIND for row in rows}


def is_new_kind(stratum: str) -> bool:
    """Whether a stratum is that of requests which are new and have no name yet: nothing is learned from these."""
    return stratum.partition(" | ")[0] == NEW_KIND


def _keys(requests: list[Request]) -> list[str]:
    return [key for request in requests for key in request.keys]


def _ticks(recorded: Recorded, weight: IntArray) -> Iterator[TickCounts]:
    place, root = recorded.member_session.astype(np.int64), recorded.member_slice.astype(np.int64)
    none = np.zeros(len(recorded), np.int64)
    y = recorded.y[:, :1].copy()
    return tally(recorded.tick_us, none, weight, y, place, root, len(DEFAULT_WEIGHT_LEVELS))
