"""Rules: what a dialect reads, bound once to the attribute names that a span bears.

Spans of one instrumentation bear the same few names again and again, out of the hundreds that all dialects know.
A rule says which names it reads; bound to the names of a span it is a function without any search left in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from unquiet.conventions.flat import grower
from unquiet.conventions.messages import Json, Message, text_or_none
from unquiet.conventions.steps import Step, id_text, keep_facet, messages_seen, pick

Run: TypeAlias = "Callable[[Step, Json], None]"
"""Reads attributes into a step."""
Bind: TypeAlias = "Callable[[Json], Run]"
"""Makes the reading of spans that bear the same attribute names as the given one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A reading of the attributes `names` and of those below the prefixes `below` (whose last sign is a point).

    It does nothing to a span that bears none of them, unless it reads events and the span has some.
    """

    names: frozenset[str]
    bind: Bind
    below: tuple[str, ...] = ()
    on_events: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """Rules, in order, for spans that bear an attribute with one of some first parts.

    `applies` decides by the values, before any rule runs. Events on spans are `gen_ai`, whatever their names.
    """

    namespaces: frozenset[str]
    rules: tuple[Rule, ...]
    applies: Callable[[Json], bool] | None = None

    def bound(self, attributes: Json, *, has_events: bool = False) -> tuple[Run, ...]:
        """What there is to do to spans that bear the names of these attributes."""
        spoken = {name.partition(".")[0] for name in attributes}
        if has_events:
            spoken.add("gen_ai")
        if self.namespaces and self.namespaces.isdisjoint(spoken):
            return ()
        return tuple(
            rule.bind(attributes)
            for rule in self.rules
            if (rule.on_events and has_events)
            or not attributes.keys().isdisjoint(rule.names)
            or (rule.below and any(name.startswith(rule.below) for name in attributes))
        )


def does(run: Run, *names: str, below: tuple[str, ...] = (), on_events: bool = False) -> Rule:
    """A rule for what needs all attributes at once."""
    return Rule(frozenset(names), lambda _: run, below, on_events)


def fills(field: str, convert: Callable[[Any], Any], *names: str) -> Rule:
    """A rule that fills a field of the step with the first of some attributes that has a value."""

    def bind(attributes: Json) -> Run:
        there = [name for name in names if name in attributes]

        def run(step: Step, attributes: Json) -> None:
            if getattr(step, field) is None:
                value = convert(pick(attributes, *there))
                if value is not None and value != "":
                    setattr(step, field, value)

        def run_one(step: Step, attributes: Json) -> None:
            if getattr(step, field) is None:
                value = attributes[alone]
                if not (keeps_texts and type(value) is str):
                    value = convert(value)
                if value is not None and value != "":
                    setattr(step, field, value)

        alone = there[0]
        keeps_texts = convert in (text_or_none, id_text)
        return run_one if len(there) == 1 else run

    return Rule(frozenset(names), bind)


def hears(side: Literal["received", "sent"], name: str) -> Rule:
    """A rule that takes messages from an attribute."""

    def receive(step: Step, attributes: Json) -> None:
        step.receive(messages_seen, attributes[name])

    def send(step: Step, attributes: Json) -> None:
        step.send(messages_seen, attributes[name])

    return Rule(frozenset((name,)), lambda _: receive if side == "received" else send)


def facets(names: Mapping[str, str]) -> tuple[Rule, ...]:
    """Rules that keep attributes as facets: attribute -> facet."""
    return tuple(_facet(name, facet) for name, facet in names.items())


def _facet(name: str, facet: str) -> Rule:
    def run(step: Step, attributes: Json) -> None:
        keep_facet(step.facets, facet, attributes[name])

    return Rule(frozenset((name,)), lambda _: run)


def fingerprint(facet: str, name: str) -> Rule:
    """A rule that keeps the hash of an attribute as a facet."""

    def run(step: Step, attributes: Json) -> None:
        step.fingerprint(facet, attributes[name])

    return Rule(frozenset((name,)), lambda _: run)


def flattened(side: Literal["received", "sent"], prefix: str, read: Callable[[list[Any]], list[Message]]) -> Rule:
    """A rule that takes messages from a list that may lie flattened below a prefix; `read` makes them of the list."""

    def bind(attributes: Json) -> Run:
        grow = grower(attributes, prefix)

        def late(_: Step, attributes: Json) -> list[Message]:
            return read(grow(attributes))

        def run(step: Step, attributes: Json) -> None:
            (step.receive if side == "received" else step.send)(late, attributes)

        return run

    return Rule(frozenset((prefix,)), bind, (prefix + ".",))
