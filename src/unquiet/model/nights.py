"""The scorecard of a night: one row a drill, as an Arrow table of fixed schema."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

LEAST_SEEDS = 3
"""With fewer rehearsals a night, a loss would not show within the month: see `unquiet.drills.nights.UNLIKELY`."""

NIGHT_SCORES = pa.schema(
    [
        pa.field("score_id", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("preset", pa.string(), nullable=False),
        pa.field("terms", pa.string(), nullable=False),
        pa.field("control", pa.bool_(), nullable=False),
        pa.field("rehearsals", pa.int32(), nullable=False),
        pa.field("found", pa.int32(), nullable=False),
        pa.field("hours", pa.float64()),
        pa.field("met", pa.float64()),
        pa.field("affected", pa.float64(), nullable=False),
        pa.field("lost", pa.bool_(), nullable=False),
    ]
)
"""The history of nightly drills.

`time` is when the night was rehearsed, the same in all of its rows. `terms` says what was rehearsed and how; only rows of the
same terms can be compared. `found` of `rehearsals` were heard; of a control these are false alarms. `hours` is the median
delay and `met` the median of the sessions met before the alarm, null where nothing was heard; `affected` the median of those
met in all. `lost`: it was found less often than the nights before let expect.
"""


@dataclass(frozen=True, slots=True)
class Lost:
    """A drill that is not found any more: `found` of `rehearsals` tonight, `found_before` of `rehearsals_before` last month.

    `chance`: the probability of so few, were it found as often as before.
    """

    preset: str
    found: int
    rehearsals: int
    found_before: int
    rehearsals_before: int
    chance: float
