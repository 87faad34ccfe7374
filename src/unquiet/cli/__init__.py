"""The command line: `unquiet COMMAND`."""

from unquiet.cli.commands import main, unquiet

__all__ = ["main", "unquiet"]
