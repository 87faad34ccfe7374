"""Secrets: they come from the environment or from files that only their owner can read, and are never shown."""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unquiet.service.kinds import WrongValue, path_of

MOST_BYTES = 1 << 16
OTHERS = stat.S_IRWXO
LEAST_CHARACTERS = 16
MAKE_ONE = "make one with `openssl rand -hex 32`"


class Secret:
    """A text that neither `repr`, `str` nor an error shows. `source` says where it came from."""

    __slots__ = ("_text", "source")

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self.source = source

    def reveal(self) -> str:
        """The text itself: for the header or message that it belongs in, never for a log."""
        return self._text

    def __repr__(self) -> str:
        """Where it came from."""
        return f"Secret(from {self.source})"

    def __eq__(self, other: object) -> bool:
        """Whether both are the same text, compared in a time that tells nothing of it."""
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        """By the text."""
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token. `name` says whose it is: at the doors it is the source that bodies are marked with."""

    name: str
    secret: Secret


def read_private(path: Path) -> str:
    """The text of a file that holds a secret.

    Raises:
        WrongValue: it cannot be read, is no text, is empty, or others can read it.
    """
    try:
        if not path.is_file():
            raise WrongValue(f"{path} is {'no file' if path.exists() else 'not there'}")
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & OTHERS:
                raise WrongValue(
                    f"{path} is open to everybody (mode {stat.S_IMODE(mode):04o}): run `chmod o-rwx {path}`"
                )
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise WrongValue(f"{path} is larger than {MOST_BYTES} bytes")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise WrongValue(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongValue(f"{path} is no text") from None
    if not text.strip():
        raise WrongValue(f"{path} is empty")
    return text


def secret_of(reference: object, environ: Mapping[str, str], base: Path) -> Secret:
    """The secret that `{file = PATH}` or `{env = NAME}` names; relative paths start at `base`.

    Raises:
        WrongValue: it is no such table, or the secret is not there, empty, or open to others.
    """
    table = reference if isinstance(reference, dict) else {}
    name, place = table.get("env"), table.get("file")
    if isinstance(name, str) and name and set(table) == {"env"}:
        found = environ.get(name, "").strip()
        if not found:
            raise WrongValue(f"the environment variable {name} is {'empty' if name in environ else 'not set'}")
        return Secret(found, name)
    if isinstance(place, str) and place and set(table) == {"file"}:
        path = (base / path_of(place)).absolute()
        lines = read_private(path).strip().splitlines()
        if len(lines) != 1:
            raise WrongValue(f"{path} has {len(lines)} lines, one secret is one line")
        return Secret(lines[0].strip(), str(path))
    raise WrongValue('a secret is named by file = "PATH" or env = "NAME", one of them', hide=True)


def check_token(secret: Secret) -> None:
    """See that a secret can be a bearer token.

    Raises:
        WrongValue: it is short, or holds what a header cannot carry.
    """
    text = secret.reveal()
    if len(text) < LEAST_CHARACTERS:
        raise WrongValue(f"the token from {secret.source} is shorter than {LEAST_CHARACTERS} characters: {MAKE_ONE}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise WrongValue(f"the token from {secret.source} has spaces or other characters than ASCII: {MAKE_ONE}")


def tokens_in(path: Path, unnamed: str) -> tuple[Token, ...]:
    """The tokens of a file: one a line, `TOKEN` or `NAME TOKEN`; empty lines and those that begin with # are left out.

    A token without a name is called `unnamed`.

    Raises:
        WrongValue: the file cannot be used, a line is not of that form, or a token cannot be one.
    """
    tokens: list[Token] = []
    for number, line in enumerate(read_private(path).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) > 2:
            raise WrongValue(f"{path}, line {number}: expected TOKEN or NAME TOKEN")
        secret = Secret(words[-1], f"{path}, line {number}")
        check_token(secret)
        tokens.append(Token(words[0] if len(words) == 2 else unnamed, secret))
    if not tokens:
        raise WrongValue(f"{path} holds no token")
    return tuple(tokens)
