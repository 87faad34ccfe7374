"""Drills: known silent failures, put into recorded sessions.

A failure is one class of the protocol `unquiet.model.drills.Failure` in the file of its family, and a line in `FAILURES`; a
documented incident is a line in `presets.PRESETS`.
"""

from __future__ import annotations

from unquiet.drills.dosing import choose_slice, sessions_of, touched
from unquiet.drills.formats import CodeFences
from unquiet.drills.presets import PRESETS
from unquiet.drills.refusals import Refusal
from unquiet.drills.tools import ToolsDropped
from unquiet.drills.truncation import Truncation
from unquiet.model.drills import Failure

__all__ = ["FAILURES", "PRESETS", "choose_slice", "sessions_of", "touched"]

FAILURES: tuple[Failure, ...] = (Refusal(), ToolsDropped(), Truncation(), CodeFences())
