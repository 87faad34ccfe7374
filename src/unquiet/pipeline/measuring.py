"""Turns that belong to closed sessions, measured: the visit table and what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unquiet import intents, signals
from unquiet.model.sessions import SIGNAL_PREFIX
from unquiet.model.signals import FloatArray, Reduce, SessionBatch, SignalInfo, TurnBatch
from unquiet.sessions import Assembler, ClosedSessions, resumed, visit_table
from unquiet.shift import Features, extract
from unquiet.signals.surprisal import SURPRISAL, ToolPaths, tool_surprisal

FOREVER_US = 2**62
SURPRISAL_COLUMN = SIGNAL_PREFIX + SURPRISAL.name


@dataclass(frozen=True, slots=True)
class Measured:
    """Visits with their readings.

    `inputs` are their first requests and `requests` (visits, d) the vectors of them; `features` are what their answers
    are made of; `steps` those from tool to tool, which wait for a reference; `failures` counts measurements that failed, by signal.
    """

    visits: pa.Table
    inputs: pa.Array
    requests: npt.NDArray[np.float32]
    features: Features
    steps: pa.ListArray
    failures: dict[str, int]

    def __len__(self) -> int:
        return self.visits.num_rows

    @property
    def bare(self) -> npt.NDArray[np.bool_]:
        """The visits of which neither the first request nor an answer has text, (n,)."""
        return ~self.features.known & self.inputs.is_null().to_numpy(zero_copy_only=False)

    def part(self, low: int, high: int) -> Measured:
        """Visits low to high."""
        return Measured(
            self.visits.slice(low, high - low),
            self.inputs.slice(low, high - low),
            self.requests[low:high],
            self.features.part(low, high),
            self.steps.slice(low, high - low),
            {},
        )

    @staticmethod
    def joined(parts: list[Measured]) -> Measured:
        """The visits of several batches, one after another."""
        failures: dict[str, int] = {}
        for name, count in (item for part in parts for item in part.failures.items()):
            failures[name] = failures.get(name, 0) + count
        return Measured(
            pa.concat_tables([part.visits for part in parts], promote_options="default"),
            pa.chunked_array([part.inputs for part in parts]).combine_chunks(),
            np.concatenate([part.requests for part in parts]),
            Features.joined([part.features for part in parts]),
            pa.chunked_array([part.steps for part in parts]).combine_chunks(),
            failures,
        )

    def scored(self, references: Sequence[ToolPaths], first: int) -> Measured:
        """The same with the readings that need history; `first` is the number of the first visit among all that closed."""
        values = tool_surprisal(self.steps, references, first)
        place = self.visits.column_names.index(SURPRISAL_COLUMN)
        column = pa.array(values, from_pandas=True)
        return replace(self, visits=self.visits.set_column(place, SURPRISAL_COLUMN, column))


def signal_infos() -> tuple[SignalInfo, ...]:
    """All behaviour signals, in their fixed order."""
    every = (
        *signals.TURN_SIGNALS,
        *signals.SESSION_SIGNALS,
        *signals.CATEGORY_SIGNALS,
        *signals.SESSION_CATEGORY_SIGNALS,
    )
    infos = [signal.info for signal in every]
    place = len(signals.TURN_SIGNALS) + len(signals.SESSION_SIGNALS)
    return (*infos[:place], *signals.HISTORY_SIGNALS, *infos[place:])


def measure(closed: ClosedSessions) -> Measured:
    """All signals of closed sessions."""
    batch = TurnBatch(closed.turns)
    readings, labels, failures = signals.measure_turns(batch)
    sessions = SessionBatch(batch, closed.starts, readings)
    values, session_failures = signals.measure_sessions(sessions)
    session_labels, label_failures = signals.label_sessions(sessions)
    readings |= signals.measurement_failure(batch)
    steps, step_failures = signals.tool_steps(sessions)
    for name, count in (session_failures | label_failures | step_failures).items():
        failures[name] = failures.get(name, 0) + count
    reduce: dict[str, Reduce] = {signal.info.name: signal.info.reduce for signal in signals.TURN_SIGNALS}
    kept: dict[str, tuple[Reduce, FloatArray]] = {
        name: (reduce[name], column) for name, column in readings.items() if reduce[name] != "none"
    }
    values |= {info.name: np.full(len(sessions), np.nan) for info in signals.HISTORY_SIGNALS}
    visits = visit_table(closed, kept, values, labels, {"resumed": resumed(closed)}, session_labels)
    first = closed.turns.column("input").take(pa.array(closed.starts[:-1])).combine_chunks()
    return Measured(visits, first, intents.embed(first), extract(closed.turns, closed.starts), steps, failures)


def measure_turn_table(turns: pa.Table) -> pa.Table:
    """The signals of every turn: session_id, turn_index and one column a signal, in the order of the turns."""
    readings, labels, _ = signals.measure_turns(TurnBatch(turns.combine_chunks()))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "session_id": turns.column("session_id"),
        "turn_index": turns.column("turn_index"),
    }
    columns |= {name: pa.array(values, from_pandas=True) for name, values in readings.items()}
    return pa.table(columns | dict(labels))


def measure_visits(turns: pa.Table) -> pa.Table:
    """The signals of every session: all turns are taken as known, open sessions as closed."""
    closed = Assembler().push(turns, FOREVER_US)
    return measure(closed).visits
