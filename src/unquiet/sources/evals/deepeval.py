"""DeepEval: the test run that it saves as JSON (`.deepeval/.latest_run_full.json`, or in the folder of results)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.model.evals import ERROR, FAILED, NOT_RUN, PASSED, UNDECIDED
from unquiet.model.rejections import ReadReport
from unquiet.sources.evals.documents import Json, objects, part, read_document, text
from unquiet.sources.evals.rows import Results, case_name, columns_of, number, prompt_hash, shortened
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.protocol import ReadOptions

_GIVEN = re.compile(r"(conversational_)?test_case_\d+")
"""Names that DeepEval gives to cases without one: they count up, and mean another case as soon as one is added."""
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)")
"""When a run was saved, in the name of its file: the document bears no time."""


class DeepEval:
    """A saved test run of DeepEval."""

    name = "DeepEval test run"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with test cases and what was measured of them."""
        cases = glimpse.has("testCases") or glimpse.has("conversationalTestCases")
        mine = any(
            map(glimpse.has, ("testCases.metricsData", "metricsScores", "testPassed", "conversationalTestCases"))
        )
        return 0.95 if glimpse.shape == "json" and cases and mine else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One result a test case, conversations included."""
        results = Results(path, "deepeval", options, report)
        document = read_document(path, options.whole_limit_bytes)
        run: dict[str, Any] = {
            "run": text(document.get("identifier")) or results.digest(),
            "time": results.time_of(_saved_at(path)),
            "suite": text(document.get("datasetAlias")) or text(document.get("testFile")),
        }
        setup = columns_of(part(document.get("hyperparameters")))
        settings = {name: setup[name] for name in ("model", "prompt_hash", "tools_hash") if setup.get(name)}
        settings.setdefault("prompt_hash", prompt_hash(setup.get("input")))
        for kind in ("testCases", "conversationalTestCases"):
            for place, case in enumerate(objects(document.get(kind)), 1):
                if case is None:
                    results.reject(f"{kind} {place}", "it is no object")
                    continue
                row = _row(case, setup["facets"], place)
                yield from results.add(f"{kind} {place}", settings | row | run)
        yield from results.rest()


def _saved_at(path: Path) -> str | None:
    found = _STAMP.search(path.name)
    return f"{'-'.join(found.groups()[:3])}T{':'.join(found.groups()[3:])}" if found else None


def _row(case: Json, setup: Json, place: int) -> dict[str, Any]:
    told = part(case.get("metadata")) | part(case.get("additionalMetadata"))
    row = columns_of(told)
    row["facets"] = dict(setup) | row["facets"]
    turns = [turn for turn in objects(case.get("turns")) if turn is not None]
    row["input"] = text(case.get("input")) or _last(turns, "user") or text(case.get("scenario")) or row.get("input")
    row["output"] = text(case.get("actualOutput")) or _last(turns, "assistant") or row.get("output")
    row["expected"] = text(case.get("expectedOutput")) or text(case.get("expectedOutcome")) or row.get("expected")
    row |= _outcome(case)
    name = text(case.get("name"))
    row["case_name"] = case_name(None if name and _GIVEN.fullmatch(name) else name, row, place)
    return row


def _last(turns: list[Json], role: str) -> str | None:
    return next((text(turn.get("content")) for turn in reversed(turns) if turn.get("role") == role), None)


def _outcome(case: Json) -> dict[str, Any]:
    metrics = [metric for metric in objects(case.get("metricsData")) if metric is not None]
    # DeepEval does not let flaky metrics decide.
    deciding = [metric for metric in metrics if not metric.get("flaky")]
    failed = [metric for metric in deciding if metric.get("success") is False]
    unmet = [metric for metric in failed if not metric.get("error")]
    if unmet:
        status = FAILED
    elif failed:
        status = ERROR
    elif case.get("success") is True and metrics:
        status = PASSED
    elif case.get("success") is False:
        status = FAILED
    else:
        status = UNDECIDED if metrics else NOT_RUN
    told = [text(metric.get("error")) or text(metric.get("reason")) for metric in (unmet or failed)]
    return {
        "status": status,
        "score": number(metrics[0].get("score")) if len(metrics) == 1 else None,
        "checks": [_check(metric) for metric in metrics] or None,
        "reason": shortened("; ".join(filter(None, told))),
    }


def _check(metric: Json) -> dict[str, Any]:
    threshold = number(metric.get("threshold"))
    passed = metric.get("success")
    return {
        "kind": text(metric.get("name")) or "metric",
        "expected": None if threshold is None else f">= {threshold:g}",
        "passed": passed if isinstance(passed, bool) and not metric.get("error") else None,
        "score": number(metric.get("score")),
        "reason": shortened(text(metric.get("error")) or text(metric.get("reason"))),
    }
