"""Behaviour signals: what is measured on every turn and session, without calling a model.

Each module holds one family of signals. To add one, write its module and add its line to a tuple below.
"""

from __future__ import annotations

import pyarrow as pa

from unquiet.model.signals import (
    CategorySignal,
    FloatArray,
    SessionBatch,
    SessionCategorySignal,
    SessionSignal,
    SignalInfo,
    TurnBatch,
    TurnSignal,
)
from unquiet.signals import (
    actions,
    capture,
    deflection,
    finish,
    kinds,
    language,
    levels,
    loops,
    models,
    numbers,
    refusal,
    repetition,
    scripts,
    sessions,
    shortness,
    structure,
    surprisal,
    tone,
    tool_paths,
    tools,
    users,
)
from unquiet.signals.measuring import label_sessions_with, measure_sessions_with, measure_turns_with

TURN_SIGNALS: tuple[TurnSignal, ...] = (
    *refusal.SIGNALS,
    *deflection.SIGNALS,
    *tone.SIGNALS,
    *finish.SIGNALS,
    *shortness.SIGNALS,
    *repetition.SIGNALS,
    *language.SIGNALS,
    *scripts.SIGNALS,
    *structure.SIGNALS,
    *actions.SIGNALS,
    *tools.SIGNALS,
    *numbers.SIGNALS,
    *users.SIGNALS,
    *models.SIGNALS,
    *capture.SIGNALS,
)

CATEGORY_SIGNALS: tuple[CategorySignal, ...] = (
    *kinds.CATEGORIES,
    *levels.CATEGORIES,
    *language.CATEGORIES,
    *finish.CATEGORIES,
    *tools.CATEGORIES,
)

SESSION_CATEGORY_SIGNALS: tuple[SessionCategorySignal, ...] = (
    *tool_paths.SESSION_CATEGORIES,
    *kinds.SESSION_CATEGORIES,
)

SESSION_SIGNALS: tuple[SessionSignal, ...] = (
    *sessions.SIGNALS,
    *loops.SIGNALS,
)

HISTORY_SIGNALS: tuple[SignalInfo, ...] = (surprisal.SURPRISAL,)
"""Signals of sessions that need the sessions before them: the chain measures them once it has learned."""


def measure_turns(batch: TurnBatch) -> tuple[dict[str, FloatArray], dict[str, pa.ListArray], dict[str, int]]:
    """Readings, category labels and failed turns of every built-in turn signal, by signal name.

    Readings are float64 of shape (len(batch),), NaN where a signal does not apply; labels are list<string> of
    the same length, null where a category does not apply. A signal that raised has NaN (null) everywhere and
    the number of turns under its name in the third dictionary, which is empty when all went well.
    """
    return measure_turns_with(batch, TURN_SIGNALS, CATEGORY_SIGNALS)


def measurement_failure(batch: TurnBatch) -> dict[str, FloatArray]:
    """The reading that says of turns that a signal broke, by its name, with all that were measured on the batch by now.

    Ask for it after the signals of sessions: `measure_turns` knows those of turns only.
    """
    return measure_turns_with(batch, (capture.FAILURE,), ())[0]


def measure_sessions(sessions: SessionBatch) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """Readings and failed sessions of every built-in session signal, by signal name.

    Readings are float64 of shape (len(sessions),), NaN where a signal does not apply. A signal that
    raised has NaN everywhere and the number of sessions under its name in the second dictionary.
    """
    return measure_sessions_with(sessions, SESSION_SIGNALS)


def label_sessions(sessions: SessionBatch) -> tuple[dict[str, pa.ListArray], dict[str, int]]:
    """Category labels and failed sessions of every built-in session category, by signal name.

    Labels are list<string> of length len(sessions), null where a category does not apply or failed.
    """
    return label_sessions_with(sessions, SESSION_CATEGORY_SIGNALS)


def tool_steps(sessions: SessionBatch) -> tuple[pa.ListArray, dict[str, int]]:
    """The steps from tool to tool of every session, which `tool_surprisal` is made of, and failed sessions by its name."""
    labels, failures = label_sessions_with(sessions, (surprisal.STEPS,))
    return labels[surprisal.SURPRISAL.name], failures
