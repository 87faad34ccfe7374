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
POLICY = Replaced(
    "policy_denial",
    "turns requests down by pointing to rules",
    ("policy_denial", "refusal"),
    (
        "Our policy does not allow me to do that.",
        "Under our terms and conditions this is not permitted.",
        "That is against our company guidelines, so I have to decline.",
        "According to our policy, this request is not eligible.",
    ),
)
CAPABILITY = Replaced(
    "capability_denial",
    "says that it is not able to do what it used to do",
    ("capability_denial", "refusal"),
    (
        "I don't have the ability to access your account.",
        "As an AI, I can't make changes to orders.",
        "I do not have access to that system.",
        "I'm not able to look up that information, I don't have the tools for it.",
    ),
)
ABSTENTION = Replaced(
    "abstention",
    "takes no position where it used to give an answer",
    ("abstention",),
    (
        "I don't have an opinion on that.",
        "I'd rather not take sides on this.",
        "As an AI, I don't have personal opinions.",
        "I cannot take a position on this topic.",
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
