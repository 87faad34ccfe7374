"""The wording families as written in the family files, compiled."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import re2

_MEMORY_BYTES = 48 << 20
"""How much an automaton may grow (of a set, or of the harmless wordings): past it a pass costs up to fifteen times as much."""
_SENTENCE_PATTERNS = 8
"""How many patterns that skip within a sentence share a set: the states of the automaton grow with their combinations."""

_SENTENCE_LENGTH = 4000
"""How many characters such patterns of a set may have together: long word lists make many states, too."""

_WORD_ENDS = r"(?:[^0-9a-z_\x{C0}-\x{24F}]|$)"
"""Unlike \\b, which knows ASCII only, this does not find the French "est" in the Spanish "está"."""

NO_FAMILIES = ("safety_refusal", "lecture", "policy_denial", "capability_denial", "abstention", "deflection", "handoff")
"""Families that say no: they do not read what a file lists as harmless under `no`."""


@dataclass(frozen=True, slots=True)
class PatternSet:
    """An RE2 set: `families` says which family (its place in `Lexicon.names`) each of its patterns belongs to.

    `passes_over` names the harmless wordings that it does not read, "" where it reads everything; `written` are the
    patterns as RE2 reads them.
    """

    patterns: Any
    families: npt.NDArray[np.int64]
    passes_over: str
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The families of every language.

    `names` are the families, shared by all languages. By language code: `versions` of the files,
    `function_words` an expression that finds the commonest words (absent for languages written without
    blanks), `harmless` expressions that find wordings which only look like what a family means ("no problem", "if it
    does not open"), by their names, and the pattern `sets`.
    """

    names: tuple[str, ...]
    versions: dict[str, int]
    function_words: dict[str, str]
    harmless: dict[str, dict[str, Any]]
    sets: dict[str, tuple[PatternSet, ...]]

    def index(self, family: str) -> int:
        """Place of a family in `names`.

        Raises:
            ValueError: There is no such family.
        """
        return self.names.index(family)


def expand(pattern: str, words: dict[str, str], variants: str = "") -> str:
    """A pattern as written in a family file, as RE2 reads it.

    `<name>` stands for the word list of that name (lists may name others), a blank for any white space, an
    apostrophe for the plain and the typographic one, a letter beyond ASCII for both its cases, since only
    ASCII letters of the text are lower case, and the first letter of each word of `variants` for every letter
    of that word (so a pattern may hold none of these inside brackets).

    Raises:
        ValueError: The pattern names a word list that is not there.
    """

    def written_out(found: re.Match[str]) -> str:
        if found.group(1) not in words:
            raise ValueError(f"no word list <{found.group(1)}> for {pattern!r}: there are {', '.join(words)}")
        return f"(?:{words[found.group(1)]})"

    while True:
        expanded = re.sub(r"<([a-z_]+)>", written_out, pattern)
        if expanded == pattern:
            return _all_forms(expanded.replace(" ", r"(?:\s+)").replace("'", "['\u2019]"), variants)
        pattern = expanded


def _all_forms(pattern: str, variants: str) -> str:
    letters = {letter for letter in pattern if not letter.isascii() and len(letter.upper()) == 1}
    forms = {ord(each): f"[{each}{each.upper()}]" for each in letters if each != each.upper()}
    return pattern.translate(forms | {ord(each[0]): f"[{each}]" for each in variants.split()})


def family_files(whose: str = "") -> list[dict[str, Any]]:
    """The family files of the package, by language code; English comes first, whose words are asked for first.

    `whose` is "user" for the families that are read on requests.
    """
    folder = files("unquiet.signals") / "families" / whose
    contents = [
        tomllib.loads(each.read_text(encoding="utf-8")) for each in folder.iterdir() if each.name.endswith(".toml")
    ]
    return sorted(contents, key=lambda content: (content["language"] != "en", content["language"]))


def shape(pattern: str) -> str:
    """What a pattern can skip: "sentence" (the rest of one, or of a clause), "words" (a few) or "nothing".

    Patterns of one shape share a set. Mixed, their partial matches multiply the states of the automaton,
    and a pass costs three times as much.
    """
    if re.search(r"\[\^[.,;:!?，、。；：！？]+\\n\][*|]", pattern):
        return "sentence"
    return "words" if re.search(r"\)\{0,\d\}|\)\*", pattern) else "nothing"


@lru_cache(maxsize=2)
def lexicon(whose: str = "") -> Lexicon:
    """Every family file, compiled; of answers, or with "user" of requests.

    Raises:
        ValueError: A pattern is not one that RE2 accepts, or names a word list that is not there.
    """
    contents = family_files(whose)
    names = list(dict.fromkeys(family for content in contents for family in content["families"]))
    return Lexicon(
        tuple(names),
        {content["language"]: content["version"] for content in contents},
        {
            content["language"]: expand(rf"\b(?:{content['function_words'].replace(' ', '|')}){_WORD_ENDS}", {})
            for content in contents
            if "function_words" in content
        },
        {content["language"]: _harmless(content) for content in contents},
        {content["language"]: _sets(content, names) for content in contents},
    )


@lru_cache(maxsize=8)
def written(family: str) -> dict[str, str]:
    """All patterns of a family of answers as one expression, by language code."""
    return {
        content["language"]: "|".join(
            f"(?:{expand(pattern, content.get('words', {}), content.get('variants', ''))})"
            for pattern in content["families"][family]
        )
        for content in family_files()
    }


def _harmless(content: dict[str, Any]) -> dict[str, Any]:
    words, variants = content.get("words", {}), content.get("variants", "")
    return {
        name: re2.compile("|".join(expand(pattern, words, variants) for pattern in patterns), options())
        for name, patterns in content.get("harmless", {}).items()
    }


def _passes_over(family: str, content: dict[str, Any]) -> str:
    name = "no" if family in NO_FAMILIES else family
    return name if name in content.get("harmless", {}) else ""


def _sets(content: dict[str, Any], names: list[str]) -> tuple[PatternSet, ...]:
    shapes: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for family, written in content["families"].items():
        apart = _passes_over(family, content)
        for pattern in written:
            full = expand(pattern, content.get("words", {}), content.get("variants", ""))
            kind = "few" if apart == family else shape(full)
            shapes.setdefault((kind, apart), []).append((full, names.index(family)))
    return tuple(_compiled(part, apart) for (kind, apart), members in shapes.items() for part in _parts(kind, members))


def _parts(kind: str, members: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    if kind != "sentence":
        return [members]
    parts: list[list[tuple[str, int]]] = [[]]
    for member in members:
        length = sum(len(pattern) for pattern, _ in parts[-1])
        if len(parts[-1]) == _SENTENCE_PATTERNS or (parts[-1] and length + len(member[0]) > _SENTENCE_LENGTH):
            parts.append([])
        parts[-1].append(member)
    return parts


def options() -> Any:
    """How patterns are compiled."""
    chosen = re2.Options()
    chosen.max_mem = _MEMORY_BYTES
    return chosen


def _compiled(members: list[tuple[str, int]], passes_over: str) -> PatternSet:
    patterns = re2.Set.SearchSet(options())
    for pattern, _ in members:
        try:
            patterns.Add(pattern)
        except re2.error as error:
            raise ValueError(f"a wording pattern is not RE2: {pattern!r}: {error}") from error
    patterns.Compile()
    families = np.array([number for _, number in members], np.int64)
    return PatternSet(patterns, families, passes_over, tuple(pattern for pattern, _ in members))
