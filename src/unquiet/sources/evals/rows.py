"""Eval results as they are gathered: plain records of one file become tables of bounded size."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.conventions.messages import as_text
from unquiet.conventions.payloads import request_text
from unquiet.conventions.steps import facet_text, short_hash
from unquiet.conventions.times import BadTimeError, to_us
from unquiet.model.evals import EVAL_RESULTS, STATUSES
from unquiet.model.rejections import ReadReport
from unquiet.sources.protocol import ReadOptions, misplaced

REASON_LENGTH = 4000
"""Characters of a reason that are kept: stack traces have more, and say it at their end."""
CASE_LENGTH = 120
"""Characters of a request that stand for the name of a case that has none."""

SAID_AS: Mapping[str, tuple[str, ...]] = {
    "input": ("input", "question", "query", "user_input", "request", "message", "prompt"),
    "output": ("output", "actual_output", "answer", "response"),
    "expected": ("expected", "expected_output", "target", "reference", "ground_truth"),
    "score": ("score",),
    "model": ("model",),
    "prompt_hash": ("prompt_hash", "prompt.hash", "instructions.hash"),
    "tools_hash": ("tools_hash", "tools.hash"),
    "session_id": ("session_id", "conversation_id"),
    "turn_id": ("turn_id",),
}
"""How suites name the columns of EVAL_RESULTS in the properties, variables and metadata of a case; the first goes first."""


def result_id(*parts: object) -> str:
    """What identifies a result across files: the same run, case and attempt give the same id."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def results_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of EVAL_RESULTS; columns that a row does not name are null. `time` is in microseconds since 1970."""
    columns = {name: [row.get(name) for row in rows] for name in EVAL_RESULTS.names}
    arrays = [pa.array(columns[field.name], field.type) for field in EVAL_RESULTS]
    return pa.Table.from_arrays(arrays, schema=EVAL_RESULTS)


def columns_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a case says about itself in names of its own, as columns of EVAL_RESULTS; short scalars without one are facets."""
    left = {name: value for name, value in said.items() if value not in (None, "")}
    plain = {str(name).lower().replace("-", "_").replace(" ", "_"): name for name in reversed(left)}
    row: dict[str, Any] = {}
    for column, names in SAID_AS.items():
        name = next((plain[each] for each in names if each in plain), None)
        if name is not None and name in left:
            value = _number(left[name]) if column == "score" else text_of(left[name])
            if value is not None:
                row[column] = value
                del left[name]
    facets = {str(name): facet_text(value) for name, value in left.items()}
    row["facets"] = {name: text for name, text in facets.items() if text is not None}
    return row


def text_of(value: Any) -> str | None:
    """A request, an answer or a name as text; of messages the last of the user."""
    if isinstance(value, str) and value.lstrip()[:1] not in ("{", "["):
        return value
    return request_text(value) if isinstance(value, str | list | dict) else as_text(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number == number and abs(number) != float("inf") else None


def number(value: Any) -> float | None:
    """A score; None for what is no finite number. True is 1, false is 0."""
    return _number(value) if isinstance(value, bool | int | float) else None


def shortened(text: str | None, length: int = REASON_LENGTH) -> str | None:
    """A text without space around it and without its middle where it is longer; None where nothing is in it."""
    text = (text or "").strip()
    if len(text) > length:
        return f"{text[: length // 2]}\n...\n{text[-length // 2 :]}"
    return text or None


def case_name(name: str | None, row: Mapping[str, Any], number: int) -> str:
    """The name of a case: its own, else the beginning of its request, else its number in the file."""
    asked = " ".join(str(row.get("input") or "").split())[:CASE_LENGTH]
    return name or asked or f"case {number}"


@dataclass(slots=True)
class Results:
    """The results of one file: counted, named and dated, in tables of bounded size.

    `run` and `time_us` of a row stand in it as `run` and `time`. A row with the column `result_id` keeps it.
    """

    path: Path
    tool: str
    options: ReadOptions
    report: ReadReport
    _waiting: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _attempts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    _digest: str = ""

    def add(self, place: str | int, row: Mapping[str, Any]) -> Iterator[pa.Table]:
        """Take in a result and give a table when there is a full one; a time that cannot be true is rejected."""
        self.report.rows += 1
        wrong = misplaced(row["time"], self.options)
        if wrong:
            self.report.reject(f"{self.path}:{place}", wrong[1], wrong[0])
            return
        if row["status"] not in STATUSES:
            raise ValueError(f"status {row['status']!r}: expected one of {', '.join(STATUSES)}")
        key = (str(row["run"]), str(row["case_name"]))
        self._attempts[key] += 1
        named = {"result_id": result_id(self.tool, *key, self._attempts[key]), "tool": self.tool, **row}
        named["facets"] = sorted(dict(row.get("facets") or {}).items())
        self._waiting.append(named)
        if len(self._waiting) >= self.options.batch_rows:
            yield from self.rest()

    def rest(self) -> Iterator[pa.Table]:
        """What is waiting."""
        if self._waiting:
            rows, self._waiting = self._waiting, []
            self.report.turns += len(rows)
            yield results_table(rows)

    def reject(self, place: str | int, reason: str, kind: str = "unreadable case") -> None:
        """Count a case that cannot be read."""
        self.report.rows += 1
        self.report.reject(f"{self.path}:{place}", reason, kind)

    def time_of(self, value: Any) -> int:
        """The moment that a report names, microseconds since 1970, else that at which its file was written; a note says so."""
        try:
            at_us, zoned = to_us(value if value != "" else None)
        except BadTimeError as error:
            said = "names no time" if value in (None, "") else f"names no usable time ({error})"
            self.note(f"the report {said}; the time at which the file was written stands for it")
            return self.path.stat().st_mtime_ns // 1000
        if not zoned:
            self.note("the times name no zone: taken as UTC")
        return at_us

    def note(self, text: str) -> None:
        """Tell the reader once."""
        said = f"{self.path}: {text}"
        if said not in self.report.notes:
            self.report.notes.append(said)

    def digest(self) -> str:
        """What names a run that has no name of its own: the same content gives the same."""
        if not self._digest:
            with self.path.open("rb") as file:
                self._digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=6)).hexdigest()
        return self._digest


def prompt_hash(instructions: str | None) -> str | None:
    """The hash of instructions, as turns have it in the facet `instructions.hash`."""
    return short_hash(instructions) if instructions else None
