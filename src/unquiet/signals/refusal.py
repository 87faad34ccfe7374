"""Saying no: the refusal score, and the kinds of no that it is made of.

The score adds weights of the wording families hit, for and against, and squeezes the sum into [0, 1].
Weights have the sign that the family's meaning gives them: a wording of refusal never lowers the score, an
answer that goes on to help (a list, steps, code, length) never raises it. The provider's own word (a finish
reason that means refusal) settles the matter.
"""

from __future__ import annotations

import numpy as np

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.finish import refused_by_provider
from unquiet.signals.language import covered
from unquiet.signals.lexicon import lexicon
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import Bools, fences, letters, present, where
from unquiet.signals.wording import NO_READING, WORDING_VERSION, hit, hits

_BIAS = -2.4
ANYWHERE = {
    "safety_refusal": 3.0,
    "policy_denial": 3.4,
    "capability_denial": 1.7,
    "abstention": 2.5,
    "lecture": 1.8,
    "deflection": 0.8,
    "handoff": 1.4,
    "apology": 0.2,
    "help_follows": -0.6,
    "offers_alternative": -1.0,
}
OPENING = {
    "safety_refusal": 1.8,
    "policy_denial": 1.0,
    "capability_denial": 0.8,
    "lecture": 3.0,
    "apology": 0.2,
    "help_follows": -1.6,
    "offers_alternative": -0.4,
}
_BRIEF_CHARACTERS, _LONG_CHARACTERS = 350, 1200
"""Lengths of an answer in letters of an alphabet: a Han character or kana counts as three."""
_NOT_BRIEF, _LONG, _FENCE = -1.0, -1.2, -1.5


def _score(batch: TurnBatch) -> FloatArray:
    found, known = hits(batch), lexicon()
    total = np.full(len(batch), _BIAS)
    for weights, seen in ((ANYWHERE, found.anywhere), (OPENING, found.opening)):
        for family, weight in weights.items():
            total += weight * seen[:, known.index(family)]
    length = letters(batch)
    total += _NOT_BRIEF * (length >= _BRIEF_CHARACTERS) + _LONG * (length > _LONG_CHARACTERS)
    total += _FENCE * (fences(batch) > 0)
    return 1.0 / (1.0 + np.exp(-total))


def _readable(batch: TurnBatch) -> Bools:
    return present(batch, "output") & covered(batch)


def _refusal(batch: TurnBatch) -> FloatArray:
    def make() -> FloatArray:
        score = np.where(refused_by_provider(batch), 1.0, _score(batch))
        return where(_readable(batch) | refused_by_provider(batch), score)

    return batch.once("refusal:score", make)


def _family(family: str) -> Turnwise:
    name, up, down, definition = _KINDS[family]

    def measure(batch: TurnBatch) -> FloatArray:
        return where(_readable(batch), hit(batch, family))

    card = SignalInfo(
        name, WORDING_VERSION, "flag", "turn", "any", definition, up, down, ("output",), none_means=NO_READING
    )
    return Turnwise(card, measure)


_KINDS = {
    "policy_denial": (
        "policy_denial",
        "turns requests down by citing policy",
        "cites policy to turn requests down less often",
        "The answer says that rules, eligibility or conditions do not allow what was asked.",
    ),
    "capability_denial": (
        "capability_denial",
        "says it lacks the access or ability",
        "says less often that it lacks the access or ability",
        "The answer says that the agent has no access, tool or ability to do what was asked.",
    ),
    "abstention": (
        "abstention",
        "avoids taking a position",
        "avoids taking a position less often",
        "The answer declines to take a side, stays neutral or turns to another subject.",
    ),
    "lecture": (
        "safety_lecture",
        "lectures about safety and ethics",
        "lectures less about safety and ethics",
        "The answer judges or warns about the ethics, legality or harm of what was asked.",
    ),
}

SIGNALS = (
    Turnwise(
        SignalInfo(
            name="refusal",
            version=WORDING_VERSION,
            kind="score",
            unit="turn",
            reduce="max",
            definition=(
                "How much the answer reads as a no: refusal, denial by policy or for lack of ability, "
                "abstention, lecture, deflection; weighed against the help it gives."
            ),
            phrase_up="refuses",
            phrase_down="refuses less often",
            needs=("output",),
            none_means=(
                "The answer cannot be read (not recorded, or no families for its language), "
                "and the provider did not say that it was refused."
            ),
        ),
        _refusal,
    ),
    *(_family(family) for family in _KINDS),
)
