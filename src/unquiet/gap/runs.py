"""Runs of evaluation suites: what each gave, out of the table of eval results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.evals import STATUSES


@dataclass(frozen=True, slots=True)
class EvalRun:
    """One execution of a suite.

    `counts` has every status of STATUSES. `first_us` and `last_us` are the times of its results, microseconds since 1970.
    `with_input` counts the results whose request is known, `on_turns` those that judge a turn of production. `models` and
    `prompt_hashes` are of the path that was evaluated, empty where the report does not tell.
    """

    run: str
    tool: str
    suites: tuple[str, ...]
    first_us: int
    last_us: int
    counts: Mapping[str, int]
    with_input: int
    on_turns: int
    models: tuple[str, ...]
    prompt_hashes: tuple[str, ...]

    @property
    def result_count(self) -> int:
        """All of its results."""
        return sum(self.counts.values())


def runs_of(results: pa.Table) -> list[EvalRun]:
    """The runs in a table of EVAL_RESULTS, in order of their first results, then by tool and name."""
    flags: dict[str, pa.ChunkedArray] = {name: pc.equal(results.column("status"), name) for name in STATUSES}
    flags |= {"with_input": pc.is_valid(results.column("input")), "on_turns": pc.is_valid(results.column("turn_id"))}
    table = pa.table(
        {
            "tool": results.column("tool"),
            "run": results.column("run"),
            "time": results.column("time").cast(pa.int64()),
            **{name: results.column(name) for name in ("suite", "model", "prompt_hash")},
            **{name: pc.cast(flag, pa.int64()) for name, flag in flags.items()},
        }
    )
    sums = [(name, "sum") for name in flags]
    sets = [(name, "distinct") for name in ("suite", "model", "prompt_hash")]
    grouped = table.group_by(["tool", "run"], use_threads=False).aggregate(
        [("time", "min"), ("time", "max"), *sums, *sets]
    )
    ordered = grouped.sort_by([("time_min", "ascending"), ("tool", "ascending"), ("run", "ascending")])
    return [_run(row) for row in ordered.to_pylist()]


def _run(row: Mapping[str, object]) -> EvalRun:
    return EvalRun(
        run=str(row["run"]),
        tool=str(row["tool"]),
        suites=_texts(row["suite_distinct"]),
        first_us=_whole(row["time_min"]),
        last_us=_whole(row["time_max"]),
        counts={name: _whole(row[f"{name}_sum"]) for name in STATUSES},
        with_input=_whole(row["with_input_sum"]),
        on_turns=_whole(row["on_turns_sum"]),
        models=_texts(row["model_distinct"]),
        prompt_hashes=_texts(row["prompt_hash_distinct"]),
    )


def _texts(values: object) -> tuple[str, ...]:
    listed: Sequence[object] = values if isinstance(values, list) else []
    return tuple(sorted(str(value) for value in listed if value))


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
