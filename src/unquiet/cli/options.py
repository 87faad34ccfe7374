"""Options that several commands have."""

from __future__ import annotations

import getpass
import os
import shlex
from pathlib import Path

import click

from unquiet.app.folders import known_folder
from unquiet.model.errors import ConfigError, StoreError


def _named(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path | None:
    """The folder; an empty name, mostly that of a variable that is not set, would mean the current one."""
    if value == "":
        raise ConfigError("--db '': expected a folder. Name one, or leave --db out for the last scan of this folder.")
    return None if value is None else Path(value)


def found_at(folder: Path) -> str:
    """The option by which a command finds the folder; empty where it does without."""
    named = os.environ.get("UNQUIET_DB")
    try:
        plain = Path(named) if named else known_folder(None)
    except StoreError:
        plain = None
    return "" if plain is not None and plain.resolve() == folder.resolve() else f" --db {shlex.quote(str(folder))}"


def who() -> str:
    """The name of the user of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


read_db = click.option(
    "--db", metavar="PATH", envvar="UNQUIET_DB", callback=_named, help="Folder of a scan or service; default: the last."
)
keep_db = click.option(
    "--db", metavar="PATH", envvar="UNQUIET_DB", callback=_named, help="Folder to keep and continue."
)
