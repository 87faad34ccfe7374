"""Words about actions held against the calls that were made: claims, promises, plausible failures."""

from __future__ import annotations

import numpy as np

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.language import covered
from unquiet.signals.parts import Turnwise
from unquiet.signals.shortness import asks_back, no_text
from unquiet.signals.text import Bools, present, where
from unquiet.signals.tools import acts, call_count, failed, returned_nothing, turn_of_call
from unquiet.signals.wording import WORDING_VERSION, hit


def acted(batch: TurnBatch) -> Bools:
    """True where a call that acts went through, shape (len(batch),)."""
    good = acts(batch) & ~failed(batch)
    return batch.once("actions:acted", lambda: np.bincount(turn_of_call(batch)[good], minlength=len(batch)) > 0)


def comparable(batch: TurnBatch) -> Bools:
    """True where both the answer can be read and its tool calls were recorded."""
    return present(batch, "output") & present(batch, "tool_calls") & covered(batch)


def _claim_without_call(batch: TurnBatch) -> FloatArray:
    return where(comparable(batch), hit(batch, "claim") & ~acted(batch))


def _promise_without_call(batch: TurnBatch) -> FloatArray:
    return where(comparable(batch), hit(batch, "promise") & (call_count(batch) == 0))


def _fail_plausible(batch: TurnBatch) -> FloatArray:
    bad = failed(batch) | returned_nothing(batch)
    count = np.nan_to_num(call_count(batch))
    all_bad = (count > 0) & (np.bincount(turn_of_call(batch)[bad], minlength=len(batch)) == count)
    admits = hit(batch, "lookup_failure", "apology", "capability_denial", "policy_denial", "safety_refusal")
    silent = no_text(batch) | admits | (asks_back(batch) == 1)
    return where(comparable(batch), all_bad & ~silent)


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="claim_without_call",
            version=WORDING_VERSION,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="The answer says that something was done; no acting tool call of the turn succeeded.",
            phrase_up="claims actions that it did not take",
            phrase_down="claims actions that it did not take less often",
            needs=("output", "tool_calls"),
            none_means="The answer or its tool calls were not recorded, or the answer is in a language without wording families.",
        ),
        _claim_without_call,
    ),
    Turnwise(
        SignalInfo(
            name="promise_without_call",
            version=WORDING_VERSION,
            kind="flag",
            unit="turn",
            reduce="any",
            definition='The answer announces an action ("let me check") in a turn without a tool call.',
            phrase_up="promises actions without taking them",
            phrase_down="promises actions without taking them less often",
            needs=("output", "tool_calls"),
            none_means="The answer or its tool calls were not recorded, or the answer is in a language without wording families.",
        ),
        _promise_without_call,
    ),
    Turnwise(
        SignalInfo(
            name="fail_plausible",
            version=WORDING_VERSION + 1,
            kind="flag",
            unit="turn",
            reduce="any",
            definition="Every tool call of the turn failed or returned nothing; the answer does not let on.",
            phrase_up="glosses over failed tool calls",
            phrase_down="glosses over failed tool calls less often",
            needs=("output", "tool_calls"),
            none_means="The answer or its tool calls were not recorded, or the answer is in a language without wording families.",
        ),
        _fail_plausible,
    ),
)
