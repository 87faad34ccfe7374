"""The form of the answers breaks."""

from __future__ import annotations

import numpy as np

from unquiet.drills.kinds import Rewritten


def _fenced(text: str, _request: str, _rng: np.random.Generator) -> str:
    return f"```\n{text}\n```"


def _unclosed(text: str, _request: str, _rng: np.random.Generator) -> str:
    """JSON loses its end; any other answer is put into an object that never closes."""
    bare = text.strip()
    if bare[:1] in ("{", "["):
        return bare[: max(1, len(bare) * 2 // 3)]
    quoted = bare.replace('"', "'")
    return '{"answer": "' + quoted


CODE_FENCES = Rewritten("code_fences", "wraps its answers in code fences", ("code_fence",), _fenced)
BROKEN_JSON = Rewritten("broken_json", "writes JSON that does not parse", ("format_break", "json_answer"), _unclosed)
