"""The options of one sink as its configuration gives them: read one by one, all that is wrong is told at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast
from urllib.parse import urlsplit

from unquiet.model.errors import ConfigError

_HARMLESS_URL = "http://127.0.0.1/"
_GIVEN_AS = '{"env": "NAME"} or {"file": "path"}'


class Options:
    """Reads options and collects what is wrong with them.

    Every method returns something usable also where the option is wrong or missing, so that one pass finds everything;
    `check()` then raises. A value that may be secret is in no message.
    """

    def __init__(self, kind: str, name: str, values: Mapping[str, object], secrets: Callable[[str], str]) -> None:
        self.kind, self.name = kind, name
        self._values, self._secrets = values, secrets
        self._read: set[str] = set()
        self._errors: list[str] = []

    def wrong(self, key: str, text: str) -> None:
        """Note that an option is wrong; `text` says what was got and what is allowed."""
        self._errors.append(f"{key}: {text}")

    def check(self) -> None:
        """Raise what was found.

        Raises:
            ConfigError: an option is wrong, missing or unknown; the text lists all of them.
        """
        known = ", ".join(sorted(self._read))
        unknown = [f"{key}: no such option, expected some of {known}" for key in self._values if key not in self._read]
        errors = [*self._errors, *unknown]
        if errors:
            listed = "".join(f"\n  {error}" for error in errors)
            raise ConfigError(f"alert sink {self.name!r} ({self.kind}) has wrong options:{listed}")

    def text(self, key: str, default: str | None = None) -> str:
        """A text of printable characters; without a default it has to be there and not empty."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value
        self._expected(key, value, "a text without line breaks")
        return default or "-"

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of such texts; one text is a list of one. Without a default it has to be there and not empty."""
        value = self._get(key)
        if value is None and default is not None:
            return tuple(default)
        listed = [value] if isinstance(value, str) else value
        if isinstance(listed, (list, tuple)) and (listed or default is not None):
            items = cast("Sequence[object]", listed)
            found = [item for item in items if isinstance(item, str) and item.strip() and item.isprintable()]
            if len(found) == len(items):
                return tuple(found)
        self._expected(key, value, "a list of texts without line breaks")
        return tuple(default or ())

    def choice(self, key: str, allowed: Sequence[str], default: str) -> str:
        """One of the allowed words."""
        value = self._get(key)
        if value is None or value in allowed:
            return default if value is None else str(value)
        self._expected(key, value, f"one of {', '.join(allowed)}")
        return default

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        self._expected(key, value, f"a number from {low:g} to {high:g}")
        return default

    def secret(self, key: str) -> str:
        """A secret that has to be there; what it is shows in no message."""
        found = self.secret_or_none(key)
        if found is None and key not in self._values:
            self.wrong(key, f"missing. Give it as {_GIVEN_AS}")
        return found or "-"

    def secret_or_none(self, key: str) -> str | None:
        """A secret, None where it is not given or wrong."""
        value = self._get(key)
        if value is None:
            return None
        reference = _reference(value)
        if reference is None:
            self.wrong(key, f"a secret does not stand in the configuration. Give it as {_GIVEN_AS}")
            return None
        try:
            found = self._secrets(reference)
        except ConfigError as error:
            self.wrong(key, str(error))
            return None
        if not found or not found.isascii() or not found.isprintable():
            self.wrong(key, f"what {reference} holds is empty, or has line breaks or letters outside of ASCII")
            return None
        return found

    def url(self, key: str, default: str | None = None, *, plain: bool = False) -> str:
        """An http or https address. Without `plain`, http is only taken on this machine."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            self._expected(key, value, "an address such as https://example.com/path")
            return default or _HARMLESS_URL
        return self._checked(key, value, plain)

    def secret_url(self, key: str, *, literal: bool = False, plain: bool = False) -> str:
        """An address that is a secret itself; `literal` where it may also stand in the configuration."""
        if literal and isinstance(self._values.get(key), str):
            return self.url(key, plain=plain)
        found = self.secret(key)
        return self._checked(key, found, plain) if found != "-" else _HARMLESS_URL

    def _checked(self, key: str, text: str, plain: bool) -> str:
        problem = _wrong_url(text, plain)
        if problem is None:
            return text
        self.wrong(key, problem)
        return _HARMLESS_URL

    def _get(self, key: str) -> object:
        self._read.add(key)
        return self._values.get(key)

    def _expected(self, key: str, value: object, what: str) -> None:
        if value is None:
            self.wrong(key, f"missing, expected {what}")
            return
        # The value itself is not repeated: a secret may have been put in the wrong place.
        self.wrong(key, f"got {_described(value)}, expected {what}")


def is_loopback(host: str) -> bool:
    """Whether what is sent to this host stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _described(value: object) -> str:
    if isinstance(value, (bool, int, float)):
        return str(value)
    return f"a text of {len(value)} characters" if isinstance(value, str) else f"a {type(value).__name__}"


def _reference(value: object) -> str | None:
    """`env:NAME` or `file:PATH` of `{"env": "NAME"}` or `{"file": "path"}`; None for anything else."""
    if not isinstance(value, Mapping):
        return None
    items = cast("Mapping[object, object]", value)
    if len(items) != 1:
        return None
    ((way, where),) = items.items()
    return f"{way}:{where}" if way in ("env", "file") and isinstance(where, str) and where else None


def _wrong_url(text: str, plain: bool) -> str | None:
    """What is wrong with an address, without repeating it; None if nothing is."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        _ = parts.port, host.encode("idna")
    except ValueError:
        return "is no address that can be read, expected one such as https://example.com/path"
    if parts.username is not None or parts.password is not None:
        return "holds a user or password; give them as options of their own, or the whole address as a secret"
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch(r"[!-~]+", text) or parts.fragment:
        return "expected an http or https address such as https://example.com/path"
    if parts.scheme == "http" and not plain and not is_loopback(host):
        return "http would send it readable over the network; expected https"
    return None
