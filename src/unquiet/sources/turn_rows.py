"""Rows of a table in columns -> turns: the one place that knows the columns of the turn table."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.model.turns import TURNS
from unquiet.sources.columns import (
    Column,
    Flaws,
    IntArray,
    id_column,
    json_text,
    null_column,
    number_column,
    text_column,
    time_column,
)
from unquiet.sources.facets import facet_column, facet_map, unpacked
from unquiet.sources.protocol import EARLIEST_US, ReadOptions, misplaced
from unquiet.sources.tool_calls import tool_call_column

REQUIRED = ("time", "session_id", "input", "output")
_TEXTS = ("user_id", "finish_reason", "error", "model", "served_model")
_NUMBERS = ("turn_index", "latency_ms", "input_tokens", "output_tokens", "reasoning_tokens", "cost_usd")
_SOUNDS_LIKE = {
    "time": re.compile(r"time|date|^at$|^ts$|_at$|_ts$|created|when", re.IGNORECASE),
    "session_id": re.compile(r"session|conversation|chat|thread|dialog|trace", re.IGNORECASE),
    "input": re.compile(r"input|question|prompt|query|request|user_(?:text|message)|asked", re.IGNORECASE),
    "output": re.compile(r"output|answer|response|reply|completion|assistant|bot_", re.IGNORECASE),
}
"""What columns are called that hold what a turn needs."""

_NAME_CHARACTERS = 40
_NAMES_SHOWN = 40
_OWN = frozenset((*REQUIRED, *_TEXTS, *_NUMBERS, "tool_calls", "turn_id", "facets"))


def check_columns(path: Path, found: Iterable[str], mapping: Mapping[str, str]) -> None:
    """See that the required columns are there.

    Raises:
        UnreadableSource: names the columns that are missing, those that were found and the mapping to use.
    """
    columns = list(dict.fromkeys(found))
    lost = [f"{wanted}={there}" for wanted, there in mapping.items() if there not in columns]
    if lost:
        raise UnreadableSource(
            f"{path}: --map {' --map '.join(lost)} names a column that is not there. "
            f"Columns found: {_few(columns)}. Write NAME=COLUMN with one of them."
        )
    missing = [name for name in REQUIRED if mapping.get(name, name) not in columns]
    if missing:
        example = " ".join(f"--map {shlex.quote(f'{name}={_plausible(name, columns)}')}" for name in missing)
        raise UnreadableSource(
            f"{path}: a turn table needs the columns {', '.join(REQUIRED)}; missing: {', '.join(missing)}. "
            f"Columns found: {_few(columns)}. "
            f"If one of them has it under another name, say so: {example}. "
            "Where texts were not captured, keep input and output as empty columns."
        )


def _plausible(name: str, columns: Sequence[str]) -> str:
    """The first column that sounds as if it held what is missing; COLUMN where none does."""
    free = [column for column in columns if column not in _OWN and len(column) <= _NAME_CHARACTERS]
    return next((column for column in free if _SOUNDS_LIKE[name].search(column)), "COLUMN")


def _few(columns: list[str]) -> str:
    """Columns for a message: a file that is no table can have very long ones, and many."""
    shown = [c if len(c) <= _NAME_CHARACTERS else c[:_NAME_CHARACTERS] + "..." for c in columns[:_NAMES_SHOWN]]
    more = [f"and {len(columns) - _NAMES_SHOWN} more"] if len(columns) > _NAMES_SHOWN else []
    return ", ".join([*shown, *more]) or "none"


@dataclass(slots=True)
class TurnRows:
    """Makes turns of the rows of one file, batch by batch, and keeps the file's report."""

    path: Path
    options: ReadOptions
    report: ReadReport
    _unused: set[str] = field(default_factory=set[str])
    _hidden: set[str] = field(default_factory=set[str])
    _zone_noted: bool = False

    def build(self, columns: Mapping[str, Column], places: Sequence[str | int]) -> pa.Table:
        """The turns of a batch.

        `columns` holds the file's columns under the file's names, all of one length; `places` the line (or
        the place) of every row. Rows that cannot become turns are rejected.
        """
        count = len(places)
        own, others = self._renamed(columns)
        flaws = Flaws()
        times = time_column(own.get("time", [None] * count), flaws)
        made: dict[str, pa.Array] = {
            "session_id": id_column(own.get("session_id", [None] * count), "session_id", flaws),
        }
        calls = TURNS.field("tool_calls").type
        made["tool_calls"] = (
            tool_call_column(own["tool_calls"], flaws) if "tool_calls" in own else null_column(count, calls)
        )
        for name in ("input", "output", *_TEXTS):
            kind = TURNS.field(name).type
            made[name] = text_column(own[name], kind, json_text) if name in own else null_column(count, kind)
        for name in _NUMBERS:
            kind = TURNS.field(name).type
            made[name] = number_column(own[name], name, kind, flaws) if name in own else null_column(count, kind)
        self._flag_misplaced(times, flaws)
        made["facets"] = self._facets(others, own.get("facets"), count)
        made["time"] = pa.array(times).cast(pa.timestamp("us", "UTC"))
        made["turn_id"] = _turn_ids(own.get("turn_id"), made, times)
        return self._kept(pa.table([made[name] for name in TURNS.names], schema=TURNS), flaws, places)

    def _renamed(self, columns: Mapping[str, Column]) -> tuple[dict[str, Column], dict[str, Column]]:
        taken: dict[str, list[str]] = {}
        for wanted, there in self.options.mapping.items():
            taken.setdefault(there, []).append(wanted)
        own: dict[str, Column] = {}
        others: dict[str, Column] = {}
        for there, values in columns.items():
            names = taken.get(there, [])
            if there not in self.options.mapping:
                names = [*names, there] if there in _OWN or not names else names
            elif not names:
                self._hidden.add(there)
            for name in names:
                (own if name in _OWN else others)[name] = values
        return own, others

    def _facets(self, others: Mapping[str, Column], packed: Column | None, count: int) -> pa.Array:
        columns: dict[str, pa.Array] = {}
        inner = unpacked(packed) if packed is not None else {}
        for name, values in {**inner, **others}.items():
            columns[name], partial = facet_column(values)
            if partial:
                self._unused.add(name)
        return facet_map(columns, count)

    def _flag_misplaced(self, times: IntArray, flaws: Flaws) -> None:
        for row in np.flatnonzero((times > self.options.latest_us) | (times < EARLIEST_US)):
            flaw = misplaced(int(times[row]), self.options)
            if flaw is not None:
                flaws.add(int(row), *flaw)

    def _kept(self, turns: pa.Table, flaws: Flaws, places: Sequence[str | int]) -> pa.Table:
        self.report.rows += len(places)
        if flaws.zone_assumed and not self._zone_noted:
            self._zone_noted = True
            self.report.notes.append(f"{self.path}: times without a time zone were taken as UTC")
        if flaws.rows:
            keep = np.ones(len(places), dtype=bool)
            for row, (kind, reason) in sorted(flaws.rows.items()):
                keep[row] = False
                self.report.reject(f"{self.path}:{places[row]}", reason, kind)
            turns = turns.filter(pa.array(keep))
        self.report.turns += turns.num_rows
        return turns

    def finish(self) -> None:
        """Note the columns that were not used."""
        if self._unused:
            names = ", ".join(sorted(self._unused))
            self.report.notes.append(f"{self.path}: columns not used because they hold no single value a row: {names}")
        if self._hidden:
            names = ", ".join(sorted(self._hidden))
            self.report.notes.append(
                f"{self.path}: columns not used because the mapping names others for them: {names}"
            )


def _turn_ids(given: Column | None, made: Mapping[str, pa.Array], times: IntArray) -> pa.Array:
    """Ids of the turns: as given, else session and index, else a 128-bit hash of session, time and texts."""
    indexed = pc.binary_join_element_wise(
        made["session_id"],
        pc.cast(made["turn_index"], pa.string()),
        pa.scalar("#"),
        null_handling="emit_null",
    )
    if given is not None:
        indexed = pc.coalesce(text_column(given, pa.string(), json_text), indexed)
    if indexed.null_count == 0:
        return indexed
    gaps = pc.is_null(indexed)
    rows = np.flatnonzero(gaps.to_numpy(zero_copy_only=False))
    parts = [made[name].take(pa.array(rows)).to_pylist() for name in ("session_id", "input", "output")]
    hashed = [
        hashed_turn_id(session, int(time), first, second)
        for session, time, first, second in zip(parts[0], times[rows], parts[1], parts[2], strict=True)
    ]
    return pc.replace_with_mask(indexed, gaps, pa.array(hashed, type=pa.string()))


def hashed_turn_id(session_id: str, time_us: int, request: str | None, answer: str | None) -> str:
    """32 hexadecimal digits that stay the same whenever the same turn is read again."""
    texts = "\x1f".join((session_id, str(time_us), request or "", answer or ""))
    return blake2b(texts.encode(), digest_size=16).hexdigest()
