"""Retention: old rows go with their files, the oldest first where a folder is too large, and never what is still needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from store_samples import FOREVER, START, at, counts, numbered, sessions
from unquiet.app.replaying import REACHED
from unquiet.app.retention import Bounds, Retired, retire
from unquiet.model.errors import ConfigError
from unquiet.store import Store

DAY = 24 * 60
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=10)


def filled(folder: Path, days: int = 10, per_day: int = 300) -> Store:
    """A store with a segment of turns, of sessions and of counts for every day; turns are a minute apart."""
    store = Store.open(folder)
    for day in range(days):
        with store.transaction():
            first = day * DAY
            store.append_turns(numbered(first, first + per_day))
            store.append_sessions(sessions([{"visit_id": f"v{day}-{i}", "started": first + i} for i in range(50)]))
            store.append_counts(counts([(first + 5, "all traffic", None, 9, [1])]))
    return store


def days_of(store: Store) -> list[int]:
    return [(day - START).days for day, _ in store.turns_per_day()]


def files_of(folder: Path, kind: str) -> set[str]:
    return {path.name for path in (folder / kind).iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "db"


def test_old_days_go(folder: Path) -> None:
    with filled(folder, 6) as store:
        before = files_of(folder, "turns")
        done = retire(store, Bounds(turn_days=4 + 8.5), NOW, NEVER)
        assert done == Retired(0, 0, 0), "nothing is so old"
        done = retire(store, Bounds(turn_days=8), NOW, NEVER)
        assert (done.turns, done.sessions, done.counts, done.said) == (600, 100, 0, "")
        assert done.bytes > 0
        assert days_of(store) == [2, 3, 4, 5]
        assert store.sessions_between(*FOREVER).num_rows == 200
        assert store.counts_between(*FOREVER).num_rows == 6, "counts have a bound of their own"
        assert len(before - files_of(folder, "turns")) == 2
        assert retire(store, Bounds(turn_days=8), NOW, NEVER) == Retired(0, 0, 0)
        assert store.append_turns(numbered(0, 100)).new == 0, "what is gone is known all the same"


def test_a_file_that_is_old_in_part_is_rewritten_if_it_is_worth_it(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append_turns(numbered(0, 1000))
        file = files_of(folder, "turns")
        bound = Bounds(turn_days=1)
        assert retire(store, bound, at(500 + DAY), NEVER).turns == 0, "half of it is old, no more"
        assert files_of(folder, "turns") == file
        assert retire(store, bound, at(501 + DAY), NEVER).turns == 501
        assert files_of(folder, "turns") & file == set()
        assert store.turn_extent().first == at(501)
        assert store.turn_extent().count == 499


def test_what_is_needed_stays(folder: Path) -> None:
    with filled(folder, 6) as store:
        done = retire(store, Bounds(turn_days=1), NOW, START + timedelta(days=3))
        assert done.turns == 900
        assert days_of(store) == [3, 4, 5]
        assert store.sessions_between(*FOREVER).num_rows == 150


def test_counts_go_by_their_own_bound(folder: Path) -> None:
    with filled(folder, 6) as store:
        done = retire(store, Bounds(count_days=7.5), NOW, START)
        assert (done.turns, done.sessions, done.counts) == (0, 0, 3)
        assert store.counts_between(*FOREVER).num_rows == 3


def test_the_oldest_go_until_the_folder_is_small_enough(folder: Path) -> None:
    with filled(folder, 6) as store:
        size = store.retirement.size()
        days = len(days_of(store))
        bound = size - 20_000
        done = retire(store, Bounds(bytes=bound), NOW, NEVER)
        left = store.turn_extent()
        assert store.retirement.size() <= bound
        assert done.over == 0
        assert done.said == ""
        assert 0 < done.turns < 6 * 300
        assert left.count == 6 * 300 - done.turns
        kept = store.turns_between(*FOREVER, columns=["turn_id"]).column("turn_id").to_pylist()
        every = [f"turn-{day * DAY + i:06d}" for day in range(days) for i in range(300)]
        assert kept == every[done.turns :], "the oldest, and no others"
        assert size - store.retirement.size() < 20_000 + 25_000, "no more than was asked for, but for a part of a file"
        assert retire(store, Bounds(bytes=bound), NOW, NEVER) == Retired(0, 0, 0)


def test_a_bound_that_cannot_be_kept_is_told(folder: Path) -> None:
    with filled(folder, 6) as store:
        needed = START + timedelta(days=4)
        done = retire(store, Bounds(bytes=1000), NOW, needed)
        assert days_of(store) == [4, 5]
        assert done.over == store.retirement.size() - 1000
        assert "more than the 1000" in done.said
        assert "05 Mar 2026" in done.said
        again = retire(store, Bounds(bytes=1000), NOW, needed)
        assert (again.turns, again.sessions, again.bytes) == (0, 0, 0)
        assert again.said


def test_a_scan_goes_on_after_it(folder: Path) -> None:
    """The numbers by which a scan tells that turns came late follow; if some had come late they do not."""
    with filled(folder, 6) as store:
        known = {"turns": 1800, "last": (START + timedelta(days=6)).isoformat()}
        store.save_state(REACHED, orjson.dumps(known))
        store.put_setting("scanned_turns", 1700)
        retire(store, Bounds(turn_days=8), NOW, NEVER)
        assert orjson.loads(store.load_state(REACHED) or b"") == known | {"turns": 1200}
        assert store.get_setting("scanned_turns") == 1100
        store.save_state(REACHED, orjson.dumps(known | {"turns": 7}))
        retire(store, Bounds(turn_days=7), NOW, NEVER)
        assert orjson.loads(store.load_state(REACHED) or b"")["turns"] == 7


def test_random_folders_keep_all_that_may_stay(tmp_path: Path) -> None:
    """However rows lie in files: only rows older than the bound go, and none that is needed."""
    import random

    rng = random.Random(3)
    for number in range(6):
        with Store.open(tmp_path / str(number)) as store:
            for _ in range(5):
                first = rng.randrange(3000)
                store.append_turns(numbered(first, first + rng.randrange(1, 800)))
            before = store.turns_between(*FOREVER, columns=["turn_id", "time"])
            bound, needed = rng.randrange(3800), rng.randrange(3800)
            limit = rng.choice([None, rng.randrange(1, store.retirement.size())])
            done = retire(store, Bounds(turn_days=1, bytes=limit), at(bound + DAY), at(needed))
            after = set(store.turns_between(*FOREVER, columns=["turn_id"]).column("turn_id").to_pylist())
            gone = [
                t
                for i, t in zip(*(before.column(n).to_pylist() for n in ("turn_id", "time")), strict=True)
                if i not in after
            ]
            assert len(gone) == done.turns
            assert all(t < at(needed) for t in gone)
            if limit is None:
                assert all(t < at(bound) for t in gone)
            elif done.over:
                left = store.turns_between(*FOREVER, columns=["time"]).column("time").to_pylist()
                assert all(t >= at(needed) for t in left), "too large still, so all that may go is gone"


def test_wrong_bounds_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"turn_days -1.*count_days 0.*bytes 0"):
        Bounds(turn_days=-1, count_days=0, bytes=0)
