"""Errors that a person can act on: what was got, what is allowed, what to do next."""

from __future__ import annotations


class UnquietError(Exception):
    """An error whose text is meant for the user; the command line prints it and exits with 2."""


class UnreadableSource(UnquietError):
    """A path that no door can read at all."""


class StoreError(UnquietError):
    """The folder cannot be opened, written or understood."""


class ConfigError(UnquietError):
    """One or more settings are wrong; the text lists all of them."""
