"""What a kind of sink is, and the kinds that other packages add."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from unquiet.alerts.options import Options
from unquiet.model.alerts import AlertSink
from unquiet.model.errors import ConfigError

GROUP = "unquiet.alerts"
"""The entry point group in which other packages name their kinds: each leads to a `SinkKind`."""


@dataclass(frozen=True, slots=True)
class SinkKind:
    """One kind of sink.

    `kind` is its name in the configuration. `make(options)` reads every option it knows and returns the sink; it does
    nothing else, since wrong options are only told afterwards, all at once.
    """

    kind: str
    make: Callable[[Options], AlertSink]


@runtime_checkable
class RepeatingSink(Protocol):
    """A sink whose receiver forgets what is not said again: what is firing is sent every `repeat_s` seconds."""

    @property
    def repeat_s(self) -> float:
        """Seconds between two sendings of the same firing notice; more than 0."""
        ...


def added_kinds() -> list[str]:
    """The kinds that installed packages add, by name."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def added_kind(name: str) -> SinkKind | None:
    """A kind that an installed package adds, None if there is none of that name.

    Raises:
        ConfigError: it cannot be loaded, or is no `SinkKind`.
    """
    for point in entry_points(group=GROUP, name=name):
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"alert sinks of kind {name!r}: {point.value} cannot be loaded ({error}). Install the package anew or remove it."
            ) from error
        if not isinstance(found, SinkKind):
            raise ConfigError(
                f"alert sinks of kind {name!r}: {point.value} is {type(found).__name__}, expected unquiet.alerts.kinds.SinkKind"
            )
        return found
    return None
