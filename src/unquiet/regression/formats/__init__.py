"""The formats that regression cases are exported in. To add one, write its module and add its line to BUILT_IN."""

from __future__ import annotations

from unquiet.regression.formats.jsonl import Jsonl
from unquiet.regression.formats.protocol import ExportFormat
from unquiet.regression.formats.pytest_module import PytestModule

BUILT_IN: tuple[ExportFormat, ...] = (
    Jsonl(),
    PytestModule(),
)
