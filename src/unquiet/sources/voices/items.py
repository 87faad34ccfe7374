"""Exports that wrap their objects: pages with a list under a name, lists, or one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unquiet.model.rejections import ReadReport
from unquiet.sources.json_records import JsonRecords, Record
from unquiet.sources.protocol import ReadOptions


@dataclass(slots=True)
class Items:
    """The objects of one page with their places, and the page itself; empty where an object stands by itself."""

    whole: Record = field(default_factory=dict[str, Any])
    items: list[tuple[Record, str | int]] = field(default_factory=list[tuple[Record, str | int]])


def items(path: Path, options: ReadOptions, report: ReadReport, *names: str) -> Iterator[Items]:
    """The objects of a file, in its order, those of a list under one of `names` in place of the page that holds it.

    What is no object is rejected.

    Raises:
        UnreadableSource: the file is no JSON at all, or too large for one document.
    """
    for batch in JsonRecords(path, options, report):
        for record, place in zip(batch.records, batch.places, strict=True):
            name = next((each for each in names if each in record), None)
            if name is None:
                yield Items({}, [(record, place)])
                continue
            found = record[name]
            if isinstance(found, dict) and "posts" in found:
                found = found["posts"]
            if not isinstance(found, list):
                report.rows += 1
                report.reject(f"{path}:{place}", f"{name} is a {type(found).__name__}, not a list", "wrong shape")
                continue
            page = Items(record)
            for number, each in enumerate(found, start=1):
                where = f"{name} {number}" if place == 1 else f"{place}, {name} {number}"
                if isinstance(each, dict):
                    page.items.append((each, where))
                else:
                    report.rows += 1
                    report.reject(
                        f"{path}:{where}", f"a {type(each).__name__} is there, not an object", "not an object"
                    )
            yield page
