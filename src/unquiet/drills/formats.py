"""The form of the answers breaks."""

from __future__ import annotations

import re

import numpy as np
import orjson

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


def _headed(text: str, _request: str, _rng: np.random.Generator) -> str:
    points = "\n".join(f"- {sentence}" for sentence in re.split(r"(?<=[.!?])\s+", text.strip()))
    return f"## Summary\n\n{points}\n- See above."


def _as_json(text: str, _request: str, _rng: np.random.Generator) -> str:
    return orjson.dumps({"answer": text, "confidence": 0.9}).decode()


CODE_FENCES = Rewritten("code_fences", "wraps its answers in code fences", ("code_fence",), _fenced)
BROKEN_JSON = Rewritten("broken_json", "writes JSON that does not parse", ("format_break", "json_answer"), _unclosed)
HEADINGS = Rewritten(
    "headings", "puts headings and lists around everything", ("has_heading", "has_list", "output_chars"), _headed
)
JSON_ANSWERS = Rewritten("json_answers", "shows users the JSON that it should have read", ("json_answer",), _as_json)
