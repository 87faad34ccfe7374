"""From a file and the environment to values: every mistake is noted, none ends the reading."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unquiet.model.errors import ConfigError
from unquiet.model.wording import counted
from unquiet.service.kinds import Kind, WrongValue, shown
from unquiet.service.sections import ALERTS, SECTIONS, keys_of, variable

PREFIX = "UNQUIET_"
READ_TOKEN, ACT_TOKEN, DOORS_TOKEN = "UNQUIET_READ_TOKEN", "UNQUIET_ACT_TOKEN", "UNQUIET_DOORS_TOKEN"
FOLDER, CONFIG = "UNQUIET_DB", "UNQUIET_CONFIG"
OURS = frozenset({READ_TOKEN, ACT_TOKEN, DOORS_TOKEN, FOLDER, CONFIG})
KUBERNETES = re.compile(r"UNQUIET_SERVICE_(HOST|PORT(_.*)?)")
"""Set in every pod beside a Service that is called unquiet; they are no keys of `[service]`."""

MOST_BYTES = 1 << 20
DEFAULT = "default"
ONLY_THERE = {
    ("service", "read_token"): f"a secret does not stand in the file: set {READ_TOKEN} in the environment, or `read_tokens_file`",
    ("service", "act_token"): f"a secret does not stand in the file: set {ACT_TOKEN} in the environment, or `act_tokens_file`",
    ("doors", "token"): f"a secret does not stand in the file: set {DOORS_TOKEN}, or write [doors.tokens.NAME] with file or env",
}  # fmt: skip


@dataclass(slots=True)
class Reading:
    """What was given, and what is wrong with it.

    `raw` is the file's content, `base` where its relative paths start, `named` what errors call it. `origins` says of
    every key where its value came from, `bad` holds the keys that were given wrong, `referred` the variables that were named
    as holders of secrets.
    """

    environ: Mapping[str, str]
    raw: Mapping[str, Any] = field(default_factory=dict[str, Any])
    base: Path = field(default_factory=Path)
    named: str = "unquiet.toml"
    problems: list[str] = field(default_factory=list[str])
    origins: dict[str, str] = field(default_factory=dict[str, str])
    bad: set[str] = field(default_factory=set[str])
    referred: set[str] = field(default_factory=set[str])

    def wrong(self, where: str, why: str) -> None:
        """Note a mistake of the file at a key path, once."""
        problem = f"{self.named}: {where}: {why}"
        if problem not in self.problems:
            self.problems.append(problem)

    def table(self, section: str) -> dict[str, Any]:
        """The section as it stands in the file, empty where it is not there or no table."""
        found = self.raw.get(section, {})
        if not isinstance(found, dict):
            self.wrong(section, f"got {shown(found)}; expected a section, which begins with [{section}]")
            return {}
        return found

    def check(self) -> None:
        """End the reading where something is wrong.

        Raises:
            ConfigError: it lists all that is.
        """
        if self.problems:
            count = counted(len(self.problems), "setting")
            verb = "is" if len(self.problems) == 1 else "are"
            raise ConfigError(f"{count} {verb} wrong:\n" + "\n".join(f"  {problem}" for problem in self.problems))


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ConfigError: it cannot be read or is no TOML.
    """
    try:
        if not path.is_file():
            what = "is a folder, name the file in it" if path.is_dir() else "is not there"
            raise ConfigError(f"{path}: the configuration {what}. Leave it out to run with the defaults.")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError(f"{path}: larger than {MOST_BYTES} bytes, which no configuration is. Name another file.")
        return tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}. Texts stand in quotes, sections in [brackets].") from None


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like `name`, None where none is."""
    close = difflib.get_close_matches(name.lower(), list(known), 1, cutoff)
    return close[0] if close else None


def unknown_key(section: str, name: str) -> str:
    """What to say of a key that a section does not have."""
    if (section, name) in ONLY_THERE:
        return ONLY_THERE[section, name]
    homes = [f"[{other}]" for other in SECTIONS if other != section and name in keys_of(other)]
    if homes:
        return f"no such key; it belongs to {' or '.join(homes)}"
    known = keys_of(section)
    close = nearest(name, known)
    return f"no such key; {f'the nearest is {close}' if close else 'there are ' + ', '.join(known)}"


def values_of(reading: Reading, section: str) -> dict[str, Any]:
    """The values that the file and the environment give for the plain keys of a section; the environment wins."""
    given, values = reading.table(section), dict[str, Any]()
    known = keys_of(section)
    for name in given:
        if name not in known:
            reading.wrong(f"{section}.{name}", unknown_key(section, name))
    for name, key in known.items():
        if key.kind is None:
            continue
        where = f"{section}.{name}"
        reading.origins[where] = DEFAULT
        if name in given:
            place = key.kind.place
            for found in _parsed(reading, where, key.kind, given[name], f"{reading.named}: {where}"):
                values[name] = place(found, reading.base) if place else found
            reading.origins[where] = reading.named
        for source in variables_of(section, name):
            text = reading.environ.get(source, "")
            # An empty variable is one that is not set: compose files and units pass them on like that.
            if text.strip():
                for found in _parsed(reading, where, key.kind, key.kind.from_text(text), source):
                    values[name] = found
                reading.origins[where] = source
    return values


def variables_of(section: str, name: str) -> tuple[str, ...]:
    """The variables that set a key; the last one wins."""
    own = variable(section, name)
    return (FOLDER, own) if (section, name) == ("service", "folder") else (own,)


def _parsed(reading: Reading, where: str, kind: Kind[Any], value: object, source: str) -> list[Any]:
    """The value, or nothing where it is wrong, which is noted."""
    try:
        return [kind.parse(value)]
    except WrongValue as problem:
        got = "" if problem.hide else f"got {shown(value)}"
        said = ", ".join(filter(None, (got, str(problem)))) or "cannot be understood"
        reading.problems.append(f"{source}: {said}; allowed: {kind.allowed}")
        reading.bad.add(where)
        return []


def check_sections(reading: Reading) -> None:
    """Note what stands at the top of the file and is no section."""
    known = [*SECTIONS, ALERTS]
    for name, value in reading.raw.items():
        if name in known:
            continue
        homes = [f"[{section}]" for section in SECTIONS if name in keys_of(section)]
        close = nearest(name, known)
        if homes and not isinstance(value, dict):
            reading.wrong(name, f"it belongs to {' or '.join(homes)}")
        else:
            said = f"the nearest is [{close}]" if close else "there are " + ", ".join(f"[{each}]" for each in known)
            reading.wrong(name, f"no such section; {said}")


def check_variables(reading: Reading) -> tuple[str, ...]:
    """Note variables that look like settings and are none; the other `UNQUIET_` variables that nothing uses, by name."""
    known = {
        variable(section, name)
        for section in SECTIONS
        for name, key in keys_of(section).items()
        if key.kind is not None
    }
    folders = {name for name in variables_of("service", "folder") if reading.environ.get(name, "").strip()}
    if len({reading.environ[name] for name in folders}) > 1 and reading.origins["service.folder"] in folders:
        reading.problems.append(f"{' and '.join(sorted(folders))} name different folders: set one of them")
    unused: list[str] = []
    for name in sorted(reading.environ):
        ours = name in known | OURS | reading.referred
        if not name.startswith(PREFIX) or ours or KUBERNETES.fullmatch(name):
            continue
        why = _variable_problem(name)
        if why is None:
            unused.append(name)
        else:
            reading.problems.append(f"{name}: {why}")
    return tuple(unused)


def _variable_problem(name: str) -> str | None:
    section, _, key = name.removeprefix(PREFIX).lower().partition("_")
    if section == ALERTS or (section in SECTIONS and _is_table(section, key)):
        return "tables come from the file only; there a secret may name a variable with env"
    if section in SECTIONS:
        close = nearest(key, (each for each, known in keys_of(section).items() if known.kind is not None))
        return f"no such key in [{section}]{f'; the nearest is {variable(section, close)}' if close else ''}"
    close = nearest(section, SECTIONS, 0.75)
    return f"no such section; the nearest is {PREFIX}{close.upper()}_..." if close else None


def _is_table(section: str, key: str) -> bool:
    return any(known.kind is None and key.startswith(name) for name, known in keys_of(section).items())
