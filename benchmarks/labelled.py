"""Recorded answers with a label each: what the signals' benchmark is measured on.

Read from a folder of labelled sets (`../shared/data` beside the repository); nothing of them is kept here but
`labels/`, ids and labels without text. Halves: SHA-1 of the id of what was asked, so that answers to the same
prompt or task are never on both sides.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unquiet.model.turns import TURNS

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LABELS = Path(__file__).resolve().parent / "labels"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Labelled:
    """A set of answers with a label each.

    `scorers` should tell them apart: each is one signal, or several of which the highest counts.
    """

    name: str
    scorers: tuple[tuple[str, ...], ...]
    turns: pa.Table
    labels: Bools
    ids: list[str]

    def take(self, rows: npt.NDArray[np.intp]) -> Labelled:
        """The same set with these rows only."""
        return Labelled(
            self.name, self.scorers, self.turns.take(rows), self.labels[rows], [self.ids[row] for row in rows]
        )


REFUSAL = (("refusal",),)
DENIAL = (("refusal",), ("refusal", "policy_denial", "handoff"))
"""A support denial is also a no for one of several things asked for, which `refusal` weighs against the help
around it, and passing the user on to a person instead of dealing with the request."""


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
    yield Labelled("xstest any refusal", REFUSAL, turns, refused, ids)
    full = np.array([row["human_label"] == "full_refusal" for row in rows])
    yield Labelled("xstest full refusal", REFUSAL, turns, full, ids)


def tau_airline(data: Path) -> Iterator[Labelled]:
    """Denials of an airline's support agent, labelled in labels/ (labels/README.md); halves by task."""
    sessions = pq.read_table(data / "tau_airline" / "sessions.parquet", columns=["session_id", "messages"])
    messages = {row["session_id"]: json.loads(row["messages"]) for row in sessions.to_pylist()}
    with (LABELS / "tau_airline.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    said, asked = [], []
    for row in rows:
        talk, place = messages[row["session_id"]], int(row["turn_index"])
        said.append(talk[place]["content"])
        asked.append(next((each["content"] for each in reversed(talk[:place]) if each["role"] == "user"), None))
    ids = [f"tau_airline/{row['session_id'].rpartition('-r')[0]}" for row in rows]
    denied = np.array([row["label"] == "1" for row in rows])
    yield Labelled("tau_airline support denial", DENIAL, turn_table(said, asked), denied, ids)


def rbr_gold(data: Path) -> Iterator[Labelled]:
    rows = pq.read_table(data / "rbr_gold" / "train.parquet").to_pylist()
    asked = [json.loads(row["prompt"])[-1]["content"] for row in rows]
    turns = turn_table([row["completion"] for row in rows], asked)
    ids = [f"rbr/{row['id']}" for row in rows]
    refused = np.array([not row["p_fully_complies"] and not row["p_partially_complies"] for row in rows])
    yield Labelled("rbr_gold not complied", REFUSAL, turns, refused, ids)
    sorry = np.array([bool(row["p_apology"]) for row in rows])
    yield Labelled("rbr_gold apology", (("apology",),), turns, sorry, ids)


def speechmap(data: Path) -> Iterator[Labelled]:
    rows = pq.read_table(data / "speechmap" / "calls.parquet").to_pylist()
    for code in ("en", "zh", "fi"):
        some = [row for row in rows if row["language"] == code and not row["label_grok"].startswith("ERROR")]
        reasons = [row["finish_reason"] for row in some]
        turns = turn_table([row["response"] for row in some], [row["prompt"] for row in some], reasons)
        ids = [f"speechmap/{row['question_id']}" for row in some]
        denied = np.array([row["label_grok"] in {"DENIAL", "EVASIVE"} for row in some])
        yield Labelled(f"speechmap {code} denial or evasive", REFUSAL, turns, denied, ids)
        plain = np.array([row["label_grok"] == "DENIAL" for row in some])
        keep = np.flatnonzero(plain | ~denied)
        yield Labelled(f"speechmap {code} denial", REFUSAL, turns, plain, ids).take(keep)


def llmdrift(data: Path) -> Iterator[Labelled]:
    rows = pq.read_table(data / "llmdrift" / "calls.parquet").to_pylist()
    for task, label in (("opinionqa", "derived_label"), ("sensitiveq", "paper_label")):
        some = [row for row in rows if row["task"] == task and row[label] is not None]
        turns = turn_table([row["response"] for row in some], [row["prompt"] for row in some])
        ids = [f"llmdrift/{row['prompt_id']}" for row in some]
        refused = np.array([float(row[label]) == 0.0 for row in some])
        yield Labelled(f"llmdrift {task} not answered", REFUSAL, turns, refused, ids)


def ordinary(data: Path) -> Iterator[Labelled]:
    """Answers that are taken to grant what was asked; arena's are unlabelled, so a few of its flags are right."""
    support = pq.read_table(data / "bitext_support" / "turns.parquet").filter(pc.field("version") == "v2_generated")
    yield _granted("bitext v2 (ordinary)", "bitext", support.to_pylist(), "instruction")
    arena = pq.read_table(data / "arena_prompts" / "calls.parquet")
    gpt4 = arena.filter(pc.starts_with(arena.column("model"), "gpt-4"))
    yield _granted("arena gpt-4 (ordinary)", "arena", gpt4.to_pylist(), "prompt")


def _granted(name: str, folder: str, rows: list[dict[str, str]], asked: str) -> Labelled:
    key = "prompt_id" if "prompt_id" in rows[0] else asked
    turns = turn_table([row["response"] for row in rows], [row[asked] for row in rows])
    return Labelled(name, DENIAL, turns, np.zeros(len(rows), np.bool_), [f"{folder}/{row[key]}" for row in rows])


SETS: tuple[Callable[[Path], Iterator[Labelled]], ...] = (
    xstest,
    tau_airline,
    rbr_gold,
    llmdrift,
    speechmap,
    ordinary,
)


def in_half(ids: list[str], half: str) -> Bools:
    """True for rows of the half: "dev" may be looked at, "report" not, "all" is both."""
    odd = np.array([hashlib.sha1(name.encode(), usedforsecurity=False).digest()[0] & 1 for name in ids], np.bool_)
    return {"dev": ~odd, "report": odd, "all": np.ones(len(ids), np.bool_)}[half]
