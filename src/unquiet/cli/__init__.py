"""The command line: `unquiet COMMAND`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unquiet.cli.running import main

if TYPE_CHECKING:
    from unquiet.cli.commands import unquiet

__all__ = ["main", "unquiet"]


def __getattr__(name: str) -> Any:
    """The group of commands, loaded when it is asked for: what it imports takes most of a second."""
    if name == "unquiet":
        from unquiet.cli.commands import unquiet

        return unquiet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
