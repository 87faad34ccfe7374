"""Who may send: tokens, compared in constant time and never said again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

DENIED = (
    "A token is needed and this one is missing or unknown. Send `Authorization: Bearer TOKEN` or `x-api-key: TOKEN` "
    "with a token of the configuration."
)
CHALLENGE = 'Bearer realm="unquiet"'


class Access:
    """The tokens of the doors; without any, everybody may send."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """`tokens` maps each token to the name of its source. ValueError where one is empty."""
        if "" in tokens:
            raise ValueError("An empty token was given. A token needs at least one character; 32 random ones are good.")
        self._sources = [(_digest(token), source) for token, source in tokens.items()]

    def source_of(self, authorization: str | None, api_key: str | None) -> str | None:
        """The source that a request comes from: empty where no tokens are asked for, None where it may not be taken."""
        if not self._sources:
            return ""
        found: str | None = None
        for presented in (_token(authorization), api_key):
            if presented:
                digest = _digest(presented)
                for known, source in self._sources:
                    # Every token is compared, so that the time says nothing about which one matched.
                    if hmac.compare_digest(digest, known):
                        found = source
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _token(authorization: str | None) -> str | None:
    """What an Authorization header holds: a bearer token, or the password of Basic, as Langfuse clients send it."""
    scheme, _, value = (authorization or "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(value, validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return None
    return pair.partition(":")[2]
