"""What users write when something goes wrong, and whether the answer gives way to it.

Weak signals: a user who is short-tempered says nothing about the agent, more of them than usual may. Read them as a trend.
"""

from __future__ import annotations

import numpy as np

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.language import UNDETERMINED, covered, languages
from unquiet.signals.lexicon import lexicon
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import Bools, present, where
from unquiet.signals.wording import WORDING_VERSION, hits, user_hit

_NONE = "The request was not recorded, or is in a language without wording families."


def readable_request(batch: TurnBatch) -> Bools:
    """True where the families of what users say can read the request, shape (len(batch),)."""
    known = np.isin(languages(batch, "input"), [*lexicon("user").versions, UNDETERMINED])
    return present(batch, "input") & known


def _flag(family: str) -> Turnwise:
    name, up, down, definition = _FAMILIES[family]

    def measure(batch: TurnBatch) -> FloatArray:
        return where(readable_request(batch), user_hit(batch, family))

    card = SignalInfo(name, WORDING_VERSION, "flag", "turn", "any", definition, up, down, ("input",), none_means=_NONE)
    return Turnwise(card, measure)


def _gives_way(batch: TurnBatch) -> FloatArray:
    opening = hits(batch).opening
    yields = opening[:, lexicon().index("praise")] | opening[:, lexicon().index("apology")]
    known = readable_request(batch) & present(batch, "output") & covered(batch)
    contested = user_hit(batch, "pushback")
    return where(known & contested, yields)


_FAMILIES = {
    "frustration": (
        "user_frustration",
        "has users who lose patience",
        "has fewer users who lose patience",
        "The user loses patience: complains, swears, asks for the umpteenth time. Weak: read it as a trend.",
    ),
    "pushback": (
        "user_pushback",
        "has users who contest its answers",
        "has fewer users who contest its answers",
        "The user contests the last answer: wrong, not what was asked, said already. Weak: read it as a trend.",
    ),
}

SIGNALS = (
    *(_flag(family) for family in _FAMILIES),
    Turnwise(
        SignalInfo(
            name="gives_way",
            version=WORDING_VERSION,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="The user contests the last answer, and the answer opens by agreeing, praising or apologising.",
            phrase_up="gives way to users who contest its answers",
            phrase_down="gives way less often to users who contest its answers",
            needs=("input", "output"),
            none_means="The user contests nothing, or one of the two texts cannot be read.",
        ),
        _gives_way,
    ),
)
