"""How the answer talks: apology, hedging, praise, and lookups that found nothing."""

from __future__ import annotations

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.language import covered
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import present, where
from unquiet.signals.wording import WORDING_VERSION, hit


def _flag(name: str, family: str, up: str, down: str, definition: str) -> Turnwise:
    def measure(batch: TurnBatch) -> FloatArray:
        return where(present(batch, "output") & covered(batch), hit(batch, family))

    return Turnwise(
        SignalInfo(name, WORDING_VERSION, "flag", "turn", "any", definition, up, down, ("output",)), measure
    )


SIGNALS = (
    _flag("apology", "apology", "apologises", "apologises less often", "The answer says sorry."),
    _flag(
        "hedging",
        "hedging",
        "hedges its answers",
        "hedges its answers less often",
        "The answer qualifies what it says: unsure, may be wrong, verify this.",
    ),
    _flag(
        "praise",
        "praise",
        "praises or agrees with the user",
        "praises or agrees with the user less often",
        "The answer praises the question or the user, or agrees emphatically.",
    ),
    _flag(
        "lookup_failure",
        "lookup_failure",
        "says it found nothing",
        "says less often that it found nothing",
        "The answer says that a record or result could not be found or fetched.",
    ),
)
