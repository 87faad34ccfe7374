"""What a scan costs on one core, stage by stage, against the limits that unquiet sets itself.

    python benchmarks/speed.py                                  # everything; a million turns take several minutes
    python benchmarks/speed.py --turns 200000 --only scan
    python benchmarks/speed.py --only signals,answers,detector,history

`scan` runs `unquiet scan` on generated traffic as a process of its own on one core, then splits a smaller scan by
stage; `signals` measures every family of signals on generated turns; `answers` what the open-world detector costs beside
them; `detector` updates many streams at once; `history` compares the cost of a tick with that after a history 100 times as
long. Times are CPU-seconds of the process and its threads, figures of repeated parts are medians. A ratio of 1 or more
keeps its limit.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.scanning import scan
from unquiet.demo import write_story
from unquiet.detectors import Watch
from unquiet.model.counts import TICK_US, TickCounts
from unquiet.model.settings import Settings
from unquiet.model.signals import SessionBatch, TurnBatch
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.measuring import measure
from unquiet.pipeline.words import Words
from unquiet.sessions import Assembler
from unquiet.shift import ShiftWatch, extract
from unquiet.signals import CATEGORY_SIGNALS, SESSION_SIGNALS, TURN_SIGNALS, language, text, wording
from unquiet.sources import read_files
from unquiet.stats.edetector import BET_COUNT, BetTables, advance, total
from unquiet.store import Store

DAYS = 14
TURNS_PER_SESSION = 2.007
"""Of the demo's story: how many sessions make so many turns."""

PART_TURNS = 200_000
"""The story is told in memory: more turns become further files of other sessions in the same two weeks."""

SCAN_TURNS_PER_S = 4_000.0
SCAN_PEAK_MB = 2_000.0
SIGNALS_US = 100.0
WITH_ANSWERS_US = 300.0
UPDATES_PER_S = 4e6
TICK_GROWTH = 1.5

SECTIONS = ("scan", "signals", "answers", "detector", "history")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process used."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def row(name: str, figure: str, limit: str = "", ratio: float | None = None) -> None:
    kept = "" if ratio is None else f"{ratio:8.2f}  {'kept' if ratio >= 1 else 'BROKEN'}"
    print(f"{name:38}{figure:>24}{limit:>22}{kept}")


def write_part(folder: Path, seed: int, turns: int) -> int:
    """One file of the traffic; the number of turns in it."""
    with tempfile.TemporaryDirectory() as name:
        per_day = round(turns / DAYS / TURNS_PER_SESSION)
        story = write_story(Path(name), seed=seed, sessions_per_day=per_day, days=DAYS)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(story.turns, folder / f"{seed}.jsonl.gz")
    return story.turn_count


def write_traffic(folder: Path, turns: int, seed: int) -> int:
    """About so many turns in files below the folder; how many there are. Each file is written by its own process."""
    parts = max(1, round(turns / PART_TURNS))
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as pool:
        written = [pool.submit(write_part, folder, seed + i, turns // parts) for i in range(parts)]
        return sum(future.result() for future in written)


def run_alone(command: list[str], core: int) -> Cost:
    """Run a command on one core to its end.

    Raises:
        SystemExit: it could not look (exit code 2 and more).
    """
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    scale = 1 / 1024 if sys.platform != "darwin" else 1 / 1024**2
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - start, used.ru_maxrss * scale)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(work: Callable[[], object]) -> float:
    start = cpu_s()
    work()
    return cpu_s() - start


def whole_scan(folder: Path, turns: int, seed: int, core: int) -> None:
    """The command line on many turns: turns a CPU-second and peak memory."""
    count = write_traffic(folder / "traffic", turns, seed)
    command = [sys.executable, "-m", "unquiet", "scan", str(folder / "traffic"), "--db", str(folder / "db"), "--json"]
    cost = run_alone(command, core)
    print(f"\nunquiet scan of {count:,} turns on one core: {cost.cpu_s:.1f} CPU-s, {cost.wall_s:.1f} s")
    speed = count / cost.cpu_s
    row("turns a CPU-second", f"{speed:,.0f}", f">= {SCAN_TURNS_PER_S:,.0f}", speed / SCAN_TURNS_PER_S)
    row("peak memory", f"{cost.peak_mb:,.0f} MB", f"< {SCAN_PEAK_MB:,.0f} MB", SCAN_PEAK_MB / cost.peak_mb)


def staged_scan(folder: Path, turns: int, seed: int) -> None:
    """The stages of a smaller scan, in this process; judging is what the whole takes beyond the other stages."""
    path = str(folder / "small")
    count = write_traffic(folder / "small", turns, seed)
    scan([path], folder / "warm", Settings(), mapping={}, changes=[], progress=lambda *_: None)
    whole = timed(lambda: scan([path], folder / "whole", Settings(), mapping={}, changes=[], progress=lambda *_: None))
    tables: list[pa.Table] = []
    spent = {"reading": timed(lambda: tables.extend(table for read in read_files([path]) for table in read.tables))}
    days: list[pa.Table] = []
    with Store.open(folder / "staged") as store:
        spent["storing, and reading back"] = timed(lambda: days.extend(stored_days(store, tables)))
    assembler = Assembler()
    spent["sessions and signals"] = timed(lambda: [measure_day(assembler, day) for day in days])
    spent["judging and describing"] = whole - sum(spent.values())
    print(f"\nstages of a scan of {count:,} turns in one process (imports and first use not counted)")
    for name, seconds in spent.items():
        row(name, f"{1e6 * seconds / count:.1f} us a turn", f"{seconds / whole:.0%} of all")
    row("all", f"{1e6 * whole / count:.1f} us a turn", f"{count / whole:,.0f} turns/s")


def stored_days(store: Store, tables: list[pa.Table]) -> Iterator[pa.Table]:
    with store.transaction():
        for table in tables:
            store.append_turns(table)
    extent = store.turn_extent()
    if extent.first is None or extent.last is None:
        raise SystemExit("nothing was stored")
    day = extent.first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= extent.last:
        yield store.turns_between(day, day + timedelta(days=1))
        day += timedelta(days=1)


def measure_day(assembler: Assembler, turns: pa.Table) -> None:
    if turns.num_rows:
        closed = assembler.push(turns, pc.max(turns.column("time")).cast(pa.int64()).as_py())
        if len(closed):
            measure(closed)


def story_turns(folder: Path, turns: int, seed: int) -> pa.Table:
    """Generated turns of whole sessions, session after session."""
    write_traffic(folder / "turns", turns, seed)
    tables = [table for read in read_files([str(folder / "turns")]) for table in read.tables]
    return pa.concat_tables(tables).sort_by([("session_id", "ascending"), ("time", "ascending")]).combine_chunks()


def session_starts(turns: pa.Table) -> np.ndarray:
    codes = turns.column("session_id").combine_chunks().dictionary_encode().indices.to_numpy()
    return np.append(np.flatnonzero(np.diff(codes, prepend=-1)), len(codes))


def signal_families(folder: Path, turns: int, seed: int) -> None:
    """Families on the answers as they are, and on long answers: ten of one language joined."""
    table = story_turns(folder, turns, seed)
    family_table(table)
    family_table(joined_answers(table, 10))


def joined_answers(turns: pa.Table, times: int) -> pa.Table:
    """The same turns with longer answers: each with those of the next turns of its language, ten as one text."""
    spoken = language.languages(TurnBatch(turns), "output")
    order = np.argsort(spoken, kind="stable")
    texts = turns.column("output").combine_chunks().take(pa.array(order))
    shifted = [texts.take(pa.array((np.arange(len(texts)) + step) % len(texts))) for step in range(times)]
    joined = pc.binary_join_element_wise(*shifted, pa.scalar("\n", texts.type), null_handling="replace")
    place = turns.schema.get_field_index("output")
    return turns.set_column(place, turns.schema.field(place), joined.take(pa.array(np.argsort(order))))


def family_table(table: pa.Table, repeats: int = 5) -> None:
    """CPU time a turn of each family; work that families share counts as a family of its own."""
    starts = session_starts(table)
    spent: dict[str, list[float]] = {}
    for again in range(repeats + 1):
        once: dict[str, float] = {}
        for name, seconds in family_costs(table, starts):
            once[name] = once.get(name, 0.0) + 1e6 * seconds / len(table)
        once["all"] = sum(once.values())
        for name, us in once.items() if again else ():
            spent.setdefault(name, []).append(us)
    length = pc.mean(pc.utf8_length(table.column("output"))).as_py()
    print(f"\nsignals on {len(table):,} turns, answers of {length:,.0f} characters: families, medians of {repeats}")
    medians = {name: statistics.median(values) for name, values in spent.items()}
    for name, us in sorted(medians.items(), key=lambda item: (item[0] == "all", -item[1])):
        limit = (f"<= {SIGNALS_US:.0f} us", SIGNALS_US / us) if name == "all" else ("", None)
        row(name, f"{us:.2f} us a turn", *limit)


def family_costs(turns: pa.Table, starts: np.ndarray) -> Iterator[tuple[str, float]]:
    batch = TurnBatch(turns)
    sessions = SessionBatch(batch, starts, {})
    yield "(shared) texts", timed(lambda: (text.head(batch), text.tail(batch), text.utf8_bytes(batch, "output")))
    yield "(shared) language of answers", timed(lambda: language.languages(batch, "output"))
    yield "(shared) language of requests", timed(lambda: language.languages(batch, "input"))
    yield "(shared) wording families", timed(lambda: wording.hits(batch))
    for turnwise in TURN_SIGNALS:
        yield family(turnwise), timed(lambda each=turnwise: each.measure(batch))
    for labelled in CATEGORY_SIGNALS:
        yield family(labelled), timed(lambda each=labelled: each.labels(batch))
    for sessionwise in SESSION_SIGNALS:
        yield f"{family(sessionwise)} (sessions)", timed(lambda each=sessionwise: each.measure(sessions))


def family(signal: object) -> str:
    compute = getattr(signal, "compute", signal)
    return str(getattr(compute, "__module__", type(signal).__module__)).rpartition(".")[2]


def answer_streams(folder: Path, turns: int, seed: int) -> None:
    """The open-world detector in a judgement of generated traffic: features of the answers, then their streams."""
    table = story_turns(folder, turns, seed)
    starts = session_starts(table)
    signals_us = 1e6 * sum(seconds for _, seconds in family_costs(table, starts)) / len(table)
    spent = {"features of answers": timed(lambda: extract(table, starts))}
    ordered = table.sort_by([("time", "ascending"), ("turn_id", "ascending")])
    with spent_in(ShiftWatch, "learn", "step") as streams, spent_in(Words, "batch") as batches:
        Judge(Settings()).push(ordered, pc.max(ordered.column("time")).cast(pa.int64()).as_py() + 2 * 86_400_000_000)
    spent |= {"learning": streams["learn"], "streams": streams["step"], "who is in which slice": batches["batch"]}
    print(f"\nopen-world detector on {len(table):,} turns of {DAYS} days")
    for name, seconds in spent.items():
        row(name, f"{1e6 * seconds / len(table):.1f} us a turn")
    whole = signals_us + 1e6 * sum(spent.values()) / len(table)
    row("with all signals", f"{whole:.0f} us a turn", f"<= {WITH_ANSWERS_US:.0f} us", WITH_ANSWERS_US / whole)


@contextmanager
def spent_in(owner: type, *names: str) -> Iterator[dict[str, float]]:
    """CPU-seconds in methods of a class, by name, while the context lasts."""
    spent = dict.fromkeys(names, 0.0)
    kept = {name: getattr(owner, name) for name in names}

    def timing(name: str) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            begun = cpu_s()
            result = kept[name](*args, **named)
            spent[name] += cpu_s() - begun
            return result

        return call

    for name in names:
        setattr(owner, name, timing(name))
    try:
        yield spent
    finally:
        for name, method in kept.items():
            setattr(owner, name, method)


def detector_updates(streams: int, repeats: int = 30) -> None:
    """Evidence of one cell a stream, then the stream's step and the look at its threshold."""
    rng = np.random.default_rng(1)
    tables = BetTables.build()
    restarts = np.zeros((streams, BET_COUNT))
    rate = rng.uniform(0.001, 0.5, streams)
    n = rng.integers(1, 30, streams).astype(float)
    x = rng.binomial(n.astype(int), rate).astype(float)
    weight = rng.integers(0, len(tables.weights), streams)
    mass = np.full(streams, 1e-9)

    def tick() -> None:
        nonlocal restarts
        evidence = tables.log_evidence(tables.up_level(rate), tables.down_level(rate), weight, n, x)
        restarts = advance(restarts, mass, evidence)
        total(restarts)

    tick()
    speed = streams / statistics.median(timed(tick) for _ in range(repeats))
    known = tables.up_level(rate), tables.down_level(rate)

    def step() -> None:
        advance(restarts, mass, tables.log_evidence(*known, weight, n, x))

    alone = streams / statistics.median(timed(step) for _ in range(repeats))
    print(f"\ndetector, {streams:,} streams at once, one core")
    row(
        "log_evidence, advance",
        f"{alone / 1e6:.1f} M updates/s",
        f">= {UPDATES_PER_S / 1e6:.0f} M",
        alone / UPDATES_PER_S,
    )
    row("with levels of rates and total", f"{speed / 1e6:.1f} M updates/s")


def start_watch(slices: int, events: int) -> Watch:
    return Watch(np.full(slices, 1e-9), events, BetTables.build(), Settings().delta)


def tick_counts(number: int, slices: int, strata: int, events: int, rng: np.random.Generator) -> TickCounts:
    where, stratum = (side.reshape(-1) for side in np.meshgrid(np.arange(slices), np.arange(strata), indexing="ij"))
    n = rng.integers(1, 10, (len(where), events)).astype(float)
    return TickCounts(number * TICK_US, where, stratum, np.zeros(len(where), np.int64), n, np.floor(0.1 * n))


def growth(name: str, tick: Callable[[int], float], base: int, around: int) -> None:
    """Medians of the ticks that come after `base` and after 100 times `base` others, and their ratio."""
    early: list[float] = []
    late: list[float] = []
    for number in range(100 * base + around):
        seconds = tick(number)
        if base <= number < base + around:
            early.append(seconds)
        elif number >= 100 * base:
            late.append(seconds)
    before, after = statistics.median(early), statistics.median(late)
    figure = f"{1e3 * before:.2f} -> {1e3 * after:.2f} ms"
    limit = f"<= {TICK_GROWTH} x"
    row(f"{name}, {base:,} -> {100 * base:,} ticks", figure, limit, TICK_GROWTH * before / after)


def history_growth(folder: Path, base: int, seed: int) -> None:
    """A tick of the watch alone, and a push of the whole judgement, after 1x and 100x the history."""
    rng = np.random.default_rng(seed)
    watch = start_watch(60, 40)
    counts = [tick_counts(0, 60, 6, 40, rng) for _ in range(20)]
    print("\ncost of a tick while its history grows 100 times; the ratio is limit to growth")

    def step(number: int) -> float:
        now = counts[number % len(counts)]
        moved = TickCounts((number + 1) * TICK_US, now.slice, now.stratum, now.weight, now.n, now.x)
        return timed(lambda: watch.step(moved))

    growth("Watch.step", step, base, base)
    pool = story_turns(folder, 20_000, seed)
    judge = Judge(Settings(learn=timedelta(microseconds=base // 2 * TICK_US)))
    starts = session_starts(pool)

    def push(number: int) -> float:
        turns = tick_turns(pool, starts, number, rng)
        return timed(lambda: judge.push(turns, (number + 1) * TICK_US))

    growth("Judge.push", push, base, base)


def tick_turns(pool: pa.Table, starts: np.ndarray, number: int, rng: np.random.Generator) -> pa.Table:
    """Twenty sessions drawn from a pool, as new ones that begin in tick `number`, each turn a second after the last."""
    chosen = rng.integers(0, len(starts) - 1, 20)
    rows = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in chosen])
    session = np.repeat(np.arange(len(chosen)), starts[chosen + 1] - starts[chosen])
    turns = pool.take(pa.array(rows))
    at = number * TICK_US + 10_000_000 * (session + 1) + 1_000_000 * (rows - starts[chosen][session])
    fresh = {
        "turn_id": pa.array([f"{number}.{i}" for i in range(len(rows))]),
        "session_id": pa.array([f"{number}.{i}" for i in session]),
        "user_id": pa.array([f"{number}.{i}" for i in session]),
        "time": pa.array(at, pa.timestamp("us", tz="UTC")),
    }
    for name, values in fresh.items():
        turns = turns.set_column(turns.schema.get_field_index(name), turns.schema.field(name), values)
    return turns.sort_by([("time", "ascending"), ("turn_id", "ascending")])


def stay_on(core: int) -> None:
    """Begin anew on one core: libraries count the cores when they are loaded, and idle threads would wait busily."""
    if os.sched_getaffinity(0) != {core}:
        os.sched_setaffinity(0, {core})
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the command that runs already


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=1_000_000, help="turns of the whole scan")
    parser.add_argument("--stage-turns", type=int, default=100_000, help="turns of the scan that is split by stage")
    parser.add_argument("--signal-turns", type=int, default=10_000, help="turns that the signals measure")
    parser.add_argument("--streams", type=int, default=20_000, help="streams that the detector updates at once")
    parser.add_argument("--ticks", type=int, default=60, help="ticks of the short history")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="the core that is used")
    parser.add_argument("--only", default=",".join(SECTIONS), help="some of " + ",".join(SECTIONS))
    wanted = parser.parse_args()
    chosen = wanted.only.split(",")
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        raise SystemExit(f"--only {','.join(unknown)}: expected some of {', '.join(SECTIONS)}")
    stay_on(wanted.core)
    print(f"{datetime.now(UTC):%Y-%m-%d} one core, Python {sys.version.split()[0]}, pyarrow {pa.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "scan" in chosen:
            whole_scan(folder, wanted.turns, wanted.seed, wanted.core)
            staged_scan(folder, wanted.stage_turns, wanted.seed)
        if "signals" in chosen:
            signal_families(folder, wanted.signal_turns, wanted.seed)
        if "answers" in chosen:
            answer_streams(folder, wanted.stage_turns, wanted.seed)
        if "detector" in chosen:
            detector_updates(wanted.streams)
        if "history" in chosen:
            history_growth(folder, wanted.ticks, wanted.seed)


if __name__ == "__main__":
    main()
