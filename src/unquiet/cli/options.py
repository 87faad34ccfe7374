"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

from unquiet.model.errors import ConfigError


def _named(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path | None:
    """The folder; an empty name, mostly that of a variable that is not set, would mean the current one."""
    if value == "":
        raise ConfigError("--db '': expected a folder. Name one, or leave --db out for the last scan of this folder.")
    return None if value is None else Path(value)


read_db = click.option(
    "--db", metavar="PATH", envvar="UNQUIET_DB", callback=_named, help="Folder of an earlier scan; default: the last."
)
keep_db = click.option(
    "--db", metavar="PATH", envvar="UNQUIET_DB", callback=_named, help="Folder to keep and continue."
)
