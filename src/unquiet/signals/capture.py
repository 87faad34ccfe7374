"""Whether a turn could be measured at all: content that was not captured, and signals that failed."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.measuring import FAILED
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import Bools, bools, present, where
from unquiet.signals.tools import call_count, calls, turn_of_call

_TRACES = ("latency_ms", "input_tokens", "output_tokens", "cost_usd", "finish_reason", "served_model")
_CONTENT = ("input", "output", "tool_calls", "error")


def _any_of(batch: TurnBatch, columns: tuple[str, ...]) -> Bools:
    return np.any([present(batch, name) for name in columns], axis=0)


def _content_missing(batch: TurnBatch) -> FloatArray:
    each = calls(batch)
    told = ~bools(pc.and_(pc.is_null(each.field("arguments")), pc.is_null(each.field("result"))))
    told_calls = np.bincount(turn_of_call(batch)[told], minlength=len(batch)) > 0
    said = _any_of(batch, ("output", "error")) | told_calls
    # Of a turn of which only the names of tools are known it cannot be told: it may have had nothing else to say.
    named = (np.nan_to_num(call_count(batch)) > 0) & ~said
    return where((_any_of(batch, _TRACES) | said) & ~named, ~said)


def _measurement_failure(batch: TurnBatch) -> FloatArray:
    return where(_any_of(batch, (*_TRACES, *_CONTENT)), np.full(len(batch), bool(batch.memo.get(FAILED))))


FAILURE = Turnwise(
    SignalInfo(
        name="measurement_failure",
        version=2,
        kind="flag",
        unit="turn",
        reduce="any",
        definition="A signal of turns or of sessions broke on the batch that the turn was measured in; `status` says which.",
        phrase_up="has turns that cannot be measured",
        phrase_down="has fewer turns that cannot be measured",
        needs=(),
        none_means="Nothing of the turn was recorded that could be measured.",
    ),
    _measurement_failure,
)
"""Ask for it last: it knows of the signals that were measured on the batch before it, those of its sessions among them."""

SIGNALS = (
    Turnwise(
        SignalInfo(
            name="content_missing",
            version=1,
            kind="flag",
            unit="turn",
            reduce="any",
            definition=(
                "The turn has tokens, a latency or a finish reason, but neither text, tool call nor error: "
                "content is not captured."
            ),
            phrase_up="is recorded without content",
            phrase_down="is recorded without content less often",
            needs=(),
            none_means="Nothing of the answer was recorded, not even that there was one; or only the names of the tools it called.",
        ),
        _content_missing,
    ),
    FAILURE,
)
