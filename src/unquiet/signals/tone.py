"""How the answer talks: apology, hedging, praise, and lookups that found nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.language import UNDETERMINED, covered, languages
from unquiet.signals.lexicon import written
from unquiet.signals.numbers import head_words
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import head, present, where
from unquiet.signals.wording import NO_READING, WORDING_VERSION, hit


def _flag(name: str, family: str, up: str, down: str, definition: str) -> Turnwise:
    def measure(batch: TurnBatch) -> FloatArray:
        return where(present(batch, "output") & covered(batch), hit(batch, family))

    card = SignalInfo(
        name, WORDING_VERSION, "flag", "turn", "any", definition, up, down, ("output",), none_means=NO_READING
    )
    return Turnwise(card, measure)


def _rate(family: str, up: str, down: str) -> Turnwise:
    def measure(batch: TurnBatch) -> FloatArray:
        known = present(batch, "output") & covered(batch)
        times, words = _times(batch, family), head_words(batch)
        rate = np.divide(100.0 * times, words, out=np.zeros(len(batch)), where=words > 0)
        return where(known & (words > 0), rate)

    return Turnwise(
        SignalInfo(
            name=f"{family}_rate",
            version=WORDING_VERSION,
            kind="number",
            unit="turn",
            reduce="mean",
            definition=f"Wordings of the family `{family}` per 100 words of the answer's beginning.",
            phrase_up=up,
            phrase_down=down,
            needs=("output",),
            alarms=False,
            none_means=NO_READING,
        ),
        measure,
    )


def _times(batch: TurnBatch, family: str) -> FloatArray:
    """How often wordings of a family occur in each answer's head: counted only where the family is hit at all."""
    found, spoken = hit(batch, family), languages(batch, "output")
    times = np.zeros(len(batch))
    for code, pattern in written(family).items():
        rows = np.flatnonzero(found & ((spoken == code) | (spoken == UNDETERMINED)))
        if len(rows):
            counted = pc.count_substring_regex(head(batch).take(pa.array(rows)), pattern)
            times[rows] += counted.to_numpy(zero_copy_only=False)
    return times


SIGNALS = (
    _flag("apology", "apology", "says sorry", "says sorry less often", "The answer says sorry."),
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
    _rate("apology", "apologises at greater length", "apologises at less length"),
    _rate("hedging", "hedges more of what it says", "hedges less of what it says"),
)
