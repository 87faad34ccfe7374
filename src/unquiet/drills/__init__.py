"""Drills: known silent failures, put into recorded sessions.

A failure is one class of the protocol `unquiet.model.drills.Failure` in the file of its family, and a line in `FAILURES`; a
documented incident is a line in `presets.PRESETS`.
"""

from __future__ import annotations

from unquiet.drills import answers, controls, formats, lengths, refusals, tools
from unquiet.drills.dosing import choose_slice, reach, sessions_of, touched
from unquiet.drills.presets import PRESETS
from unquiet.model.drills import Failure

__all__ = ["FAILURES", "PRESETS", "choose_slice", "reach", "sessions_of", "touched"]

FAILURES: tuple[Failure, ...] = (
    refusals.Refusal(),
    answers.HandOff(),
    answers.Deflection(),
    answers.StaleRetrieval(),
    answers.Sycophancy(),
    answers.ForeignScript(),
    answers.WrongLanguage(),
    answers.Yesterday(),
    answers.RefusalsStop(),
    lengths.Truncation(),
    lengths.LengthCap(),
    lengths.Lazy(),
    lengths.SmallerModel(),
    lengths.WiderSpread(),
    lengths.LessThought(),
    formats.CodeFences(),
    formats.BrokenJson(),
    tools.ToolsDropped(),
    tools.ToolsPromised(),
    tools.ToolErrorNarrated(),
    tools.ToolLoop(),
    tools.ClarifyRuns(),
    controls.MixShift(),
    controls.VolumeSurge(),
    controls.HarmlessDeploy(),
    controls.NothingChanges(),
)
