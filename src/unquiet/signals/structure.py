"""The shape of an answer: fences, JSON, lists, headings, and what is broken or left unfinished in it."""

from __future__ import annotations

import re

import numpy as np
import orjson
import pyarrow.compute as pc

from unquiet.model.signals import FloatArray, SignalInfo, TurnBatch
from unquiet.signals.language import covered
from unquiet.signals.parts import Turnwise
from unquiet.signals.text import Bools, bools, fences, filled, head, holds, matched, present, where
from unquiet.signals.wording import NO_READING, WORDING_VERSION, hit

_JSON_START = r"^\s*(?:```(?:json|JSON)?\s*)?(?:\{\s*(?:\"|\}|$|\n)|\[\s*(?:\{|\"|\[|\]|-?\d+\s*[,\]]))"
_JSON_ASKED = (
    r"(?i)\b(?:respond|reply|answer|return|output|responses?|formatted?|give (?:me|it)|provide|write|"
    r"produce|only)\b"
    r"[^.!?\n]*"
    r"\b(?:in|as|with|using|valid|only|a|strict|raw)\s+(?:\w+\s+){0,2}json\b"
)
_LEAKED = (
    r"<\|?/?(?:tool_calls?|function_calls?|tool_response|tool_use|im_start|im_end|endoftext|assistant|eot_id|python_tag|invoke|"
    r"antml:[a-z_]+|start_header_id|end_header_id|think)\b[^<>\n]*\|?>|\[/?(?:TOOL_CALLS|INST|TOOL_RESULTS)\]|"
    r"\{\s*\"(?:name|tool|function)\"\s*:\s*\"[\w.-]+\"\s*,\s*\"(?:arguments|parameters|tool_input|input)\"\s*:"
)
"""Each begins with one of `<[{`."""

_STEP = r"^\s*(?:Action|Action Input|Observation)\s*:|(?m:^\s*Action Input\s*:)"
_FENCED = re.compile(r"```[a-zA-Z]*\s*(.*?)\s*```", re.DOTALL)


_ITEM = r"[ \t]*(?:[-*•]|\d+[.)])[ \t]"


def _parses(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _holds_json(text: str) -> bool:
    if _parses(text.strip()):
        return True
    return any(_parses(part) for part in _FENCED.findall(text))


def _json(batch: TurnBatch) -> tuple[Bools, Bools, Bools]:
    """Per turn: begins like JSON, was asked to be JSON, holds JSON that parses."""

    def make() -> tuple[Bools, Bools, Bools]:
        text = filled(batch, "output")
        begins = bools(pc.match_substring_regex(text, _JSON_START))
        asked = matched(filled(batch, "input"), _JSON_ASKED, holds(batch, "input", "jJ"))
        parses = np.zeros(len(batch), np.bool_)
        rows = np.flatnonzero(begins | asked)
        for row, value in zip(rows, text.take(rows).to_pylist(), strict=True):
            parses[row] = _holds_json(value)
        return begins, asked, parses

    return batch.once("structure:json", make)


def _has_fence(batch: TurnBatch) -> FloatArray:
    return where(present(batch, "output"), fences(batch) > 0)


def _json_answer(batch: TurnBatch) -> FloatArray:
    begins, asked, parses = _json(batch)
    return where(present(batch, "output"), (begins | asked) & parses)


def _format_break(batch: TurnBatch) -> FloatArray:
    begins, asked, parses = _json(batch)
    text = filled(batch, "output")
    odd = fences(batch) % 2 == 1
    leaked = matched(text, _LEAKED, holds(batch, "output", "<[{")) | matched(text, _STEP, holds(batch, "output", ":"))
    return where(present(batch, "output"), ((begins | asked) & ~parses) | odd | leaked)


def _unfinished(batch: TurnBatch) -> FloatArray:
    return where(present(batch, "output") & covered(batch), hit(batch, "unfinished"))


def _has_list(batch: TurnBatch) -> FloatArray:
    lines = holds(batch, "output", "\n")
    found = matched(head(batch), rf"(?:^|\n){_ITEM}", lines) | matched(head(batch), f"^{_ITEM}", ~lines)
    return where(present(batch, "output"), found)


def _has_heading(batch: TurnBatch) -> FloatArray:
    found = matched(head(batch), r"(?:^|\n)#{1,6} \S", holds(batch, "output", "#"))
    return where(present(batch, "output"), found)


def _card(
    name: str,
    definition: str,
    up: str,
    down: str,
    needs: tuple[str, ...] = ("output",),
    version: int = 1,
    none_means: str = "The answer was not recorded.",
) -> SignalInfo:
    return SignalInfo(name, version, "flag", "turn", "any", definition, up, down, needs, none_means=none_means)


SIGNALS = (
    Turnwise(
        _card(
            "code_fence",
            "The answer holds a code fence (three backticks).",
            "wraps answers in code fences",
            "wraps fewer answers in code fences",
        ),
        _has_fence,
    ),
    Turnwise(
        _card(
            "json_answer",
            "The answer is JSON that parses, bare or fenced.",
            "answers in JSON",
            "answers in JSON less often",
            ("input", "output"),
        ),
        _json_answer,
    ),
    Turnwise(
        _card(
            "format_break",
            "JSON begun or asked for does not parse, a fence stays open, or tool syntax leaks out.",
            "breaks the format of its answers",
            "breaks the format of its answers less often",
            ("input", "output"),
        ),
        _format_break,
    ),
    Turnwise(
        _card(
            "unfinished",
            "The answer leaves placeholders or work undone.",
            "leaves placeholders in its answers",
            "leaves fewer placeholders in its answers",
            version=WORDING_VERSION + 1,
            none_means=NO_READING,
        ),
        _unfinished,
    ),
    Turnwise(
        _card(
            "has_list",
            "The answer holds a bulleted or numbered list.",
            "answers in lists",
            "answers in lists less often",
        ),
        _has_list,
    ),
    Turnwise(
        _card(
            "has_heading",
            "The answer holds a Markdown heading.",
            "puts headings into its answers",
            "puts fewer headings into its answers",
        ),
        _has_heading,
    ),
)
