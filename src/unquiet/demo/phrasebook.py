"""The wording of the story, one TOML file a language."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """What is said about one kind of request. With `paired`, answer i of `done` belongs to request i of `open`."""

    open: Lines
    done: Lines
    questions: tuple[Lines, ...]
    bare: Lines = ()
    denied: Lines = ()
    quiet: Lines = ()
    quiet_again: Lines = ()
    paired: bool = False


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """What is said whatever the request, and the topics."""

    greet: Lines
    tail: Lines
    lead: Lines
    closer: Lines
    sorry_lead: Lines
    sorry_closer: Lines
    ask_order: Lines
    give_order: Lines
    lookup_failed: Lines
    give_again: Lines
    tool_error: Lines
    handoff: Lines
    pushback: Lines
    denied_again: Lines
    thanks: Lines
    farewell: Lines
    still_thanks: Lines
    still_farewell: Lines
    items: Lines
    reasons: Lines
    damages: Lines
    streets: Lines
    carriers: Lines
    topics: dict[str, Topic]


@functools.cache
def phrasebook(language: str) -> Phrasebook:
    """The wording of a language: `en`, `de`, `fr` or `es`."""
    file = resources.files("unquiet.demo").joinpath("wording", f"{language}.toml")
    parsed: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    topics = {name: Topic(**_frozen(lines)) for name, lines in parsed.pop("intent").items()}
    return Phrasebook(**_frozen(parsed), topics=topics)


def _frozen(table: dict[str, Any]) -> dict[str, Any]:
    return {key: _tuple(value) for key, value in table.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(entry) for entry in value) if isinstance(value, list) else value
