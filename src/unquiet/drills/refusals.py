"""The agent refuses what it used to do, or no longer what it should."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.drills.editing import answered, own_texts, unlike
from unquiet.drills.kinds import Replaced
from unquiet.model.drills import Before

REFUSAL = Replaced(
    "refusal",
    "refuses what it used to do",
    ("refusal",),
    (
        "I'm sorry, but I can't help with that request.",
        "Unfortunately I am not able to do this for you.",
        "I'm afraid that is something I cannot assist with.",
        "For policy reasons I can't process this here.",
        "I apologize, but I'm unable to complete that.",
    ),
)


class RefusalsStop:
    """The opposite direction: what was refused is answered now."""

    name = "refusals_stop"
    says = "no longer refuses what it used to refuse"
    control = False
    signals = ("refusal",)

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:
        """Every answer that is a refusal in the words of this traffic becomes an ordinary answer of it."""
        refused = pc.is_in(turns.column("output"), pa.array(own_texts(before, "refusal", 1))).to_numpy()
        ordinary = unlike(before, "refusal")
        if not ordinary:
            return turns
        picks = rng.integers(len(ordinary), size=turns.num_rows)
        texts = turns.column("output").to_pylist()
        return answered(turns, [ordinary[p] if r else t for p, r, t in zip(picks, refused, texts, strict=True)])
