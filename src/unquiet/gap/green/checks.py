"""The checks of a case, run on answers that were given to others: would they have passed?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BoolArray = npt.NDArray[np.bool_]
Check = Callable[[pa.Array, str], Any]


def run_check(kind: str, expected: str | None, answers: pa.Array) -> BoolArray | None:
    """Whether each answer (large_string without nulls) passes; None where the check cannot be run on text alone.

    Checks that ask a model, a metric or code of the user's cannot be run. `not-` before a kind turns it around.
    """
    name = kind.lower().replace("_", "-").strip()
    turned = name.startswith("not-")
    check = CHECKS.get(name.removeprefix("not-"))
    if check is None or (expected is None and name.removeprefix("not-") not in NEEDS_NOTHING):
        return None
    try:
        passed = np.asarray(check(answers, expected or ""), dtype=bool)
    except pa.ArrowInvalid:
        # An expression that RE2 does not know, such as one that looks behind.
        return None
    return ~passed if turned else passed


def _several(expected: str) -> list[str]:
    """The texts of a check that takes a list: JSON, or parted by commas."""
    try:
        found = json.loads(expected)
    except ValueError:
        return [part.strip() for part in expected.split(",") if part.strip()]
    return [str(each) for each in found] if isinstance(found, list) else [expected]


def _contains(answers: pa.Array, expected: str, *, ignore_case: bool = False) -> BoolArray:
    return pc.match_substring(answers, expected, ignore_case=ignore_case).to_numpy(zero_copy_only=False)


def _each(answers: pa.Array, expected: str, *, ignore_case: bool = False) -> BoolArray:
    texts = _several(expected)
    return (
        np.stack([_contains(answers, text, ignore_case=ignore_case) for text in texts]) if texts else np.zeros(0, bool)
    )


def _equals(answers: pa.Array, expected: str) -> BoolArray:
    trimmed = pc.utf8_trim_whitespace(answers)
    return pc.equal(trimmed, expected.strip()).to_numpy(zero_copy_only=False)


def _is_json(answers: pa.Array, _expected: str) -> BoolArray:
    return np.array([_parses(text) for text in answers.to_pylist()], bool)


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


NEEDS_NOTHING = ("is-json", "contains-json")
CHECKS: dict[str, Check] = {
    "contains": _contains,
    "includes": _contains,
    "icontains": lambda answers, expected: _contains(answers, expected, ignore_case=True),
    "contains-all": lambda answers, expected: _each(answers, expected).all(axis=0),
    "contains-any": lambda answers, expected: _each(answers, expected).any(axis=0),
    "icontains-all": lambda answers, expected: _each(answers, expected, ignore_case=True).all(axis=0),
    "icontains-any": lambda answers, expected: _each(answers, expected, ignore_case=True).any(axis=0),
    "equals": _equals,
    "exact": _equals,
    "exact-match": _equals,
    "starts-with": lambda answers, expected: pc.starts_with(answers, expected),
    "ends-with": lambda answers, expected: pc.ends_with(answers, expected),
    "regex": lambda answers, expected: pc.match_substring_regex(answers, expected),
    "is-json": _is_json,
    "contains-json": lambda answers, _expected: pc.match_substring_regex(answers, r"(?s)\{.*\}|\[.*\]"),
    "match": lambda answers, expected: pc.match_substring(answers, expected),
}
"""Kinds of check by the names that tools give them, as far as text alone decides."""
