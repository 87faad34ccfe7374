"""Synthetic traffic in which users begin to ask for something that nobody asked for before."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa

from test_pipeline_judging import GOOD, START, traffic
from unquiet.model.turns import TURNS

REQUESTS = (
    "please cancel my esim number {} for roaming",
    "my esim does not work while roaming, ticket {}",
    "how do i move the esim to another phone {}",
    "roaming with the esim costs too much, case {}",
)


def asking_anew(
    seed: int,
    *,
    days: int = 21,
    since: float = 14,
    until: float = 99,
    share: float = 0.05,
    intent: bool = True,
    **how: float,
) -> pa.Table:
    """From day `since` on, `share` of the sessions ask about an eSIM; the agent answers as always.

    Without `intent` no facet says what was asked. `how`: `onset_day` on which refund requests begin to be refused.
    """
    rows = traffic(seed, days, how.get("onset_day"), int(how.get("per_day", 300))).to_pylist()
    rng = np.random.default_rng(seed + 100)
    for row in rows:
        day = (row["time"] - START) / timedelta(days=1)
        facets = dict(row["facets"])
        if since <= day < until and rng.random() < share:
            row["input"] = str(rng.choice(REQUESTS)).format(rng.integers(1000))
            row["output"] = GOOD
            facets["intent"] = "esim"
        row["facets"] = [(name, value) for name, value in facets.items() if intent or name != "intent"]
    return pa.Table.from_pylist(rows, schema=TURNS)
