"""Which model answered, against the one that was asked for."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import bools, present, where

_WHERE_SERVED = (
    r"^(?:.*/)?(?:(?:us|eu|apac|global)\.)?(?:(?:anthropic|meta|amazon|mistral|cohere|ai21|deepseek|openai|qwen)\.)?"
)
_SNAPSHOT = (
    r"(?:(?:[-@:_](?:20\d{2}[-_]?\d{2}[-_]?\d{2}|\d{2}[-_]?20\d{2}|\d{2}-\d{2}|\d{3,4}|latest|v\d+(?::\d+)?)))+$"
)
"""Dates and revisions at the end of a model's name: gpt-4o-2024-08-06, claude-3-5-sonnet-20241022-v2:0, gemini-1.5-pro-002."""


def _alias(names: pa.Array) -> pa.Array:
    """The name without the route and without the snapshot."""
    lowered = pc.utf8_lower(names)
    return pc.replace_substring_regex(pc.replace_substring_regex(lowered, _WHERE_SERVED, ""), _SNAPSHOT, "")


def _mismatch(batch: TurnBatch) -> FloatArray:
    pairs = [batch.column(name).dictionary_encode() for name in ("model", "served_model")]
    asked, served = (_alias(pair.dictionary).take(pair.indices) for pair in pairs)
    known = present(batch, "model") & present(batch, "served_model")
    return where(known, bools(pc.not_equal(asked, served)))


SIGNALS = (
    Turnwise(
        SignalInfo(
            name="served_model_mismatch",
            version=1,
            kind="flag",
            unit="turn",
            reduce="any",
            definition=(
                "Another model answered than the one asked for; a dated snapshot of it is no other model "
                "(its change shows in the facet `served_model`)."
            ),
            phrase_up="is answered by another model than was asked for",
            phrase_down="is answered less often by another model than was asked for",
            needs=("model", "served_model"),
            none_means="The model that was asked for, or the one that answered, was not recorded.",
        ),
        _mismatch,
    ),
)
