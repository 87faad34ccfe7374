"""Eval results as they are gathered: plain records of one run become a table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from unquiet.model.evals import EVAL_RESULTS


def result_id(*parts: object) -> str:
    """What identifies a result across files: the same run, case and attempt give the same id."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def results_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """A table of EVAL_RESULTS; columns that a row does not name are null. `time` is in microseconds since 1970."""
    columns = {name: [row.get(name) for row in rows] for name in EVAL_RESULTS.names}
    arrays = [pa.array(columns[field.name], field.type) for field in EVAL_RESULTS]
    return pa.Table.from_arrays(arrays, schema=EVAL_RESULTS)
