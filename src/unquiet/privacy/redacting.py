"""Redaction: what the patterns match becomes `[email]`, `[phone]` and so on; everything else stays as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import re2

from unquiet.model.errors import ConfigError
from unquiet.privacy.patterns import BUILT_IN, NAMES, Check, Pattern

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LOOKS_AROUND = re.compile(r"\\[bBAz]|(?<![\\\[])\^|(?<!\\)\$")
"""Parts of an expression that depend on what stands beside a match: in raw bytes other things stand there than in the text."""

_NAME_ENDS, _VALUE_ENDS = re.compile(rb'(\\*")\s*:\s*\Z'), re.compile(rb"\s*[,}\]]")
"""What stands before and after a number that is the value of a name in JSON, also where that is inside of a text of JSON."""

_MEMORY_BYTES = 64 << 20
_PATTERN_CHARACTERS = 2000


class Redactor:
    """Replaces matches of patterns in texts.

    A single scan for hints of all patterns together decides whether any runs at all, a second one which. Hints need no
    neighbours, so that the raw bytes of a message may be asked as well as a text: see `may_hold`.
    """

    def __init__(self, patterns: Sequence[str], custom: Mapping[str, str] | None = None) -> None:
        """Patterns by name, and further ones (name to RE2 expression), which go first.

        Raises:
            ConfigError: unknown names or expressions that cannot be used, all of them.
        """
        extra = dict(custom or {})
        wrong = [*_unknown(patterns), *(text for name, rule in extra.items() for text in _problems(name, rule))]
        if wrong:
            raise ConfigError("; ".join(wrong))
        used = [Pattern(name, rule, lead="") for name, rule in extra.items()]
        used += [pattern for pattern in BUILT_IN if pattern.name in patterns]
        self._rules = [_Rule(pattern) for pattern in used]
        hints = [pattern.hint or pattern.body for pattern in used]
        self._any = _compiled("|".join(f"(?:{hint})" for hint in hints), captures=False) if used else None
        self._which = _set_of(hints)
        self.used = bool(used)
        """Whether there is any pattern."""
        self.sees_raw = not any(_LOOKS_AROUND.search(rule) for rule in extra.values())
        """Whether raw bytes can be asked: not with expressions of the user's that look at what stands around a match."""

    def find(self, data: bytes, start: int = 0) -> int:
        """The first place, at or after `start`, at which there can be a match; -1 where there is none.

        In UTF-8 text, or in any text within the bytes of a message: -1 is certain for texts, and for raw bytes if `sees_raw`.
        """
        found = self._any.search(data, start) if self._any is not None else None
        return -1 if found is None else found.start()

    def may_hold(self, data: bytes) -> bool:
        """Whether there can be a match anywhere; see `find`."""
        return self.find(data) >= 0

    def __call__(self, text: str) -> str:
        """The text without what matches; the very same object where nothing does."""
        if self._any is None:
            return text
        data = text.encode("utf-8", "surrogatepass")
        if self._any.search(data) is None:
            return text
        cleaned = data
        for place in sorted(self._which.Match(data)):
            cleaned = self._rules[place].applied(cleaned)
        return text if cleaned is data else cleaned.decode("utf-8", "surrogatepass")


class _Rule:
    """One pattern, compiled; the part that is replaced is its first group."""

    def __init__(self, pattern: Pattern) -> None:
        self._place = f"[{pattern.name}]".encode()
        self._check: Check | None = pattern.check
        self._regex = _compiled(f"{pattern.lead}({pattern.body})", captures=True)

    def applied(self, data: bytes) -> bytes:
        """The text without its matches; the same object where there is none."""
        pieces: list[bytes] = []
        end, at = 0, 0
        while (found := self._regex.search(data, at)) is not None:
            first, last = found.span(1)
            if last <= first:
                at = max(last, at) + 1
            elif self._check is None or self._check(data, first, last):
                quote = _quote(data, first, last)
                pieces += [data[end:first], quote, self._place, quote]
                end = at = last
            else:
                # What stands inside of it may still be one, after other neighbours.
                at = first + 1
            if at > len(data):
                break
        return b"".join([*pieces, data[end:]]) if pieces else data


def _quote(data: bytes, first: int, last: int) -> bytes:
    """What must stand around the replacement of a number in JSON so that it stays JSON; mostly nothing."""
    if not data[first : first + 1].isdigit() or not _VALUE_ENDS.match(data, last):
        return b""
    name = _NAME_ENDS.search(data[max(0, first - 80) : first])
    return name[1] if name is not None else b""


def _unknown(patterns: Sequence[str]) -> list[str]:
    unknown = [name for name in patterns if name not in NAMES]
    return [f"redact {', '.join(unknown)}: no such pattern; expected some of {', '.join(NAMES)}"] if unknown else []


def _problems(name: str, rule: str) -> list[str]:
    """What is wrong with a pattern of the user's."""
    wrong: list[str] = []
    if not _NAME.fullmatch(name):
        wrong.append(f"redact {name!r}: expected a name of small letters, digits, - and _, at most 32, a letter first")
    if name in NAMES:
        wrong.append(f"redact {name}: this is the name of a built-in pattern; choose another")
    if "(?P<" in rule or "(?<" in rule:
        wrong.append(
            f"redact {name}: {rule!r} names a group or looks back; use (?:...), for the whole match is replaced"
        )
        return wrong
    if len(rule) > _PATTERN_CHARACTERS:
        wrong.append(
            f"redact {name}: the expression has {len(rule)} characters; expected at most {_PATTERN_CHARACTERS}"
        )
        return wrong
    try:
        regex = _compiled(rule, captures=True)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        wrong.append(
            f"redact {name}: {rule!r} is no RE2 expression ({said}); look-around and back-references are not known"
        )
        return wrong
    if regex.search(b"") is not None:
        wrong.append(
            f"redact {name}: {rule!r} matches an empty text; expected an expression that needs at least one character"
        )
    return wrong


def _compiled(rule: str, *, captures: bool) -> Any:
    options = _options()
    options.never_capture = not captures
    return re2.compile(rule, options)


def _set_of(rules: Sequence[str]) -> Any:
    found = re2.Set.SearchSet(_options())
    for rule in rules:
        found.Add(rule)
    found.Compile()
    return found


def _options() -> Any:
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.log_errors = False
    return options
