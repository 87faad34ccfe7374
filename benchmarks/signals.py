"""How well the refusal signals agree with labels, next to other projects' detectors, and what every signal costs.

    python benchmarks/signals.py                      # figures on the half that no pattern was written from
    python benchmarks/signals.py --half dev           # the half that patterns may be written from
    python benchmarks/signals.py --peers DIR          # next to the detectors installed by peers.py --setup DIR
    python benchmarks/signals.py --speed              # microseconds a turn, signal by signal

The labelled sets and their halves: labelled.py.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelled import DATA, SETS, Bools, Labelled, in_half, ordinary, speechmap, xstest
from peers import PEERS, NotCallable, flags
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
Scores = npt.NDArray[np.float64]


def auroc(scores: Scores, labels: Bools) -> float:
    """Area under the ROC curve by mid-ranks (Mann-Whitney); NaN when one class is missing."""
    if labels.all() or not labels.any():
        return float("nan")
    _, place, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place]
    positives = int(labels.sum())
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * (len(labels) - positives)))


def quality(data: Path, half: str, only: str, peers: Path | None) -> None:
    print(f"| set ({half} half) | n | yes | scorer | precision | recall | F1 | AUROC | specificity |")
    print("|---|---|---|---|---|---|---|---|---|")
    for make in SETS:
        for each in make(data):
            if only not in each.name:
                continue
            rows = each.take(np.flatnonzero(in_half(each.ids, half)))
            for name, scores in _our_scores(rows):
                _print_row(rows, name, scores)
            if peers is not None and ("refusal",) in rows.scorers:
                _print_peers(rows, peers)


def _our_scores(rows: Labelled) -> Iterator[tuple[str, Scores]]:
    """Scores by scorer; an answer in a language without families counts as not flagged, and is said."""
    readings, _, failures = measure_turns(TurnBatch(rows.turns))
    if failures:
        raise SystemExit(f"signals failed on {rows.name}: {failures}")
    for scorer in rows.scorers:
        known = np.array([readings[signal] for signal in scorer])
        unread = float(np.isnan(known).all(axis=0).mean())
        remark = f" ({unread:.0%} unread)" if unread >= 0.005 else ""
        yield f"unquiet {', '.join(scorer)}{remark}", np.nan_to_num(known).max(axis=0)


def _print_peers(rows: Labelled, scratch: Path) -> None:
    texts = [answer or "" for answer in rows.turns["output"].to_pylist()]
    for peer in PEERS:
        try:
            _print_row(rows, peer.name, flags(peer, scratch, texts).astype(np.float64))
        except NotCallable as error:
            known = f"F1 {peer.known_f1[0]} on XSTest, {peer.known_f1[1]} on support denials"
            print(f"| {rows.name} | | | {peer.name} | not called ({error}); measured earlier: {known} | | | | |")


def _print_row(rows: Labelled, scorer: str, scores: Scores) -> None:
    said, truth = scores >= 0.5, rows.labels
    hit = float((said & truth).sum())
    precision = hit / said.sum() if said.any() else float("nan")
    recall = hit / truth.sum() if truth.any() else float("nan")
    f1 = 2 * hit / (said.sum() + truth.sum()) if truth.any() else float("nan")
    specificity = 1 - (said & ~truth).sum() / max(1, (~truth).sum())
    figures = [precision if truth.any() else float("nan"), recall, f1, auroc(scores, truth), specificity]
    written = " | ".join("-" if np.isnan(figure) else f"{figure:.3f}" for figure in figures)
    print(f"| {rows.name} | {len(truth)} | {int(truth.sum())} | {scorer} | {written} |", flush=True)


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
    parser.add_argument("--only", default="", metavar="PART", help="sets whose name holds this")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="scratch folder of peers.py --setup")
    parser.add_argument("--half", choices=("dev", "report", "all"), default="report")
    parser.add_argument("--speed", action="store_true", help="print the cost of each signal instead")
    wanted = parser.parse_args()
    if not wanted.data.is_dir():
        raise SystemExit(f"no labelled sets at {wanted.data}: give their folder with --data")
    if wanted.speed:
        speed(wanted.data)
    else:
        quality(wanted.data, wanted.half, wanted.only, wanted.peers and wanted.peers.resolve())


if __name__ == "__main__":
    main()
