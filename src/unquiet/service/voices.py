"""Voices over HTTP: what commands send to the service that owns a folder, in bodies that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from unquiet.app.adding import Added
from unquiet.app.describing import iso
from unquiet.model.rejections import DUPLICATE
from unquiet.model.voices import VOICES
from unquiet.service.asking import Served
from unquiet.sources import FileRead

BODY_BYTES, BODY_ROWS = 48 << 10, 100
"""A body is kept well below the largest that the API takes."""


def post_voices(service: Served, reads: Iterable[FileRead]) -> Added:
    """Send what files hold; with the last body they are joined.

    Raises:
        UnreadableSource, NotAnswered: nothing could be read, or the service refused.
    """
    added = Added()
    sent = False
    for read in reads:
        for table in read.tables:
            for rows in bodies(documents(table)):
                done = service.add_voices({"voices": rows, "more": True})
                added.new += done["added"]
                known = done["known"]
                if known:
                    read.report.rejected[DUPLICATE] = read.report.rejected.get(DUPLICATE, 0) + known
                sent = True
        added.reports.append((str(read.path), read.report))
    if sent:
        service.add_voices({"voices": [], "more": False})
    return added


def documents(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a table of VOICES as documents; what is null is left out."""
    at_us = table.column("time").cast(pa.int64()).to_pylist()
    for row, us in zip(table.drop_columns(["time"]).to_pylist(), at_us, strict=True):
        told = {name: value for name, value in row.items() if value is not None}
        yield {**told, "time": iso(us), "facets": dict(row["facets"] or ())}


def bodies(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The documents in lists that fit into a body each."""
    part: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        length = len(orjson.dumps(row))
        if part and (size + length > BODY_BYTES or len(part) == BODY_ROWS):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of VOICES of documents that were checked; `time` is in microseconds since 1970."""
    columns = {name: [row.get(name) for row in rows] for name in VOICES.names}
    columns["facets"] = [list((row.get("facets") or {}).items()) for row in rows]
    return pa.Table.from_arrays([pa.array(columns[each.name], each.type) for each in VOICES], schema=VOICES)
