"""Where secrets are: the environment or a file, never the configuration itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from unquiet.model.errors import ConfigError

MOST_BYTES = 65_536


def secret_reader(environ: Mapping[str, str], folder: Path) -> Callable[[str], str]:
    """What `make_sink` takes as `secrets`: the secret behind `env:NAME` or `file:PATH`.

    A relative path starts at `folder`, the one of the configuration file. White space around a secret is dropped, since
    files end with a line break. The reader raises ConfigError, whose text says where it looked and never what it found.
    """

    def read(reference: str) -> str:
        way, _, where = reference.partition(":")
        if way == "env":
            value = environ.get(where, "").strip()
            if not value:
                raise ConfigError(f"the environment variable {where} is not set or empty. Set it before the start")
            return value
        return _from_file(folder / where)

    return read


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ConfigError(
            f"the secret file {path} cannot be read: {reason}. Check the path and its permissions"
        ) from error
    if len(data) > MOST_BYTES:
        raise ConfigError(f"the secret file {path} has more than {MOST_BYTES} bytes; it is not a secret")
    value = data.decode("utf-8", "replace").strip()
    if not value:
        raise ConfigError(f"the secret file {path} is empty. Write the secret into it")
    return value
