"""Retention: how long turns, sessions and counts are kept, and how large a folder may become."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from unquiet.app.seen import Seen
from unquiet.app.voicing import drop_old_voices
from unquiet.model.errors import ConfigError
from unquiet.store import Due, Gone, Store

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ROUNDS = 10
"""A row is smaller or larger than others, and a file has a head of its own: it may take more than one cut, each a longer one."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is kept; None where there is no bound.

    `turn_days` is the age of turns, sessions and voices, `count_days` that of counts, which are small and name nobody.
    `bytes` bounds the segments and the database of the folder together.
    """

    turn_days: float | None = None
    count_days: float | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        """ConfigError with all that is wrong."""
        days = {"turn_days": self.turn_days, "count_days": self.count_days}
        wrong = [
            f"{name} {value:g}: expected more than 0 days"
            for name, value in days.items()
            if value is not None and value <= 0
        ]
        if self.bytes is not None and self.bytes <= 0:
            wrong.append(f"bytes {self.bytes}: expected more than 0 bytes")
        if wrong:
            raise ConfigError("; ".join(wrong))


@dataclass(frozen=True, slots=True)
class Retired:
    """What went: rows of turns, of sessions and of counts, and the bytes by which the folder became smaller.

    `over` is by how many bytes the folder is still too large, and `said` why, empty where all bounds are kept.
    """

    turns: int
    sessions: int
    bytes: int
    counts: int = 0
    over: int = 0
    said: str = ""


def retire(store: Store, bounds: Bounds, now: datetime, needed_from: datetime) -> Retired:
    """Drop what is older than its bound, then the oldest turns and sessions while the folder is too large.

    Turns and sessions since `needed_from` stay in any case: the judgement still reads them. Whole files go; one that is old
    in part is written anew if more than half of it is old, or if the folder is too large otherwise.

    Raises:
        StoreError: something could not be removed; nothing is half removed then.
    """
    needed_us = _us(needed_from)
    before = store.retirement.size()
    due: list[Due] = []
    if bounds.turn_days is not None:
        old_us = min(_us(now - timedelta(days=bounds.turn_days)), needed_us)
        due += [Due("turns", old_us), Due("sessions", old_us)]
        # What judges said of turns goes with them; a suite's own results name nobody.
        store.evals.retire("turn_id", old_us)
        drop_old_voices(store, old_us)
    if bounds.count_days is not None:
        due.append(Due("counts", _us(now - timedelta(days=bounds.count_days))))
    gone = [_retire(store, due)] if due else []
    if bounds.bytes is not None:
        gone += _shed(store, bounds.bytes, needed_us)
    rows = {kind: sum(each.rows[kind] for each in gone) for kind in ("turns", "sessions", "counts")}
    size = store.retirement.size()
    over = max(0, size - bounds.bytes) if bounds.bytes is not None else 0
    said = _said(size, bounds.bytes, needed_from) if over and bounds.bytes is not None else ""
    return Retired(rows["turns"], rows["sessions"], max(0, before - size), rows["counts"], over, said)


def _retire(store: Store, due: list[Due]) -> Gone:
    with store.transaction():
        seen = Seen.of(store)
        gone = store.retirement.retire(due)
        if gone.rows["turns"]:
            seen.keep(store)
    store.removal.check_gone(gone.dropped)
    return gone


def _shed(store: Store, bound: int, needed_us: int) -> list[Gone]:
    """Drop the oldest turns and sessions until the folder is no larger than its bound, or nothing more may go."""
    gone: list[Gone] = []
    for cut in range(ROUNDS):
        excess = store.retirement.size() - bound
        if excess <= 0:
            break
        cut_us = store.retirement.cut_us(excess << cut, needed_us)
        went = _retire(store, [Due(kind, cut_us, worth=0.0) for kind in ("turns", "sessions")])
        if not went.dropped:
            break
        gone.append(went)
    return gone


def _said(size: int, bound: int, needed_from: datetime) -> str:
    return (
        f"the folder has {size} bytes, more than the {bound} that it may have: what is left is needed by the judgement (all since "
        f"{needed_from:%d %b %Y %H:%M} UTC) or is counts, keys and incidents. Allow more bytes, or keep counts for fewer days."
    )


def _us(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND
