"""How long it takes to join tickets to traffic: 10,000 voices, 1,000,000 turns, half of the voices without any id.

python benchmarks/voices.py [--turns 1000000] [--voices 10000]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from unquiet.app.voiced import overview
from unquiet.app.voicing import add_rows
from unquiet.model.turns import TURNS
from unquiet.model.voices import VOICES
from unquiet.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 30
USERS = 200_000
WORDS = 4_000
BLOCK = 100_000


def texts(rng: np.random.Generator, count: int, length: int) -> list[str]:
    """Texts of words that are as unequally frequent as those of a language."""
    vocabulary = np.array(
        ["".join(rng.choice(list("abcdefghiklmnoprstuvw"), rng.integers(3, 9))) for _ in range(WORDS)]
    )
    rank = 1.0 / np.arange(1, WORDS + 1)
    words = vocabulary[rng.choice(WORDS, (count, length), p=rank / rank.sum())]
    return [" ".join(row) for row in words.tolist()]


def moments(days: np.ndarray) -> pa.Array:
    """Days since the start as moments."""
    us = (days * 86_400e6).astype(np.int64) + round(START.timestamp() * 1e6)
    return pa.array(us, pa.timestamp("us", tz="UTC"))


def table(schema: pa.Schema, columns: dict[str, pa.Array], count: int) -> pa.Table:
    """A table of the schema; columns that are not given are null."""
    arrays = [columns.get(field.name, pa.nulls(count, field.type)).cast(field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def turns(rng: np.random.Generator, first: int, days: np.ndarray, inputs: list[str]) -> pa.Table:
    """Turns of sessions with a turn and a half each."""
    count = len(days)
    number = np.arange(first, first + count)
    columns = {
        "turn_id": pa.array([f"t{n}" for n in number.tolist()]),
        "session_id": pa.array([f"s{n * 2 // 3}" for n in number.tolist()]),
        "time": moments(days),
        "user_id": pa.array([f"u{n}" for n in rng.integers(0, USERS, count).tolist()]),
        "input": pa.array(inputs),
    }
    return table(TURNS, columns, count)


def voices(rng: np.random.Generator, count: int, inputs: list[str]) -> pa.Table:
    """Voices of which a tenth names a session, four tenths a user, and the others nobody; a fifth quotes a request."""
    days = np.sort(rng.uniform(1, DAYS, count))
    said = texts(rng, count, 18)
    quotes = rng.random(count) < 0.2
    near = (days / DAYS * len(inputs) * rng.uniform(0.97, 1.0, count)).astype(int)
    kind = rng.random(count)
    columns = {
        "voice_id": pa.array([f"v{n}" for n in range(count)]),
        "time": moments(days),
        "kind": pa.array(["ticket"] * count),
        "origin": pa.array(["table"] * count),
        "text": pa.array([f"it refused {inputs[near[i]]}" if quotes[i] else said[i] for i in range(count)]),
        "session_id": pa.array([f"s{near[i] * 2 // 3}" if kind[i] < 0.1 else None for i in range(count)]),
        "user_id": pa.array([f"u{rng.integers(0, USERS)}" if 0.1 <= kind[i] < 0.5 else None for i in range(count)]),
    }
    return table(VOICES, columns, count)


def main() -> None:
    """Build a folder, add the voices, print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--voices", type=int, default=10_000)
    wanted = parser.parse_args()
    rng = np.random.default_rng(0)
    days = np.sort(rng.uniform(0, DAYS, wanted.turns))
    inputs = texts(rng, wanted.turns, 12)
    said = voices(rng, wanted.voices, inputs)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "db"
        with Store.open(folder) as store:
            for first in range(0, wanted.turns, BLOCK):
                part = slice(first, first + BLOCK)
                store.append_turns(turns(rng, first, days[part], inputs[part]))
        with Store.open(folder) as store:
            began = time.perf_counter()
            add_rows(store, folder, said)
            took = timedelta(seconds=time.perf_counter() - began)
            by = overview(store)["joined_by"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{wanted.voices} voices joined to {wanted.turns} turns in {took.total_seconds():.1f} s, at most {memory} MB: {by}"
    )


if __name__ == "__main__":
    main()
