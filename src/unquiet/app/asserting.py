"""A signal of one answer: exported regression cases ask for it where no small expression tells the behaviour."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from unquiet.model.errors import ConfigError
from unquiet.model.turns import TURNS
from unquiet.pipeline.measuring import measure_turn_table

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def reading(signal: str, request: str, output: str) -> float | None:
    """The value of a turn signal for one answer, None where it does not apply.

    Raises:
        ConfigError: there is no such signal.
    """
    row = {"turn_id": "0", "session_id": "0", "turn_index": 0, "time": EPOCH, "input": request, "output": output}
    measured = measure_turn_table(pa.Table.from_pylist([row], schema=TURNS))
    if signal not in measured.column_names:
        raise ConfigError(f"signal {signal}: this version of unquiet has none of that name. Export the cases again.")
    value = measured.column(signal)[0].as_py()
    return None if value is None else float(value)
