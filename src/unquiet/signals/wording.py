"""Which wording families each answer hits: one pass of one RE2 set over a batch, shared by every signal."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import re2

from unquiet.model.signals import TurnBatch
from unquiet.signals.text import Bools, head

OPENING_CHARACTERS = 220
"""Families hit within this many characters count as part of the answer's opening."""

_SET_MEMORY_BYTES = 128 << 20


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All families of all languages, compiled: pattern i belongs to family `family_of[i]`."""

    names: tuple[str, ...]
    family_of: npt.NDArray[np.int64]
    languages: dict[str, int]
    patterns: Any

    def index(self, family: str) -> int:
        """Column of a family in `Hits`.

        Raises:
            ValueError: There is no such family.
        """
        return self.names.index(family)


@dataclass(frozen=True, slots=True)
class Hits:
    """Families hit per answer, each of shape (len(batch), number of families)."""

    anywhere: Bools
    opening: Bools


def expand(pattern: str, words: dict[str, str]) -> str:
    """A pattern as written in a family file, as RE2 reads it.

    `<name>` stands for the word list of that name (lists may name earlier lists), a blank for any white space.

    Raises:
        KeyError: The pattern names a word list that is not there.
    """
    while True:
        expanded = re.sub(r"<([a-z_]+)>", lambda found: "(?:" + words[found.group(1)] + ")", pattern)
        if expanded == pattern:
            return expanded.replace(" ", r"\s+")
        pattern = expanded


def family_files() -> list[dict[str, Any]]:
    """The family files of the package, by language code."""
    folder = files("unquiet.signals") / "families"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".toml")), key=lambda each: each.name)
    return [tomllib.loads(each.read_text(encoding="utf-8")) for each in found]


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """Every family file, compiled into one set.

    Raises:
        ValueError: A pattern is not one that RE2 accepts.
    """
    options = re2.Options()
    options.max_mem = _SET_MEMORY_BYTES
    patterns = re2.Set.SearchSet(options)
    names: dict[str, int] = {}
    family_of: list[int] = []
    languages: dict[str, int] = {}
    for content in family_files():
        languages[content["language"]] = content["version"]
        words = content.get("words", {})
        for family, written in content["families"].items():
            for pattern in written:
                try:
                    patterns.Add(expand(pattern, words))
                except re2.error as error:
                    raise ValueError(f"{content['language']}.{family}: {pattern!r}: {error}") from error
                family_of.append(names.setdefault(family, len(names)))
    patterns.Compile()
    return Lexicon(tuple(names), np.array(family_of, np.int64), languages, patterns)


def hits(batch: TurnBatch) -> Hits:
    """Which families each answer hits, anywhere in its head and in its opening."""
    return batch.once("wording:hits", lambda: _match(head(batch)))


def hit(batch: TurnBatch, *families: str) -> Bools:
    """True where an answer hits one of `families` anywhere in its head, shape (len(batch),)."""
    columns = [lexicon().index(family) for family in families]
    return hits(batch).anywhere[:, columns].any(axis=1)


def _match(text: pa.Array) -> Hits:
    known = lexicon()
    match = known.patterns.Match
    shape = (len(text), len(known.names))
    anywhere, opening = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for row, value in enumerate(text.to_pylist()):
        if found := match(value):
            anywhere[row, known.family_of[found]] = True
            early = match(value[:OPENING_CHARACTERS]) if len(value) > OPENING_CHARACTERS else found
            if early:
                opening[row, known.family_of[early]] = True
    return Hits(anywhere, opening)
