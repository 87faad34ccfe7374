"""Killed at any moment: what was acknowledged is there, what was not is not, and nothing twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store_samples import FOREVER, numbered
from unquiet.store import Appended, Store

TESTS = Path(__file__).resolve().parent

BEFORE_COMMIT = """
import sys, pathlib
from store_samples import numbered, counts
from unquiet.store import SourceRow, Store, writer
writer.PENDING_BYTES_MAX = 2_000
store = Store.open(pathlib.Path(sys.argv[1]))
with store.transaction():
    store.append_turns(numbered(0, 100))
    store.files.add(SourceRow("first", "a.jsonl", 100, 100))
print("acknowledged", flush=True)
with store.transaction():
    store.append_turns(numbered(100, 200))
    store.append_counts(counts([(0, "all", None, 1, [1])]))
    store.save_state("detector", b"1")
    store.files.add(SourceRow("second", "b.jsonl", 100, 100))
    print("written", flush=True)
    sys.stdin.read()
"""

ONE_AFTER_ANOTHER = """
import sys, pathlib
from store_samples import numbered
from unquiet.store import SourceRow, Store, writer
writer.PENDING_BYTES_MAX = 20_000
store = Store.open(pathlib.Path(sys.argv[1]))
done = len(store.files.all())
while True:
    with store.transaction():
        for start in range(done * 100, done * 100 + 100, 20):
            store.append_turns(numbered(start, start + 20))
        store.files.add(SourceRow(str(done), "a.jsonl", 100, 100))
    done += 1
    print(done, flush=True)
"""

INTERRUPTED = """
import sys, pathlib, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started to ignore it
from store_samples import FOREVER, numbered
from unquiet.store import Store, writer
writer.PENDING_BYTES_MAX = 2_000
with Store.open(pathlib.Path(sys.argv[1])) as store:
    store.append_turns(numbered(0, 100))
    store.turns_between(*FOREVER)
    try:
        with store.transaction():
            store.append_turns(numbered(100, 200))
            print("written", flush=True)
            while True:
                store.turns_between(*FOREVER)
    except KeyboardInterrupt:
        print(store.turn_extent().count, store.append_turns(numbered(50, 150)), flush=True)
"""


def start(script: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=TESTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_between_writing_and_commit(tmp_path: Path) -> None:
    with start(BEFORE_COMMIT, tmp_path) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["acknowledged\n", "written\n"]
        left = set(tmp_path.rglob("*.parquet"))
        process.send_signal(signal.SIGKILL)
    assert len(left) > 5
    with Store.open(tmp_path) as store:
        assert len(set(tmp_path.rglob("*.parquet"))) < len(left) - 2
        assert store.turns_between(*FOREVER).equals(numbered(0, 100))
        assert store.files.known("first") is not None
        assert store.files.known("second") is None
        assert store.counts_between(*FOREVER).num_rows == 0
        assert store.load_state("detector") is None
        assert store.append_turns(numbered(100, 200)) == Appended(100, 0)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_time_and_continued(tmp_path: Path, seed: int) -> None:
    """Three lives of random length; after each there are whole transactions, at least the acknowledged."""
    rng = random.Random(seed)
    for _ in range(3):
        with start(ONE_AFTER_ANOTHER, tmp_path) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            time.sleep(rng.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        acknowledged = int(lines[-1])
        with Store.open(tmp_path) as store:
            done = len(store.files.all())
            assert done in (acknowledged, acknowledged + 1)
            assert store.turns_between(*FOREVER).equals(numbered(0, done * 100))


def test_interrupted_and_used_again(tmp_path: Path) -> None:
    with start(INTERRUPTED, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait() == 0
    assert said == "100 Appended(new=50, duplicates=50)\n"
