"""Literals that a text must hold for a pattern to match it: looking for these first rules out most patterns at once."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field

Strings = frozenset[str]

_MOST_STRINGS = 200
"""How many strings a part of a pattern may stand for and still be spelled out."""

_MOST_LETTERS = 8
"""How many letters a bracket may hold and still be spelled out."""

_NOTHING: Strings = frozenset({""})
_EDGE, _BLANKS = "\ue000", "\ue001"
"""Stand for \\b and for \\s+ in a needle."""

_ASCII_CHANCE, _OTHER_CHANCE = 1 / 12, 1 / 200
_CHANCES = {_EDGE: 0.3, _BLANKS: 0.5}
"""Roughly how often a letter turns up at a given place, of ASCII and beyond: a needle should be rare."""

_WRITTEN = {_EDGE: r"\b", _BLANKS: r"\s+", "\n": r"\n"} | {each: f"\\{each}" for each in string.punctuation}
_PLAIN = re.compile(r"[^\\\[\](){}|?*+^$.]+(?![?*+{])|[^\\\[\](){}|?*+^$.]")
_ANYTHING = "dwsDWS."
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class _Part:
    """What is known of a part of a pattern: all strings that it matches, and strings of which its matches hold one.

    None where they are too many, or where nothing is known.
    """

    exact: Strings | None
    held: Strings | None


_FREE = _Part(None, None)
_EMPTY = _Part(_NOTHING, None)
_HARDLY = frozenset({"", _EDGE, _BLANKS, _EDGE + _BLANKS, _BLANKS + _EDGE})
"""Needles that are in nearly every text."""


def needles(pattern: str) -> Strings | None:
    """Strings of which every text that a pattern matches holds at least one; None where there are none.

    Reads the part of RE2's syntax that family files use, and gives up (None) on anything else.
    """
    reader = _Reader(pattern)
    try:
        part = reader.branches()
    except _NotUnderstood:
        return None
    return None if reader.at < len(pattern) else _rarest([part.held, part.exact])


def written(strings: Strings) -> str:
    """The strings as one pattern of RE2."""
    return "|".join("".join(_WRITTEN.get(letter, letter) for letter in each) for each in sorted(strings))


def chance(strings: Strings) -> float:
    """Roughly how often one of the strings begins at a given place of a text; 1 where one is empty."""
    return min(1.0, sum(_chance_of(each) for each in strings))


def _chance_of(text: str) -> float:
    if text.isascii():
        return _ASCII_CHANCE ** len(text)
    product = 1.0
    for letter in text:
        product *= _CHANCES.get(letter, _ASCII_CHANCE if letter.isascii() else _OTHER_CHANCE)
    return product


def _rarest(choices: list[Strings | None]) -> Strings | None:
    known = [each for each in choices if each is not None and not each & _HARDLY]
    if len(known) < 2:
        return known[0] if known else None
    return min(known, key=chance)


class _NotUnderstood(Exception):
    """A construct of the pattern that is not read here."""


@dataclass(slots=True)
class _Reader:
    """Reads a pattern from left to right; `at` is the next character."""

    pattern: str
    at: int = 0
    depth: int = field(default=0)

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        if not (letter := self.peek()):
            raise _NotUnderstood
        self.at += 1
        return letter

    def took(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def branches(self) -> _Part:
        """Everything up to the end of the group."""
        parts = [self.sequence()]
        while self.took("|"):
            parts.append(self.sequence())
        exact: Strings | None = frozenset()
        held: Strings | None = frozenset()
        for part in parts:
            exact = None if exact is None or part.exact is None else exact | part.exact
            of_part = _rarest([part.held, part.exact])
            held = None if held is None or of_part is None else held | of_part
        return _Part(exact if exact is None or len(exact) <= _MOST_STRINGS else None, held)

    def sequence(self) -> _Part:
        """Everything up to the end of a branch."""
        run, choices, whole = _NOTHING, list[Strings | None](), True
        while self.peek() not in ("", "|", ")"):
            part = self.repeated(self.atom())
            if part.exact is not None and len(run) * len(part.exact) <= _MOST_STRINGS:
                run = frozenset(before + after for before in run for after in part.exact)
                continue
            whole = False
            choices += [run, part.held]
            run = part.exact or _NOTHING
        return _Part(run, None) if whole else _Part(None, _rarest([*choices, run]))

    def repeated(self, part: _Part) -> _Part:
        """The part with what says how often it comes."""
        least = self.least()
        if least is None:
            return part
        self.took("?")
        if self.least() is not None:
            raise _NotUnderstood
        if least == 0:
            return _FREE
        if least < 0:
            return _Part(None if part.exact is None else part.exact | _NOTHING, None)
        return _Part(None, _rarest([part.held, part.exact]))

    def least(self) -> int | None:
        """How often the part comes at least, by the sign that follows; -1 for once or not at all, None without a sign."""
        if self.took("?"):
            return -1
        if self.took("*"):
            return 0
        if self.took("+"):
            return 1
        if not self.took("{"):
            return None
        end = self.pattern.find("}", self.at)
        first = self.pattern[self.at : max(end, self.at)].partition(",")[0]
        if not first.isdecimal():
            raise _NotUnderstood
        self.at = end + 1
        return int(first)

    def atom(self) -> _Part:
        letter = self.take()
        if letter == "(":
            return self.group()
        if letter == "[":
            return self.bracket()
        if letter in "^$":
            return _EMPTY
        if letter == ".":
            return _FREE
        if letter == "\\":
            return self.escaped()
        self.at -= 1
        return self.plain()

    def plain(self) -> _Part:
        """Letters that stand for themselves, up to one that says how often it comes."""
        found = _PLAIN.match(self.pattern, self.at)
        if found is None:
            raise _NotUnderstood
        self.at = found.end()
        return _Part(frozenset({found.group()}), None)

    def group(self) -> _Part:
        if not self.took("?:"):
            raise _NotUnderstood
        part = self.branches()
        if not self.took(")"):
            raise _NotUnderstood
        return part

    def escaped(self) -> _Part:
        if self.took("b"):
            return _Part(frozenset({_EDGE}), None)
        if self.took("s+"):
            return _Part(frozenset({_BLANKS}), None)
        letter = self.escape()
        return _FREE if letter is None else _Part(frozenset({letter}), None)

    def escape(self) -> str | None:
        """The letter that an escape stands for; None where it stands for several."""
        letter = self.take()
        if letter in _ANYTHING and letter != ".":
            return None
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter == "x":
            return self.numbered()
        if letter in "pP":
            self.bracketed() if self.peek() == "{" else self.take()
            return None
        if letter in string.ascii_letters + string.digits:
            raise _NotUnderstood
        return letter

    def bracketed(self) -> str:
        """What stands between the braces that follow."""
        end = self.pattern.find("}", self.at)
        if not self.took("{") or end < 0:
            raise _NotUnderstood
        inner, self.at = self.pattern[self.at : end], end + 1
        return inner

    def numbered(self) -> str:
        if self.peek() == "{":
            digits = self.bracketed()
        else:
            digits, self.at = self.pattern[self.at : self.at + 2], self.at + 2
        if not digits or any(each not in string.hexdigits for each in digits):
            raise _NotUnderstood
        return chr(int(digits, 16))

    def bracket(self) -> _Part:
        negated, letters, first = self.took("^"), set[str](), True
        known = not negated
        while first or self.peek() != "]":
            first = False
            if self.pattern.startswith("[:", self.at):
                raise _NotUnderstood
            low = self.take()
            low = self.escape() if low == "\\" else low
            if low is not None and self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                high = self.take()
                high = self.escape() if high == "\\" else high
                known = known and high is not None and ord(high) - ord(low) < _MOST_LETTERS
                letters |= {chr(code) for code in range(ord(low), ord(high or low) + 1)} if known else set()
            elif low is None:
                known = False
            else:
                letters.add(low)
        self.at += 1
        return _Part(frozenset(letters), None) if known and len(letters) <= _MOST_LETTERS else _FREE
