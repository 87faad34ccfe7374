"""The cases of the eval results: which results are of one case, and what is known of the conditions that a case asks under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.app.replaying import steps
from unquiet.gap.green import path_name
from unquiet.model.evals import EVAL_RESULTS
from unquiet.store import Store

IntArray = npt.NDArray[np.int64]
Values = dict[str, set[str]]

TWIN_CHARACTERS = 500
"""Two requests are the same if their beginnings of that length are, apart from case and white space."""

MODELS = ("model", "served_model")


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """Eval results in order of time, the case of each (n,), and the names and inputs of the c cases.

    `told` (c) holds what the results of a case say of it: facet, as `path_name` writes it, to values.
    """

    results: pa.Table
    case: IntArray
    names: Sequence[str]
    inputs: Sequence[str | None]
    told: Sequence[Values]

    @property
    def asked(self) -> IntArray:
        """Numbers of the cases that have an input."""
        return np.array([i for i, text in enumerate(self.inputs) if (text or "").strip()], np.int64)


def gather_cases(tables: Sequence[pa.Table]) -> Cases:
    """The cases of all results; the same result twice counts once.

    A case is known by its name and its input, and by its suite where the report does not hold the input.
    """
    results = pa.concat_tables([EVAL_RESULTS.empty_table(), *tables])
    rows = pa.table({"id": results.column("result_id"), "row": np.arange(results.num_rows)})
    first = rows.group_by("id", use_threads=False).aggregate([("row", "min")]).column("row_min")
    results = results.take(first.sort()).sort_by([("time", "ascending"), ("result_id", "ascending")]).combine_chunks()
    names, inputs, told = [], [], []
    known: dict[tuple[str, str], int] = {}
    case = np.zeros(results.num_rows, np.int64)
    columns = ("case_name", "input", "suite", "model", "prompt_hash", "tools_hash", "facets")
    for row, each in enumerate(results.select(columns).to_pylist()):
        key = (each["case_name"], each["input"] if each["input"] is not None else f"suite {each['suite']}")
        case[row] = known.setdefault(key, len(known))
        if case[row] == len(names):
            names.append(each["case_name"])
            inputs.append(each["input"])
            told.append({})
        _tell(told[case[row]], each)
    return Cases(results, case, names, inputs, told)


def _tell(told: Values, row: Mapping[str, object]) -> None:
    pairs = row["facets"] if isinstance(row["facets"], list) else []
    for name, value in [*pairs, *((name, row[name]) for name in ("model", "prompt_hash", "tools_hash"))]:
        if value is None:
            continue
        told.setdefault(path_name(name), set()).add(str(value))
        # `metadata.locale` and `vars.locale` tell the locale.
        told.setdefault(path_name(name.rsplit(".", 1)[-1]), set()).add(str(value))


def twins(store: Store, cases: Cases, start: datetime, end: datetime) -> list[Values]:
    """For each case the facets of the requests of the traffic that are word for word its input."""
    wanted: dict[str, list[int]] = {}
    for number, text in zip(cases.asked.tolist(), _beginnings([cases.inputs[i] for i in cases.asked]), strict=True):
        wanted.setdefault(text, []).append(number)
    found: list[Values] = [{} for _ in cases.inputs]
    values = pa.array(list(wanted), pa.large_string())
    for day, count in store.turns_per_day() if wanted else ():
        for begin, stop in steps(day, count):
            if stop <= start or begin >= end:
                continue
            turns = store.turns_between(begin, stop, columns=["input", *MODELS, "facets"])
            texts = pa.array(_beginnings(turns.column("input")), pa.large_string())
            mine = pc.is_in(texts, value_set=values)
            kept = zip(texts.filter(mine).to_pylist(), turns.filter(mine).to_pylist(), strict=True)
            for text, turn in kept:
                for number in wanted[text]:
                    _add(found[number], turn)
    return found


def _add(values: Values, turn: Mapping[str, object]) -> None:
    pairs = turn["facets"] if isinstance(turn["facets"], list) else []
    for name, value in [*pairs, *((name, turn[name]) for name in MODELS)]:
        if value is not None:
            values.setdefault(path_name(name), set()).add(str(value))


def _beginnings(texts: Sequence[str | None] | pa.ChunkedArray) -> list[str]:
    """Texts as they are compared."""
    column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else pa.array(texts, pa.large_string())
    plain = pc.utf8_lower(pc.fill_null(column.cast(pa.large_string()), ""))
    spaced = pc.utf8_trim_whitespace(pc.replace_substring_regex(plain, r"[\s\x00-\x20]+", " "))
    return pc.utf8_slice_codeunits(spaced, 0, TWIN_CHARACTERS).to_pylist()
