"""JUnit XML: what pytest, Jest, Gradle and most CI systems write.

There is no standard; the elements read here are those of the Ant and Maven Surefire schemas. A case tells its request and its
answer as properties named input and output, where the suite records them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.conventions.times import BadTimeError, to_us
from unquiet.model.errors import UnreadableSource
from unquiet.model.evals import ERROR, FAILED, NOT_RUN, PASSED
from unquiet.model.rejections import ReadReport
from unquiet.sources.evals.rows import result_id, results_table
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.protocol import ReadOptions, misplaced
from unquiet.sources.stream import read_head

LIMIT_BYTES = 64 * 1024 * 1024
OUTCOMES = {"failure": FAILED, "error": ERROR, "skipped": NOT_RUN}


class JUnit:
    """A report in JUnit XML."""

    name = "JUnit XML"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the root element of a report."""
        return 0.95 if b"<testsuite" in glimpse.head else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One result a test case."""
        try:
            root = ET.fromstring(read_head(path, LIMIT_BYTES))  # noqa: S314
        except ET.ParseError as error:
            raise UnreadableSource(f"{path}: the XML is damaged ({error}). Write the report again.") from error
        rows: list[dict[str, Any]] = []
        for suite in root.iter("testsuite"):
            time_us = self._time(suite, path)
            for number, case in enumerate(suite.findall("testcase")):
                report.rows += 1
                wrong = misplaced(time_us, options)
                if wrong:
                    report.reject(f"{path}: case {number}", wrong[1], wrong[0])
                    continue
                rows.append(self._row(suite, case, number, time_us))
        report.turns += len(rows)
        if rows:
            yield results_table(rows)

    def _time(self, suite: ET.Element, path: Path) -> int:
        try:
            return to_us(suite.get("timestamp"))[0]
        except BadTimeError:
            return path.stat().st_mtime_ns // 1000

    def _row(self, suite: ET.Element, case: ET.Element, number: int, time_us: int) -> dict[str, Any]:
        found = {p.get("name") or "": p.get("value") or p.text or "" for p in case.iter("property")}
        outcome = next((OUTCOMES[child.tag] for child in case if child.tag in OUTCOMES), PASSED)
        suite_name = suite.get("name") or ""
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        run = f"{suite_name} {time_us}"
        return {
            "result_id": result_id("junit", run, name, number),
            "run": run,
            "time": time_us,
            "tool": "junit",
            "suite": suite_name,
            "case_name": name,
            "status": outcome,
            "input": found.pop("input", None),
            "output": found.pop("output", None),
            "facets": list(found.items()),
        }
