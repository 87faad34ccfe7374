"""Checks of answers, with the standard library alone: exported files carry the text of this module.

An assertion is a mapping with a `kind`: `holds` (a part of `PARTS`, or `json`), `length` in characters, `terms`, `calls`
(a tool, or any), `script`, `signal` (measured by unquiet).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PARTS = {
    "a code fence": r"```",
    "a list": r"(?:^|\n)[ \t]*(?:[-*•]|\d+[.)])[ \t]",
    "a heading": r"(?:^|\n)#{1,6} \S",
    "a table": r"(?:^|\n)[ \t]*\|[^\n]+\|",
    "bold text": r"\*\*[^\s*]",
    "a link": r"https?://",
    "a question at its end": r"[?？]\s*$",
    "any text": r"\S",
}
"""What an answer may hold, as expressions that Python and JavaScript read alike."""

JSON = "json"
APART = r"([\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff])"
"""Characters of scripts that put no blanks between words: each is taken as a word."""

SCRIPTS = {
    "Latin": r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]",
    "Greek": r"[\u0370-\u03ff]",
    "Cyrillic": r"[\u0400-\u052f]",
    "Hebrew": r"[\u0590-\u05ff]",
    "Arabic": r"[\u0600-\u06ff\u0750-\u077f]",
    "Indic": r"[\u0900-\u0dff]",
    "Thai": r"[\u0e00-\u0e7f]",
    "Chinese or Japanese": r"[\u3040-\u30ff\u3400-\u9fff]",
    "Korean": r"[\u1100-\u11ff\uac00-\ud7af]",
}
MEASURED_YES = 0.5

Measure = Callable[[str, str, str], "float | None"]
"""Reads a signal: its name, the request, the answer."""


def words(text: str) -> str:
    """The words of a text in small letters, one blank around each, so that a term is found as ` as an ai `."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("'", "").replace("’", "")
    spaced = re.sub(APART, r" \1 ", plain)
    kept = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in spaced)
    return f" {' '.join(kept.split())} "


def script(text: str) -> str | None:
    """The script of most letters of a text; None where it has none of a known script."""
    counts = {name: len(re.findall(letters, text)) for name, letters in SCRIPTS.items()}
    name = max(counts, key=lambda each: counts[each])
    return name if counts[name] else None


def holds(part: str, output: str) -> bool:
    """Whether an answer holds a part."""
    if part != JSON:
        return re.search(PARTS[part], output) is not None
    bare = re.sub(r"^\s*```[a-zA-Z]*\s*|\s*```\s*$", "", output)
    try:
        return isinstance(json.loads(bare), dict | list)
    except ValueError:
        return False


def says(terms: Sequence[str], output: str) -> list[str]:
    """Those of the terms that an answer says."""
    said = words(output)
    return [term for term in terms if words(term) in said]


def failed(
    assertion: Mapping[str, Any],
    request: str,
    output: str,
    calls: Sequence[str] | None,
    measure: Measure | None = None,
) -> str | None:
    """Why an answer fails an assertion; None where it holds. `calls` names the tools that were called, None if unknown."""
    kind, want = assertion["kind"], bool(assertion.get("want", True))
    if kind == "holds":
        return (
            None if holds(assertion["part"], output) == want else _but(assertion, "it does not" if want else "it does")
        )
    if kind == "length":
        size, least, most = len(output), assertion.get("least"), assertion.get("most")
        within = (least is None or size >= least) and (most is None or size <= most)
        return None if within else _but(assertion, f"it has {size}")
    if kind == "terms":
        said = says(assertion["terms"], output)
        return None if bool(said) == want else _but(assertion, f"it says {', '.join(said) or 'none of them'}")
    if kind == "script":
        found = script(output)
        return None if found in (None, assertion["script"]) else _but(assertion, f"it is in {found}")
    if kind == "calls":
        return _called(assertion, calls, want=want)
    return _measured(
        assertion, measure(assertion["signal"], request, output) if measure is not None else None, want=want
    )


def _called(assertion: Mapping[str, Any], calls: Sequence[str] | None, *, want: bool) -> str | None:
    if calls is None:
        return _but(assertion, "the agent does not tell which tools it called")
    tool = assertion.get("tool")
    called = bool(calls) if tool is None else tool in calls
    return None if called == want else _but(assertion, f"it called {', '.join(calls) or 'none'}")


def _measured(assertion: Mapping[str, Any], value: float | None, *, want: bool) -> str | None:
    if value is None:
        return _but(assertion, "unquiet cannot tell")
    return None if (value >= MEASURED_YES) == want else _but(assertion, f"unquiet measures {value:.2f}")


def _but(assertion: Mapping[str, Any], found: str) -> str:
    return f"expected: {assertion['said']}; {found}"
