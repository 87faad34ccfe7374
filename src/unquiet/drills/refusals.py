"""The agent refuses what it used to do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unquiet.drills.editing import answered, own_texts
from unquiet.model.drills import Before

BANK = (
    "I'm sorry, but I can't help with that request.",
    "Unfortunately I am not able to do this for you.",
    "I'm afraid that is something I cannot assist with.",
    "For policy reasons I can't process this here.",
    "I apologize, but I'm unable to complete that.",
)


class Refusal:
    """Refusals in the words in which this traffic refuses, where it does; else from a bank in English."""

    name = "refusal"
    says = "refuses what it used to do"
    control = False
    signals = ("refusal",)

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:
        """Every answer becomes a refusal."""
        bank = own_texts(before, "refusal") or list(BANK)
        return answered(turns, [bank[each] for each in rng.integers(len(bank), size=turns.num_rows)])
