"""The formats that regression cases are exported in. To add one, write its module and add its line to BUILT_IN."""

from __future__ import annotations

from unquiet.regression.formats.deepeval_test import DeepEvalTest
from unquiet.regression.formats.inspect_task import InspectTask
from unquiet.regression.formats.jsonl import Jsonl
from unquiet.regression.formats.promptfoo import Promptfoo
from unquiet.regression.formats.protocol import ExportFormat
from unquiet.regression.formats.pytest_module import PytestModule

BUILT_IN: tuple[ExportFormat, ...] = (
    Promptfoo(),
    InspectTask(),
    PytestModule(),
    DeepEvalTest(),
    Jsonl(),
)
