"""Errors that a person can act on: what was got, what is allowed, what to do next."""

from __future__ import annotations

from typing import Literal


class UnquietError(Exception):
    """An error whose text is meant for the user; the command line prints it and exits with 2."""


class UnreadableSource(UnquietError):
    """A path that no door can read at all."""


class StoreError(UnquietError):
    """The folder cannot be opened, written or understood."""


class ConfigError(UnquietError):
    """One or more settings are wrong; the text lists all of them."""


class WalError(UnquietError):
    """The write-ahead log could not take or give a body; nothing that it did not take was acknowledged."""


class WalFull(WalError):
    """There is no room in the write-ahead log now; the same body may be taken later.

    `bound` is what was reached: "undrained" (too much waits to be counted) or "disk" (too little is free).
    """

    def __init__(self, text: str, bound: Literal["undrained", "disk"]) -> None:
        super().__init__(text)
        self.bound: Literal["undrained", "disk"] = bound


class DoorError(UnquietError):
    """A door cannot be opened, or has died."""
