"""Answers end too early."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unquiet.drills.editing import answered
from unquiet.model.drills import Before


class Truncation:
    """The answer stops in the middle, and nothing says so: the finish reason stays."""

    name = "truncation"
    says = "stops in the middle of its answers"
    control = False
    signals = ("truncation", "output_chars")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Of every answer only the first 30 to 70 % of the words are left."""
        parts = rng.uniform(0.3, 0.7, turns.num_rows)
        return answered(
            turns, [_cut(text, part) for text, part in zip(turns.column("output").to_pylist(), parts, strict=True)]
        )


def _cut(text: str | None, part: float) -> str | None:
    if text is None:
        return None
    words = text.split(" ")
    return " ".join(words[: max(1, round(len(words) * part))]) if len(words) > 1 else text[: round(len(text) * part)]
