"""Who may read and act: tokens by name, cookies made from them, and the names under which the service may be called."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
COOKIE = "unquiet"
COOKIE_S = 12 * 3600


@dataclass(frozen=True, slots=True)
class Reader:
    """Who sent a request. `name` is that of the token, empty where no tokens are set; `bearer`: not by cookie."""

    name: str
    may_act: bool
    bearer: bool


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of access. Tokens go by name and never appear in a text, a log or a `repr`.

    `read_tokens` may read; they may act as well where `act_tokens` is empty. `act_tokens` may do both. Without any token
    everybody who reaches the port may do everything. `hosts` are the names, without port, under which the service is called
    besides the loopback names. `tls`: people reach it by HTTPS.
    """

    read_tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    act_tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    hosts: tuple[str, ...] = ()
    tls: bool = False

    @property
    def needed(self) -> bool:
        """Whether a token is asked for."""
        return bool(self.read_tokens or self.act_tokens)

    @property
    def cookie(self) -> str:
        """The name of the cookie; under TLS browsers take it from this host alone."""
        return f"__Host-{COOKIE}" if self.tls else COOKIE

    def by_token(self, token: str) -> Reader | None:
        """Who has this token. The time that it takes says nothing about the tokens."""
        given = _digest(token)
        found: str | None = None
        for name, right in (*self.read_tokens.items(), *self.act_tokens.items()):
            if hmac.compare_digest(given, _digest(right)):
                found = name
        return None if found is None else Reader(found, self._acts(found), bearer=True)

    def by_cookie(self, value: str, now_us: int) -> Reader | None:
        """Who got this cookie, while it is valid and the token still there."""
        parts = value.split(".")
        if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdigit()) or len(parts[1]) > 12:
            return None
        try:
            name = base64.urlsafe_b64decode(parts[0].encode()).decode()
        except (binascii.Error, UnicodeError, ValueError):
            return None
        right = self.act_tokens.get(name) or self.read_tokens.get(name)
        if right is None or not hmac.compare_digest(_sealed(name, int(parts[1]), right).encode(), value.encode()):
            return None
        return Reader(name, self._acts(name), bearer=False) if int(parts[1]) * 1_000_000 > now_us else None

    def cookie_for(self, reader: Reader, now_us: int) -> str:
        """A cookie's value for a reader, valid for COOKIE_S seconds; the token cannot be told from it."""
        right = self.act_tokens.get(reader.name) or self.read_tokens[reader.name]
        return _sealed(reader.name, now_us // 1_000_000 + COOKIE_S, right)

    def allows_host(self, host: str) -> bool:
        """Whether a Host header names this service; its port is not looked at."""
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdigit() or port.endswith("]"):
            name = host
        name = name.lower().rstrip(".")
        return name in LOOPBACK or name in {own.lower().rstrip(".") for own in self.hosts}

    def _acts(self, name: str) -> bool:
        return name in self.act_tokens if self.act_tokens else True


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _sealed(name: str, until_s: int, token: str) -> str:
    text = f"{base64.urlsafe_b64encode(name.encode()).decode()}.{until_s}"
    return f"{text}.{hmac.new(_digest('cookie of ' + token), text.encode(), 'sha256').hexdigest()}"
