"""The tables of the configuration whose keys the user names: tokens, patterns, alerts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, cast

import re2

from unquiet.service.kinds import WrongValue, quoted, shown
from unquiet.service.reading import ACT_TOKEN, DOORS_TOKEN, READ_TOKEN, Reading, nearest
from unquiet.service.secrets import Secret, Token, check_token, secret_of, tokens_in
from unquiet.service.sections import ALERTS, SEVERITIES, SINKS, Alert, MinSeverity, Service

Right = Literal["read", "act"]

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NAMES = "a name of lower-case letters, digits, - and _, at most 63 of them"
SECRET_NAME = re.compile(r"(^|[_-])(token|key|password|passwd|secret|authorization|credentials?)$", re.IGNORECASE)
SECRET_URLS = frozenset({"slack"})
"""Kinds of receivers whose address is itself the secret."""

HOW = 'a secret does not stand in the file; write {} = {{ env = "NAME" }} or {{ file = "PATH" }}'


def door_tokens(reading: Reading) -> tuple[Token, ...]:
    """The tokens of `[doors.tokens]` and of UNQUIET_DOORS_TOKEN, whose source is called `env`."""
    tokens: list[Token] = []
    for name, table in _named(reading, "doors.tokens", reading.table("doors").get("tokens", {})):
        where = f"doors.tokens.{name}"
        if (isinstance(table, dict) and set(table) & {"token", "value", "secret"}) or isinstance(table, str):
            reading.wrong(
                where, 'a secret does not stand in the file; write env = "NAME" or file = "PATH" in its place'
            )
            continue
        secret = _secret(reading, where, table)
        if secret is not None:
            tokens += _checked(reading, where, Token(name, secret))
    given = reading.environ.get(DOORS_TOKEN, "").strip()
    if given:
        tokens += _checked(reading, DOORS_TOKEN, Token("env", Secret(given, DOORS_TOKEN)), in_file=False)
    return tuple(tokens)


def people_tokens(reading: Reading, service: Service, right: Right) -> tuple[Token, ...]:
    """The tokens of people who may read, or act: of `service.read_tokens_file` and UNQUIET_READ_TOKEN, or of their like."""
    tokens: list[Token] = []
    key, variable = f"{right}_tokens_file", READ_TOKEN if right == "read" else ACT_TOKEN
    path = service.read_tokens_file if right == "read" else service.act_tokens_file
    if path is not None:
        try:
            tokens += tokens_in(path, right)
        except WrongValue as problem:
            reading.problems.append(f"{reading.origins[f'service.{key}']}: service.{key}: {problem}")
            reading.bad.add("people")
    given = reading.environ.get(variable, "").strip()
    if given:
        tokens += _checked(reading, variable, Token(f"env-{right}", Secret(given, variable)), in_file=False)
    return tuple(tokens)


def _checked(reading: Reading, where: str, token: Token, *, in_file: bool = True) -> list[Token]:
    """The token, or nothing where it cannot be one."""
    try:
        check_token(token.secret)
    except WrongValue as problem:
        reading.bad.add("people" if where in (READ_TOKEN, ACT_TOKEN) else "doors.tokens")
        reading.problems.append(f"{reading.named}: {where}: {problem}" if in_file else f"{where}: {problem}")
        return []
    return [token]


def _secret(reading: Reading, where: str, reference: object) -> Secret | None:
    """The secret that a table names, None where it cannot be had, which is noted."""
    if isinstance(reference, dict) and isinstance(reference.get("env"), str):
        reading.referred.add(reference["env"])
    try:
        return secret_of(reference, reading.environ, reading.base)
    except WrongValue as problem:
        reading.wrong(where, str(problem))
        reading.bad.add(where.rpartition(".")[0])
        return None


def _named(reading: Reading, where: str, table: object) -> Iterator[tuple[str, object]]:
    """The entries of a table whose keys are names."""
    if not isinstance(table, dict):
        reading.wrong(where, f"got {shown(table)}; expected a table, which begins with [{where}.NAME]")
        return
    for name, value in table.items():
        if NAME.fullmatch(name):
            yield name, value
        else:
            reading.wrong(f"{where}.{name[:80]}", f"allowed: {NAMES}")


def redaction_patterns(reading: Reading) -> Mapping[str, str]:
    """The expressions of `[privacy.patterns]`."""
    found: dict[str, str] = {}
    for name, pattern in _named(reading, "privacy.patterns", reading.table("privacy").get("patterns", {})):
        why = _pattern_problem(pattern)
        if why:
            reading.wrong(f"privacy.patterns.{name}", f"got {shown(pattern)}{why}; allowed: an RE2 regular expression")
        else:
            found[name] = str(pattern)
    return MappingProxyType(found)


def content_sources(reading: Reading) -> Mapping[str, bool]:
    """The sources of `[privacy.content_of]`, and whether their content is taken."""
    found: dict[str, bool] = {}
    for name, value in _named(reading, "privacy.content_of", reading.table("privacy").get("content_of", {})):
        if isinstance(value, bool):
            found[name] = value
        else:
            reading.wrong(f"privacy.content_of.{name}", f"got {shown(value)}; allowed: true or false")
    return MappingProxyType(found)


def _pattern_problem(pattern: object) -> str | None:
    if not isinstance(pattern, str) or not pattern:
        return ""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        return f", {error.args[0].decode() if isinstance(error.args[0], bytes) else error}"
    return ", which matches the empty text" if compiled.search("") else None


def alerts(reading: Reading) -> tuple[Alert, ...]:
    """The receivers of `[alerts.NAME]`. What a kind knows is for its sink to say; here secrets are looked at."""
    found: list[Alert] = []
    for name, table in _named(reading, ALERTS, reading.raw.get(ALERTS, {})):
        where = f"{ALERTS}.{name}"
        if not isinstance(table, dict):
            reading.wrong(where, f"got {shown(table)}; expected a section, which begins with [{where}]")
            continue
        kind = table.get("kind")
        if not isinstance(kind, str) or not NAME.fullmatch(kind):
            got = "it is missing" if kind is None else f"got {shown(kind)}"
            reading.wrong(
                f"{where}.kind", f"{got}; allowed: a kind of receiver such as {', '.join(map(quoted, SINKS))}"
            )
            kind = ""
        least = _choice(reading, f"{where}.min_severity", table.get("min_severity", "info"), SEVERITIES)
        given = {key: value for key, value in table.items() if key not in ("kind", "min_severity")}
        options = {key: _option(reading, f"{where}.{key}", value, kind) for key, value in given.items()}
        if kind and least is not None:
            mapping = MappingProxyType[str, object](options)
            found.append(Alert(name, kind, cast("MinSeverity", least), mapping))
    return tuple(found)


def _choice(reading: Reading, where: str, value: object, choices: tuple[str, ...]) -> str | None:
    if isinstance(value, str) and value in choices:
        return value
    close = nearest(value, choices) if isinstance(value, str) else None
    got = "it is missing" if value is None else f"got {shown(value)}"
    hint = f"; the nearest is {quoted(close)}" if close else ""
    reading.wrong(where, f"{got}; allowed: {', '.join(map(quoted, choices))}{hint}")
    return None


def _option(reading: Reading, where: str, value: Any, kind: str) -> object:
    """An option, its secrets as references; what looks like a secret and stands in the file is noted and left out."""
    name = where.rpartition(".")[2]
    if isinstance(value, dict):
        if value and set(value) <= {"env", "file"}:
            return _reference(reading, where, value)
        return MappingProxyType({key: _option(reading, f"{where}.{key}", each, kind) for key, each in value.items()})
    if isinstance(value, list):
        return tuple(_option(reading, where, each, "") for each in value)
    is_secret = SECRET_NAME.search(name) or (kind in SECRET_URLS and name.endswith("url")) or _has_password(value)
    if is_secret and not isinstance(value, bool):
        reading.wrong(where, HOW.format(name))
        return None
    return value


def _reference(reading: Reading, where: str, table: dict[str, Any]) -> Mapping[str, object]:
    """A reference to a secret that can be had; the path of a file is absolute."""
    secret = _secret(reading, where, table)
    if secret is not None and "file" in table:
        return MappingProxyType({"file": secret.source})
    return MappingProxyType(table)


def _has_password(value: object) -> bool:
    return isinstance(value, str) and re.match(r"[a-z][a-z0-9+.-]*://[^/@\s]*@", value, re.IGNORECASE) is not None
