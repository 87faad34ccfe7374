"""The turn table as JSON lines (or one JSON list of objects), plain or compressed."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.model.rejections import ReadReport
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import JsonRecords, uncollected
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.turn_rows import TurnRows, check_columns


class JsonTurns:
    """Turn table in JSON lines."""

    name = "turn table (JSON lines)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with session and time, otherwise the last resort for JSON."""
        if glimpse.shape != "json":
            return 0.0
        return 0.8 if glimpse.has("session_id", "time") else 0.1

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Turns in the order of the lines."""
        rows = TurnRows(path, options, report)
        checked = False
        for batch in JsonRecords(path, options, report):
            with uncollected():
                columns = _columns(batch.records)
                if not checked:
                    check_columns(path, columns, options.mapping)
                    checked = True
                table = rows.build(columns, batch.places)
            if table.num_rows:
                yield table
        rows.finish()


def _columns(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys((*records[0], *sorted(set().union(*records))))
    return {name: _values(records, name) for name in names}


def _values(records: list[dict[str, Any]], name: str) -> list[Any]:
    try:
        return list(map(itemgetter(name), records))
    except KeyError:
        return [record.get(name) for record in records]
