"""JUnit XML: what pytest, Jest, Gradle and most CI systems write.

There is no standard; the elements read here are those of the Ant, Maven Surefire and pytest schemas. A case tells its request
and its answer as properties named input and output, where the suite records them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

import pyarrow as pa
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from unquiet.conventions.times import to_iso
from unquiet.model.errors import UnreadableSource
from unquiet.model.evals import ERROR, FAILED, NOT_RUN, PASSED
from unquiet.model.rejections import DAMAGED, ReadReport
from unquiet.sources.evals.rows import Results, case_name, columns_of, shortened
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.stream import DAMAGE, open_bytes

OUTCOMES = {"failure": FAILED, "error": ERROR, "skipped": NOT_RUN}
"""What became of a case, by the element in it; where there are several, the first of this order goes."""
XFAIL = "pytest.xfail"
"""The type of a case that failed as its suite expected: the suite is green, the case did not pass."""
IDLE = frozenset({"notrun", "disabled", "skipped"})
"""The attribute `status` of GoogleTest for a case that did not run."""


class JUnit:
    """A report in JUnit XML."""

    name = "JUnit XML"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the root element of a report."""
        return 0.95 if b"<testsuite" in glimpse.head else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One result a test case."""
        results = Results(path, "junit", options, report)
        with open_bytes(path) as stream:
            yield from _Reading(results).tables(_Bounded(stream, options.whole_limit_bytes))
        yield from results.rest()


@dataclass(slots=True)
class _Bounded:
    """A stream that ends with an error beyond the limit."""

    stream: IO[bytes]
    limit_bytes: int
    _read: int = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self.stream.read(size)
        self._read += len(data)
        if self._read > self.limit_bytes:
            raise OSError(f"it is longer than {self.limit_bytes:,} bytes")
        return data


@dataclass(slots=True)
class _Suite:
    """An open suite: what holds for the cases in it. `run` names the execution: that of the outermost suite."""

    name: str
    run: str
    time: str | None
    said: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class _Reading:
    """One pass over a report. Elements are dropped as soon as they were read."""

    results: Results
    _suites: list[_Suite] = field(default_factory=list[_Suite])
    _open: list[Element] = field(default_factory=list[Element])

    def tables(self, stream: _Bounded) -> Iterator[pa.Table]:
        path, report = self.results.path, self.results.report
        try:
            for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
                yield from self._begin(element) if event == "start" else self._end(element)
        except DefusedXmlException as error:
            raise UnreadableSource(
                f"{path}: the XML declares a document type or entities, which reports do not need and which can harm who reads "
                "them. Write the report without them."
            ) from error
        except (ParseError, *DAMAGE, LookupError, ValueError) as error:
            if not report.rows:
                raise UnreadableSource(f"{path}: the XML is damaged ({error}). Write the report again.") from error
            report.reject(str(path), f"the XML is damaged or cut off ({error}); the cases before it were kept", DAMAGED)

    def _begin(self, element: Element) -> Iterator[pa.Table]:
        self._open.append(element)
        if _tag(element) == "testsuite":
            outer = self._suites[-1] if self._suites else None
            own, at = (
                element.get("name") or "",
                element.get("timestamp") or (outer.time if outer else self._root_time()),
            )
            name = f"{outer.name} / {own}" if outer and outer.name and own else own or (outer.name if outer else "")
            run = outer.run if outer else self._run(own, at, element.get("hostname"))
            self._suites.append(_Suite(name, run, at, dict(outer.said) if outer else {}))
        return iter(())

    def _root_time(self) -> str | None:
        return self._open[0].get("timestamp")

    def _run(self, name: str, at: str | None, host: str | None) -> str:
        when = to_iso(self.results.time_of(at)) if at else self.results.digest()
        return " ".join(filter(None, (name, host, when)))

    def _end(self, element: Element) -> Iterator[pa.Table]:
        self._open.pop()
        inner = _tag(self._open[-1]) if self._open else ""
        tag = _tag(element)
        if tag == "testcase":
            yield from self._case(element)
        elif tag == "properties" and inner == "testsuite":
            self._suites[-1].said.update(_properties(element))
        elif tag == "testsuite":
            self._suites.pop()
        elif tag == "error" and inner == "testsuite":
            yield from self._broken(element)
        if inner != "testcase" and tag not in _IN_CASE and self._open:
            self._open[-1].remove(element)

    def _case(self, case: Element) -> Iterator[pa.Table]:
        suite = self._suites[-1] if self._suites else _Suite("", self.results.digest(), self._root_time())
        number = self.results.report.rows + 1
        said = suite.said | {name: case.get(name) for name in ("file", "line") if case.get(name)} | _properties(case)
        row = {"output": _printed(case)} | columns_of(said) | _outcome(case)
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        where = {
            "run": suite.run,
            "time": self.results.time_of(case.get("timestamp") or suite.time),
            "suite": suite.name,
        }
        yield from self.results.add(f"case {number}", row | where | {"case_name": case_name(name, row, number)})

    def _broken(self, error: Element) -> Iterator[pa.Table]:
        """A suite that broke outside of its cases."""
        suite, number = self._suites[-1], self.results.report.rows + 1
        where = {"run": suite.run, "time": self.results.time_of(suite.time), "suite": suite.name}
        row = {"case_name": f"{suite.name} (the suite itself)", "status": ERROR, "reason": _reason(error)}
        yield from self.results.add(f"case {number}", row | where)


_IN_CASE = frozenset({"failure", "error", "skipped", "system-out", "property", "properties"})


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _properties(parent: Element) -> dict[str, Any]:
    found = (each for each in parent.iter() if _tag(each) == "property")
    return {each.get("name") or "": each.get("value") or each.text or "" for each in found}


def _printed(case: Element) -> str | None:
    """What a case printed: the answer, where no property holds it."""
    return shortened("".join(each.text or "" for each in case if _tag(each) == "system-out"))


def _outcome(case: Element) -> dict[str, Any]:
    """Status, checks and reason of a case."""
    found = {status: [each for each in case if _tag(each) == tag] for tag, status in OUTCOMES.items()}
    status = next((status for status, elements in found.items() if elements), PASSED)
    if status == PASSED and (case.get("status") or case.get("result") or "").lower() in IDLE:
        status = NOT_RUN
    if status == NOT_RUN and any(each.get("type") == XFAIL for each in found[NOT_RUN]):
        status = FAILED
    broken = [*found[FAILED], *found[ERROR]]
    checks = [
        {
            "kind": each.get("type") or _tag(each),
            "passed": None if _tag(each) == "error" else False,
            "reason": _reason(each),
        }
        for each in broken
    ]
    told = broken or found[NOT_RUN]
    return {
        "status": status,
        "checks": checks or None,
        "reason": told[0].get("message") or _reason(told[0]) if told else None,
    }


def _reason(element: Element) -> str | None:
    message, text = (element.get("message") or "").strip(), (element.text or "").strip()
    return shortened(text if message in text else f"{message}\n{text}")
