"""Kinds of settings: what a value may be, how it is read from the file or the environment, how it is shown."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

DURATION = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])", re.ASCII)
CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
SHOWN_CHARACTERS = 80


class WrongValue(ValueError):
    """A value that is not allowed. `hide` is set where the value may hold a secret and is not to be repeated."""

    def __init__(self, why: str = "", *, hide: bool = False) -> None:
        super().__init__(why)
        self.hide = hide


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What a setting may be.

    `allowed` says it in words. `parse` takes a value as TOML gives it and raises WrongValue. `from_text` brings the text
    of an environment variable into that form, and leaves what it cannot read as it is, for `parse` to refuse. `show`
    writes a value as it stands in the file. `place` starts relative paths of the file at its folder.
    """

    allowed: str
    parse: Callable[[object], T]
    show: Callable[[T], str]
    from_text: Callable[[str], object] = lambda text: text
    place: Callable[[T, Path], T] | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `port` 0 takes any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; a name other than localhost counts as no."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def collides(self, other: Address) -> bool:
        """Whether both cannot listen at once."""
        everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound
        return self.port == other.port != 0 and (self.host == other.host or bool({self.host, other.host} & everywhere))


def quoted(value: object) -> str:
    """A text as it stands in a TOML file."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text) + '"'


def shown(value: object) -> str:
    """A value that was got, as in the file and cut where long."""
    if isinstance(value, str):
        words = quoted(value)
    elif isinstance(value, bool):
        words = str(value).lower()
    elif isinstance(value, (dict, list)):
        words = "a table" if isinstance(value, dict) else "a list"
    else:
        words = str(value)
    return words if len(words) <= SHOWN_CHARACTERS else words[:SHOWN_CHARACTERS] + "..."


def whole(least: int, most: int) -> Kind[int]:
    """A whole number from `least` to `most`."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise WrongValue
        return value

    return Kind(f"a whole number from {least} to {most}", parse, str, _number_of)


def number(least: float, most: float) -> Kind[float]:
    """A number from `least` to `most`."""

    def parse(value: object) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
            raise WrongValue
        return float(value)

    return Kind(f"a number from {least:g} to {most:g}", parse, lambda value: f"{value:g}", _number_of)


def _number_of(text: str) -> object:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def flag() -> Kind[bool]:
    """Yes or no."""

    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise WrongValue
        return value

    return Kind("true or false", parse, lambda value: str(value).lower(), _off_of)


def _off_of(text: str) -> object:
    return {"true": True, "false": False}.get(text.strip().lower(), text)


def duration(least: str, most: str) -> Kind[timedelta]:
    """A length of time such as "30m", from `least` to `most`."""
    shortest, longest = _length(least), _length(most)

    def parse(value: object) -> timedelta:
        length = _length(value)
        if not shortest <= length <= longest:
            raise WrongValue
        return length

    return Kind(f'a duration from "{least}" to "{most}" (s, m, h, d)', parse, _show_length)


def _length(value: object) -> timedelta:
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise WrongValue
    return timedelta(seconds=int(match["count"]) * UNITS[match["unit"]])


def length_text(length: timedelta) -> str:
    """A length of time in the largest unit that divides it: `30m`."""
    seconds = round(length.total_seconds())
    unit = next(unit for unit, size in UNITS.items() if seconds % size == 0 and (seconds or unit == "s"))
    return f"{seconds // UNITS[unit]}{unit}"


def _show_length(length: timedelta) -> str:
    return quoted(length_text(length))


def time_of_day() -> Kind[time]:
    """A time of day in UTC, `HH:MM`."""

    def parse(value: object) -> time:
        if not isinstance(value, str) or not CLOCK.fullmatch(value):
            raise WrongValue
        return time.fromisoformat(value)

    return Kind('a time of day in UTC such as "03:30"', parse, lambda value: quoted(f"{value:%H:%M}"))


def address() -> Kind[Address]:
    """`HOST:PORT`."""
    return Kind('an address such as "127.0.0.1:4318" or "[::1]:4318"', _address, quoted)


def _address(value: object) -> Address:
    host, _, port = value.strip().rpartition(":") if isinstance(value, str) else ("", "", "")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65_535:
        raise WrongValue
    if bare != host or ":" in bare:
        try:
            ipaddress.IPv6Address(bare)
        except ValueError:
            raise WrongValue from None
        if bare == host:
            raise WrongValue("an IPv6 host stands in brackets")
    elif not HOST.fullmatch(bare):
        raise WrongValue
    return Address(bare, int(port))


def or_off(kind: Kind[T]) -> Kind[T | None]:
    """The kind, or false for none at all."""

    def parse(value: object) -> T | None:
        return None if value is False else kind.parse(value)

    def show(value: T | None) -> str:
        return "false" if value is None else kind.show(value)

    def from_text(text: str) -> object:
        return False if text.strip().lower() == "false" else kind.from_text(text)

    return Kind(f"{kind.allowed}, or false", parse, show, from_text)


def optional(kind: Kind[T]) -> Kind[T | None]:
    """The kind, where leaving the key out means that there is none."""
    place = kind.place
    return Kind(
        kind.allowed,
        kind.parse,
        lambda value: "not set" if value is None else kind.show(value),
        kind.from_text,
        None if place is None else lambda value, base: None if value is None else place(value, base),
    )


def url() -> Kind[str]:
    """An address for a browser, without a password in it."""
    allowed = 'an http or https address such as "https://unquiet.example.com"'

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise WrongValue
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise WrongValue(hide=True) from None
        if parts.username is not None or parts.password is not None:
            raise WrongValue("it holds a user or a password", hide=True)
        plain = value.isascii() and value.isprintable() and " " not in value
        if parts.scheme not in ("http", "https") or not host or not plain or parts.query or parts.fragment:
            raise WrongValue
        return value.rstrip("/")

    return Kind(allowed, parse, quoted)


def text(allowed: str, most_characters: int = 200) -> Kind[str]:
    """Any printable text that is not empty."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= most_characters or not value.isprintable():
            raise WrongValue
        return value

    return Kind(allowed, parse, quoted)


def path() -> Kind[Path]:
    """The name of a file or folder; `~` is the home folder."""
    return Kind("the name of a file or folder", path_of, quoted, place=_placed)


def paths() -> Kind[tuple[Path, ...]]:
    """A list of names of files."""

    def parse(value: object) -> tuple[Path, ...]:
        if not isinstance(value, list):
            raise WrongValue
        return tuple(path_of(item) for item in value)

    return Kind(
        "a list of names of files",
        parse,
        _show_list,
        _list_of,
        lambda value, base: tuple(_placed(item, base) for item in value),
    )


def path_of(value: object) -> Path:
    """The path that a text names; `~` is the home folder.

    Raises:
        WrongValue: it is no text, empty, or names the home of somebody unknown.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        raise WrongValue
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise WrongValue("there is no such home folder") from None


def _placed(value: Path, base: Path) -> Path:
    return base / value


def hosts() -> Kind[tuple[str, ...]]:
    """A list of names of hosts, in lower case."""

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise WrongValue
        strange = [item for item in value if not isinstance(item, str) or not HOST.fullmatch(item)]
        if strange:
            raise WrongValue(f"{shown(strange[0])} is none")
        return tuple(dict.fromkeys(str(item).lower() for item in value))

    return Kind("a list of names of hosts, without port", parse, _show_list, _list_of)


def words(choices: Sequence[str]) -> Kind[tuple[str, ...]]:
    """A list of some of `choices`."""

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise WrongValue
        strange = [item for item in value if item not in choices]
        if strange:
            raise WrongValue(f"{shown(strange[0])} is none of them")
        return tuple(choice for choice in choices if choice in value)

    return Kind(f"a list of some of {', '.join(map(quoted, choices))}", parse, _show_list, _list_of)


def _list_of(text: str) -> object:
    return [part.strip() for part in text.split(",") if part.strip()]


def _show_list(value: Sequence[object]) -> str:
    return f"[{', '.join(quoted(item) for item in value)}]"
