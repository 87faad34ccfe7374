"""Drills: known silent failures, put into recorded sessions.

A failure follows the protocol `unquiet.model.drills.Failure`, stands in the file of its family (most are one of `kinds`), and
has a line in `FAILURES`; a documented incident is a line in `presets.PRESETS`.
"""

from __future__ import annotations

from unquiet.drills import answers, controls, formats, lengths, refusals, served, tools, users
from unquiet.drills.dosing import choose_slice, reach, sessions_of, touched
from unquiet.drills.presets import PRESETS
from unquiet.drills.undrilled import UNDRILLED
from unquiet.model.drills import Failure

__all__ = ["FAILURES", "PRESETS", "UNDRILLED", "choose_slice", "reach", "sessions_of", "touched"]

FAILURES: tuple[Failure, ...] = (
    refusals.REFUSAL,
    refusals.POLICY,
    refusals.CAPABILITY,
    refusals.ABSTENTION,
    refusals.RefusalsStop(),
    answers.HAND_OFF,
    answers.DEFLECTION,
    answers.STALE_RETRIEVAL,
    answers.SYCOPHANCY,
    answers.DOUBT,
    answers.LECTURE,
    answers.OTHER_TONE,
    answers.FOREIGN_SCRIPT,
    answers.WRONG_LANGUAGE,
    answers.Yesterday(),
    lengths.TRUNCATION,
    lengths.LENGTH_CAP,
    lengths.LAZY,
    lengths.SMALLER_MODEL,
    lengths.WIDER_SPREAD,
    lengths.LESS_THOUGHT,
    lengths.REPETITION,
    lengths.EMPTY,
    formats.CODE_FENCES,
    formats.BROKEN_JSON,
    formats.HEADINGS,
    formats.JSON_ANSWERS,
    tools.TOOLS_DROPPED,
    tools.TOOLS_PROMISED,
    tools.TOOL_ERROR_NARRATED,
    tools.TOOL_ERRORS,
    tools.TOOL_LOOP,
    tools.CLARIFY_RUNS,
    served.WITHHELD,
    served.LIMIT,
    served.FALLBACK_MODEL,
    served.TEXT_LOST,
    served.PROMPT_GROWS,
    users.PushBack(),
    users.GiveUp(),
    controls.MixShift(),
    controls.VolumeSurge(),
    controls.Weekend(),
    controls.NewLanguage(),
    controls.HarmlessDeploy(),
    controls.NothingChanges(),
)
