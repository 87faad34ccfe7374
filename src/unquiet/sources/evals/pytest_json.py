"""pytest-json-report: `pytest --json-report`. What a test says of its case are its metadata and its user properties."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pyarrow as pa

from unquiet.conventions.times import to_iso
from unquiet.model.evals import ERROR, FAILED, NOT_RUN, PASSED
from unquiet.model.rejections import ReadReport
from unquiet.sources.evals.documents import Json, objects, part, read_document, text
from unquiet.sources.evals.rows import Results, columns_of, shortened
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.protocol import ReadOptions

OUTCOMES = {
    "passed": PASSED,
    "xpassed": PASSED,
    "failed": FAILED,
    "xfailed": FAILED,
    "error": ERROR,
    "skipped": NOT_RUN,
    "deselected": NOT_RUN,
}
"""Of a case that failed as its suite expected the suite is green; the case did not pass."""
STAGES = ("call", "setup", "teardown")


class PytestJson:
    """A report of pytest-json-report."""

    name = "pytest-json-report"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the exit code and the summary of a session of pytest."""
        return 0.95 if glimpse.shape == "json" and glimpse.has("exitcode", "summary", "created") else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One result a test, and one a file whose tests could not be collected."""
        results = Results(path, "pytest", options, report)
        document = read_document(path, options.whole_limit_bytes)
        suite = _folder(text(document.get("root")))
        at_us = results.time_of(document.get("created"))
        run = {"run": f"{suite or 'pytest'} {to_iso(at_us)}", "time": at_us, "suite": suite}
        if not isinstance(document.get("tests"), list):
            results.note("the report lists no tests: it was written with --json-report-summary, or they were omitted")
        for place, test in enumerate(objects(document.get("tests")), 1):
            outcome = OUTCOMES.get(str((test or {}).get("outcome")))
            name = text((test or {}).get("nodeid"))
            if test is None or outcome is None or name is None:
                results.reject(f"test {place}", f"expected a nodeid, and an outcome of {', '.join(OUTCOMES)}")
                continue
            yield from results.add(f"test {place}", _row(test) | run | {"case_name": name, "status": outcome})
        yield from self._uncollected(document, results, run)
        yield from results.rest()

    def _uncollected(self, document: Json, results: Results, run: Json) -> Iterator[pa.Table]:
        for collector in objects(document.get("collectors")):
            if collector is not None and collector.get("outcome") == "failed":
                name = f"{text(collector.get('nodeid')) or 'tests'} (not collected)"
                reason = shortened(text(collector.get("longrepr")))
                yield from results.add(name, {"case_name": name, "status": ERROR, "reason": reason, **run})


def _folder(root: str | None) -> str | None:
    """The name of the folder that a session ran in, of either system."""
    pure = PureWindowsPath if root and "\\" in root else PurePosixPath
    return (pure(root).name if root else "") or None


def _row(test: Json) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for each in objects(test.get("user_properties")):
        said |= each or {}
    row = columns_of(said | part(test.get("metadata")))
    stages = [part(test.get(name)) for name in STAGES]
    broken = [stage for stage in stages if stage.get("outcome") not in (None, "passed")]
    crash = next((text(part(stage.get("crash")).get("message")) for stage in broken if stage.get("crash")), None)
    whole = next((text(stage.get("longrepr")) for stage in broken if stage.get("longrepr")), None)
    row["reason"] = shortened(crash or whole)
    if test.get("outcome") in ("failed", "xfailed") and (crash or whole):
        row["checks"] = [{"kind": "assertion", "passed": False, "reason": shortened(whole or crash)}]
    printed = shortened(text(stages[0].get("stdout")))
    return {"output": printed} | row
