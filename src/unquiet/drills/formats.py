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


class BrokenJson:
    """Structured answers do not parse any more."""

    name = "broken_json"
    says = "writes JSON that does not parse"
    control = False
    signals = ("format_break", "json_answer")

    def inject(self, turns: pa.Table, before: Before, rng: np.random.Generator) -> pa.Table:  # noqa: ARG002
        """JSON loses its end; any other answer is put into an object that never closes."""
        texts = turns.column("output").to_pylist()
        return answered(turns, [None if text is None else _broken(text) for text in texts])


def _broken(text: str) -> str:
    bare = text.strip()
    if bare[:1] in ("{", "["):
        return bare[: max(1, len(bare) * 2 // 3)]
    quoted = bare.replace('"', "'")
    return '{"answer": "' + quoted
