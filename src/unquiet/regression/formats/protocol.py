"""What a format of regression cases is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from unquiet.regression.suite import Suite


class ExportFormat(Protocol):
    """Writes a suite as files that a tool runs."""

    @property
    def name(self) -> str:
        """What it is asked for by."""
        ...

    @property
    def suffix(self) -> str:
        """How the name of its file ends, for example `.jsonl`; empty where it is a folder of several."""
        ...

    def files(self, suite: Suite) -> Mapping[str, str]:
        """The texts of its files by name; of a format with a suffix one, whose name does not matter."""
        ...
