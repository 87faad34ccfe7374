"""Labels in the store: one row for each labeller, turn and slice that it was chosen from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from unquiet.model.labels import JUDGE, Label
from unquiet.store.duckdb_folder import DuckDBFolder, Row

_TABLE = """CREATE TABLE IF NOT EXISTS labels (
    turn_id VARCHAR NOT NULL, session_id VARCHAR NOT NULL, signal VARCHAR NOT NULL, version INTEGER NOT NULL,
    score DOUBLE NOT NULL, stratum VARCHAR NOT NULL, groups VARCHAR[] NOT NULL, answer VARCHAR NOT NULL,
    labeller VARCHAR NOT NULL, at_us BIGINT NOT NULL, frame VARCHAR NOT NULL, drawn VARCHAR NOT NULL, inclusion DOUBLE)"""

_COLUMNS = (
    "turn_id",
    "session_id",
    "signal",
    "version",
    "score",
    "stratum",
    "groups",
    "answer",
    "labeller",
    "at_us",
    "frame",
    "drawn",
    "inclusion",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = "turn_id = ? AND signal = ? AND labeller = ? AND frame = ?"
_PANEL = f"CASE WHEN starts_with(labeller, '{JUDGE}') THEN labeller ELSE 'people' END = ?"
_GROUP = f"signal = ? AND frame = ? AND drawn = ? AND {_PANEL}"

Transaction = Callable[[], AbstractContextManager[None]]


class Labels:
    """The labels of a folder. They outlive a new judgement: what a person said of a turn stays true."""

    def __init__(self, database: DuckDBFolder, transaction: Transaction) -> None:
        self._database = database
        self._transaction = transaction
        # Folders of earlier versions do not have it.
        if not database.read_only:
            database.run(_TABLE)
        elif not database.has_table("labels"):
            database.run(_TABLE.replace("CREATE", "CREATE TEMP", 1))

    def put(self, labels: Sequence[Label]) -> None:
        """Keep labels, each in place of what the same labeller said of the same turn, signal and frame."""
        with self._transaction():
            for label in labels:
                self.remove(label)
                at_us = (label.at - _EPOCH) // timedelta(microseconds=1)
                fields = {name: getattr(label, name) for name in _COLUMNS if name not in ("at_us", "groups")}
                self._database.insert("labels", fields | {"groups": list(label.groups), "at_us": at_us})

    def remove(self, label: Label) -> None:
        """Forget what a labeller said of a turn in a frame."""
        with self._transaction():
            key = [label.turn_id, label.signal, label.labeller, label.frame]
            self._database.run(f"DELETE FROM labels WHERE {_KEY}", key)  # noqa: S608

    def include(self, signal: str, frame: str, drawn: str, panel: str, turns: int) -> None:
        """Set the inclusion of all labels of a panel that were drawn alike: so many turns with a yes or no, of `turns`.

        Those who answered alike share it, whoever of the panel was asked first: inside a stratum the order is random.
        """
        group = [signal, frame, drawn, panel]
        with self._transaction():
            told = f"SELECT count(DISTINCT turn_id) FROM labels WHERE {_GROUP} AND answer <> 'unsure'"  # noqa: S608
            count = self._database.run(told, group)[0][0]
            share = min(1.0, count / turns) if turns and count else None
            self._database.run(f"UPDATE labels SET inclusion = ? WHERE {_GROUP}", [share, *group])  # noqa: S608

    def of_signal(self, signal: str) -> list[Label]:
        """All labels of a signal in the order in which they were given."""
        names = ", ".join(_COLUMNS)
        sql = f"SELECT {names} FROM labels WHERE signal = ? ORDER BY at_us, labeller, turn_id, frame"  # noqa: S608
        return [_label(row) for row in self._database.run(sql, [signal])]

    def signals(self) -> list[str]:
        """The signals that have labels, by name."""
        return [row[0] for row in self._database.run("SELECT DISTINCT signal FROM labels ORDER BY signal")]


def _label(row: Row) -> Label:
    fields = dict(zip(_COLUMNS, row, strict=True))
    at = _EPOCH + timedelta(microseconds=fields.pop("at_us"))
    groups = tuple(fields.pop("groups"))
    return Label(**fields, at=at, groups=groups)
