"""What a provider does under the agent: withholds, cuts at a limit, serves another model, counts other tokens, hides the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from unquiet.drills.editing import answered, scaled, set_column
from unquiet.drills.lengths import part_of
from unquiet.model.drills import Before

FALLBACK = "fallback-small"


@dataclass(frozen=True, slots=True)
class _Constant:
    """Columns of every turn that is met become the same value; with a `part`, only so much of each answer is left."""

    name: str
    says: str
    signals: tuple[str, ...]
    columns: tuple[tuple[str, Any], ...]
    part: float | None = None
    control: bool = False

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """As `Failure.inject`."""
        if self.part is not None:
            texts = turns.column("output").to_pylist()
            turns = answered(turns, [None if text is None else part_of(text, self.part) for text in texts])
        for name, value in self.columns:
            turns = set_column(turns, name, [value] * turns.num_rows)
        return turns


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Numbers of every turn that is met grow by a factor."""

    name: str
    says: str
    signals: tuple[str, ...]
    factors: tuple[tuple[str, float], ...]
    control: bool = False

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """As `Failure.inject`."""
        return scaled(turns, self.factors)


WITHHELD = _Constant(
    "withheld",
    "is kept from answering by its provider, which calls it a success",
    ("provider_refusal", "empty", "finish_reason"),
    (("finish_reason", "content_filter"), ("output", ""), ("output_tokens", 0), ("tool_calls", [])),
)
LIMIT = _Constant(
    "limit", "runs into a limit on its answers", ("truncated", "output_chars"), (("finish_reason", "length"),), part=0.4
)
FALLBACK_MODEL = _Constant(
    "fallback_model",
    "is served by another model than was asked for",
    ("served_model_mismatch",),
    (("served_model", FALLBACK),),
)
TEXT_LOST = _Constant(
    "text_lost",
    "is recorded without its texts",
    ("content_missing",),
    (("input", None), ("output", None)),
)
PROMPT_GROWS = _Scaled(
    "prompt_grows",
    "reads three times as much before it answers, and costs as much more",
    ("input_tokens", "cost_usd"),
    (("input_tokens", 3.0), ("cost_usd", 3.0)),
)
