"""User ids as keyed hashes: the same id gives the same hash in one folder, and nobody without its key can try ids out."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from unquiet.model.errors import ConfigError

KEY_FILE = "privacy.key"
KEY_BYTES = 32
HASH_BYTES = 16
_HASHED = re.compile(r"u_[0-9a-f]{32}")


class UserHasher:
    """Ids as keyed BLAKE2b (RFC 7693), 16 bytes in hexadecimal digits after `u_`.

    Something that is such a hash already stays as it is, so that traffic may be cleaned twice.
    """

    def __init__(self, key: bytes) -> None:
        if not 16 <= len(key) <= 64:
            raise ConfigError(
                f"the key of user ids has {len(key)} bytes; expected 16 to 64. Use the folder's {KEY_FILE}."
            )
        self._key = key

    def __call__(self, user: str) -> str:
        """The hash of an id."""
        if _HASHED.fullmatch(user):
            return user
        data = user.encode("utf-8", "surrogatepass")
        return "u_" + blake2b(data, key=self._key, digest_size=HASH_BYTES).hexdigest()


def folder_key(folder: Path, *, random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """The key of a folder, made once: `privacy.key`, readable by its owner only. `random` gives so many random bytes.

    Raises:
        ConfigError: others may read or write the file, it is no key, or it cannot be read or made.
    """
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _make(path, random(KEY_BYTES))
        return _read(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be used ({error.strerror or error}). It is the key of hashed user ids: let the user that runs "
            "unquiet own and read it, or choose another folder."
        ) from error


def _make(path: Path, key: bytes) -> None:
    """Write the key so that it is there in full or not at all, whoever else makes one at the same time."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(number, "w", encoding="ascii") as handle:
            handle.write(key.hex() + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        if not path.exists():
            _name(part, path)
    finally:
        part.unlink(missing_ok=True)


def _name(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        return  # another process was faster: its key is the folder's
    if os.name != "nt":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path) -> bytes:
    with path.open("rb") as handle:
        mode = os.fstat(handle.fileno()).st_mode
        text = handle.read(1024)
    if os.name != "nt" and mode & 0o077:
        raise ConfigError(
            f"{path} may be used by others than its owner (permissions {stat.S_IMODE(mode):03o}); expected 600. It is the "
            f"key of hashed user ids: run `chmod 600 {path}`, and think of it as known to those who could read it."
        )
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"{path} is no key: expected {2 * KEY_BYTES} hexadecimal digits. Restore it from a backup; with another key the "
            "same user gets another hash from now on. To begin with a new one, remove the file."
        )
    return key
