"""The recorded answers of an incident as an agent, to see what the exported cases say of them.

`before` and `after` answer the requests of cases from recorded.jsonl beside this file; UNQUIET_NTH=1 takes the second answer
that is recorded for a case, and so on. This folder holds answers as they were given: keep it where the traffic may be.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

RECORDED = "recorded.jsonl"
EARLIER = "(an earlier answer)"
"""What requests are answered that come before the one that is checked."""


def before(messages: list[dict[str, str]]) -> Any:
    """What was answered before the onset to the nearest requests."""
    return _answer(messages, "before")


def after(messages: list[dict[str, str]]) -> Any:
    """What was answered in the incident."""
    return _answer(messages, "after")


def _answer(messages: list[dict[str, str]], side: str) -> Any:
    asked = tuple(message["content"] for message in messages if message["role"] == "user")
    answers = _known().get((asked, side))
    return EARLIER if answers is None else answers[int(os.environ.get("UNQUIET_NTH", "0")) % len(answers)]


@lru_cache(1)
def _known() -> dict[tuple[tuple[str, ...], str], list[Any]]:
    lines = Path(__file__).with_name(RECORDED).read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    return {(tuple(row["requests"]), side): row[side] for row in rows for side in ("before", "after")}
