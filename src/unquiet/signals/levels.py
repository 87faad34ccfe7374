"""The refusal score in levels: a shift from hints to outright refusals shows where the share of refusals does not move."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unquiet.model.signals import SignalInfo, TurnBatch
from unquiet.signals import refusal
from unquiet.signals.finish import lists_of_one
from unquiet.signals.parts import Labelled
from unquiet.signals.wording import WORDING_VERSION

LEVELS = ("none", "hint", "partial", "full")
BOUNDS = (0.2, 0.5, 0.8)
"""Where a level ends and the next begins."""


def _labels(batch: TurnBatch) -> pa.ListArray:
    score = refusal.SIGNALS[0].measure(batch)
    known = ~np.isnan(score)
    level = pa.array(np.digitize(np.nan_to_num(score), BOUNDS))
    return lists_of_one(pa.array(LEVELS).take(level), known)


CATEGORIES = (
    Labelled(
        SignalInfo(
            name="refusal_level",
            version=WORDING_VERSION,
            kind="category",
            unit="turn",
            reduce="none",
            definition=(
                f"The refusal score as a level: none below {BOUNDS[0]}, hint below {BOUNDS[1]}, "
                f"partial below {BOUNDS[2]}, else full."
            ),
            phrase_up='gives more answers of refusal level "{label}"',
            phrase_down='gives fewer answers of refusal level "{label}"',
            needs=("output",),
            none_means="The refusal score is unknown.",
        ),
        _labels,
    ),
)
