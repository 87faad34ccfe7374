"""The session as it is judged: a run of turns that has ended."""

from __future__ import annotations

import pyarrow as pa

VISITS = pa.schema(
    [
        pa.field("visit_id", pa.string(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("started", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("ended", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("closed", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("turn_count", pa.int32(), nullable=False),
        pa.field("facets", pa.map_(pa.string(), pa.string())),
    ]
)
"""One row a closed session.

A session id that comes back after more than the idle time is a new visit; `visit_id` tells the visits apart.
`started` and `ended` are the times of the first and the last turn, `closed` the moment from which it counts:
the last turn plus the idle time. Columns named `s:<signal>` (float64, null = does not apply) and `c:<signal>`
(list of labels) hold the readings.
"""

SIGNAL_PREFIX = "s:"
CATEGORY_PREFIX = "c:"
