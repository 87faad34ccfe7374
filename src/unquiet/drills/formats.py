"""The form of the answers breaks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from unquiet.drills.editing import answered
from unquiet.model.drills import Before


class CodeFences:
    """Answers come wrapped in code fences, which breaks whoever parses them."""

    name = "code_fences"
    says = "wraps its answers in code fences"
    control = False
    signals = ("code_fence",)

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """Every answer is put between two fences."""
        texts = turns.column("output").to_pylist()
        return answered(turns, [None if text is None else f"```\n{text}\n```" for text in texts])
