"""How well the refusal signals agree with labels, and what every signal costs.

    python benchmarks/signals.py                      # figures on the half that no pattern was written from
    python benchmarks/signals.py --half dev           # the half that patterns may be written from
    python benchmarks/signals.py --speed              # microseconds a turn, signal by signal

The labelled sets are read from `../shared/data` beside the repository (or `--data`).
Halves: SHA-1 of the row's id.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unquiet.model.signals import SessionBatch, TurnBatch
from unquiet.model.turns import TURNS
from unquiet.signals import (
    CATEGORY_SIGNALS,
    SESSION_SIGNALS,
    TURN_SIGNALS,
    language,
    measure_turns,
    text,
    wording,
)

BATCH_TURNS = 4096
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Labelled:
    """A set of answers with a label each; `signal` is the one that should tell them apart."""

    name: str
    signal: str
    turns: pa.Table
    labels: np.ndarray
    ids: list[str]


def turn_table(
    outputs: list[str | None], inputs: list[str | None], reasons: list[str | None] | None = None
) -> pa.Table:
    rows = len(outputs)
    columns = {field.name: pa.nulls(rows, field.type) for field in TURNS}
    names = pa.array([str(row) for row in range(rows)], pa.string())
    columns |= {"turn_id": names, "session_id": names}
    columns["time"] = pa.array(np.zeros(rows, np.int64), pa.timestamp("us", tz="UTC"))
    columns["output"] = pa.array(outputs, pa.large_string())
    columns["input"] = pa.array(inputs, pa.large_string())
    if reasons is not None:
        columns["finish_reason"] = pa.array(reasons, pa.string())
    return pa.table(columns, schema=TURNS)


def xstest(data: Path) -> Iterator[Labelled]:
    rows = pq.read_table(data / "xstest" / "calls.parquet").to_pylist()
    turns = turn_table([row["response"] for row in rows], [row["prompt"] for row in rows])
    ids = [f"xstest/{row['prompt_id']}" for row in rows]
    refused = np.array([row["human_label"] != "full_compliance" for row in rows])
    yield Labelled("xstest any refusal", "refusal", turns, refused, ids)
    full = np.array([row["human_label"] == "full_refusal" for row in rows])
    yield Labelled("xstest full refusal", "refusal", turns, full, ids)


def rbr_gold(data: Path) -> Iterator[Labelled]:
    rows = pq.read_table(data / "rbr_gold" / "train.parquet").to_pylist()
    asked = [json.loads(row["prompt"])[-1]["content"] for row in rows]
    turns = turn_table([row["completion"] for row in rows], asked)
    ids = [f"rbr/{row['id']}" for row in rows]
    refused = np.array([not row["p_fully_complies"] and not row["p_partially_complies"] for row in rows])
    yield Labelled("rbr_gold not complied", "refusal", turns, refused, ids)
    sorry = np.array([bool(row["p_apology"]) for row in rows])
    yield Labelled("rbr_gold apology", "apology", turns, sorry, ids)


def speechmap(data: Path) -> Iterator[Labelled]:
    rows = pq.read_table(data / "speechmap" / "calls.parquet").to_pylist()
    for code in ("en", "zh", "fi"):
        some = [row for row in rows if row["language"] == code and not row["label_grok"].startswith("ERROR")]
        reasons = [row["finish_reason"] for row in some]
        turns = turn_table([row["response"] for row in some], [row["prompt"] for row in some], reasons)
        ids = [f"speechmap/{row['question_id']}" for row in some]
        denied = np.array([row["label_grok"] in {"DENIAL", "EVASIVE"} for row in some])
        yield Labelled(f"speechmap {code} denial or evasive", "refusal", turns, denied, ids)
        plain = np.array([row["label_grok"] == "DENIAL" for row in some])
        keep = np.flatnonzero(plain | ~denied)
        yield Labelled(f"speechmap {code} denial", "refusal", turns.take(keep), plain[keep], [ids[row] for row in keep])


def llmdrift(data: Path) -> Iterator[Labelled]:
    rows = pq.read_table(data / "llmdrift" / "calls.parquet").to_pylist()
    for task, label in (("opinionqa", "derived_label"), ("sensitiveq", "paper_label")):
        some = [row for row in rows if row["task"] == task and row[label] is not None]
        turns = turn_table([row["response"] for row in some], [row["prompt"] for row in some])
        ids = [f"llmdrift/{row['prompt_id']}" for row in some]
        refused = np.array([float(row[label]) == 0.0 for row in some])
        yield Labelled(f"llmdrift {task} not answered", "refusal", turns, refused, ids)


def ordinary(data: Path) -> Iterator[Labelled]:
    support = pq.read_table(data / "bitext_support" / "turns.parquet").filter(pc.field("version") == "v2_generated")
    rows = support.to_pylist()
    ids = [f"bitext/{row['instruction']}" for row in rows]
    turns = turn_table([row["response"] for row in rows], [row["instruction"] for row in rows])
    yield Labelled("bitext v2 (ordinary)", "refusal", turns, np.zeros(len(rows), np.bool_), ids)
    arena = pq.read_table(data / "arena_prompts" / "calls.parquet")
    rows = arena.filter(pc.starts_with(arena.column("model"), "gpt-4")).to_pylist()
    ids = [f"arena/{row['prompt_id']}" for row in rows]
    turns = turn_table([row["response"] for row in rows], [row["prompt"] for row in rows])
    yield Labelled("arena gpt-4 (ordinary)", "refusal", turns, np.zeros(len(rows), np.bool_), ids)


SETS = (xstest, rbr_gold, speechmap, llmdrift, ordinary)


def in_half(ids: list[str], half: str) -> np.ndarray:
    """True for rows of the half: "dev" may be looked at, "report" not, "all" is both."""
    odd = np.array([hashlib.sha1(name.encode(), usedforsecurity=False).digest()[0] & 1 for name in ids], np.bool_)
    return {"dev": ~odd, "report": odd, "all": np.ones(len(ids), np.bool_)}[half]


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve by mid-ranks (Mann-Whitney); NaN when one class is missing."""
    if labels.all() or not labels.any():
        return float("nan")
    _, place, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place]
    positives = int(labels.sum())
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * (len(labels) - positives)))


def quality(data: Path, half: str) -> None:
    print(
        f"{'set (' + half + ' half)':36}{'n':>6}{'yes':>6}{'unread':>8}"
        f"{'prec':>7}{'recall':>8}{'F1':>7}{'AUROC':>8}{'spec':>8}"
    )
    for make in SETS:
        for each in make(data):
            rows = np.flatnonzero(in_half(each.ids, half))
            readings, _, failures = measure_turns(TurnBatch(each.turns.take(rows)))
            if failures:
                raise SystemExit(f"signals failed on {each.name}: {failures}")
            _print_row(each.name, readings[each.signal], each.labels[rows])


def _print_row(name: str, scores: np.ndarray, labels: np.ndarray) -> None:
    known = ~np.isnan(scores)
    said, truth = scores[known] >= 0.5, labels[known]
    hit = float((said & truth).sum())
    precision = hit / said.sum() if said.any() else float("nan")
    recall = hit / truth.sum() if truth.any() else float("nan")
    f1 = 2 * hit / (said.sum() + truth.sum()) if said.any() or truth.any() else float("nan")
    specificity = 1 - (said & ~truth).sum() / max(1, (~truth).sum())
    figures = f"{precision:7.3f}{recall:8.3f}{f1:7.3f}{auroc(scores[known], truth):8.3f}{specificity:8.3f}"
    print(f"{name:36}{len(labels):6}{int(labels.sum()):6}{1 - known.mean():8.3f}{figures}")


def mixed_turns(data: Path) -> pa.Table:
    """Recorded answers of every kind, shuffled, with invented tool calls, latencies and tokens."""
    tables = [
        each.turns
        for make in (speechmap, ordinary, xstest)
        for each in make(data)
        if "denial or" in each.name or "(" in each.name or "any" in each.name
    ]
    turns = pa.concat_tables(tables)
    rng = np.random.default_rng(7)
    turns = turns.take(rng.permutation(len(turns)))
    calls = [
        [{"name": "get_order", "arguments": '{"id": 17}', "result": '{"status": "open"}', "error": None}] * int(times)
        for times in rng.integers(0, 3, len(turns))
    ]
    position = TURNS.get_field_index("tool_calls")
    turns = turns.set_column(position, TURNS.field(position), pa.array(calls, TURNS.field(position).type))
    latency = TURNS.get_field_index("latency_ms")
    return turns.set_column(latency, TURNS.field(latency), pa.array(rng.gamma(2.0, 500.0, len(turns))))


def speed(data: Path) -> None:
    """CPU time (one core) per turn: shared work, then each signal; the first batch only warms up."""
    turns = mixed_turns(data)
    spent: dict[str, float] = {}
    batches = [turns.slice(start, BATCH_TURNS) for start in range(0, len(turns) - BATCH_TURNS + 1, BATCH_TURNS)]
    warm = 1
    for number, part in enumerate(batches):
        gc.collect()
        for name, seconds in _timed(TurnBatch(part)):
            spent[name] = spent.get(name, 0.0) + (seconds if number >= warm else 0.0)
    count = (len(batches) - warm) * BATCH_TURNS
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{name:32}{1e6 * seconds / count:9.2f} us a turn")
    total = sum(spent.values()) / count
    length = np.nanmean(text.characters(TurnBatch(turns)))
    print(
        f"{'all':32}{1e6 * total:9.2f} us a turn = {1 / total:,.0f} turns/s a core "
        f"(mean answer {length:,.0f} characters)"
    )


def _timed(batch: TurnBatch) -> Iterator[tuple[str, float]]:
    steps = [
        ("(shared) text head and tail", lambda: (text.head(batch), text.tail(batch))),
        ("(shared) language of answers", lambda: language.languages(batch, "output")),
        ("(shared) language of requests", lambda: language.languages(batch, "input")),
        ("(shared) wording families", lambda: wording.hits(batch)),
    ]
    steps += [(each.info.name, lambda each=each: each.measure(batch)) for each in TURN_SIGNALS]
    steps += [(f"{each.info.name} (category)", lambda each=each: each.labels(batch)) for each in CATEGORY_SIGNALS]
    whole = SessionBatch(batch, np.arange(0, len(batch) + 1, 2), {})
    steps += [(f"{each.info.name} (session)", lambda each=each: each.measure(whole)) for each in SESSION_SIGNALS]
    for name, work in steps:
        start = time.process_time()
        work()
        yield name, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the labelled sets")
    parser.add_argument("--half", choices=("dev", "report", "all"), default="report")
    parser.add_argument("--speed", action="store_true", help="print the cost of each signal instead")
    wanted = parser.parse_args()
    if not wanted.data.is_dir():
        raise SystemExit(f"no labelled sets at {wanted.data}: give their folder with --data")
    if wanted.speed:
        speed(wanted.data)
    else:
        quality(wanted.data, wanted.half)


if __name__ == "__main__":
    main()
