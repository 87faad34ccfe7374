"""promptfoo: `promptfoo eval -o out.json` (version 3 and the earlier ones), and `-o out.jsonl`, one result a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.conventions.messages import as_text
from unquiet.conventions.payloads import last_user, messages_of
from unquiet.conventions.steps import facet_text, system_text
from unquiet.conventions.times import to_iso
from unquiet.model.errors import UnreadableSource
from unquiet.model.evals import ERROR, FAILED, PASSED, UNDECIDED
from unquiet.model.rejections import ReadReport
from unquiet.sources.evals.documents import Json, objects, part, read_document, text
from unquiet.sources.evals.rows import Results, case_name, columns_of, number, prompt_hash, shortened, text_of
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.json_records import JsonRecords
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.stream import read_head

BROKE = 2
"""`failureReason`: 0 none, 1 a check did not hold, 2 an error."""
NO_MODEL = (
    "file",
    "python",
    "exec",
    "http",
    "https",
    "javascript",
    "webhook",
    "ws",
    "wss",
    "package",
    "golang",
    "ruby",
    "echo",
)
"""Providers that name a program or an address, not a model."""
WAYS = frozenset({"chat", "completion", "completions", "messages", "responses", "assistant", "converse", "realtime"})
"""What stands between vendor and model in the id of a provider."""


class Promptfoo:
    """A report of promptfoo."""

    name = "promptfoo (JSON or JSON lines)"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with the list of results, or with a result a line."""
        whole = glimpse.has("results.version") or glimpse.has("results.results", "results.stats")
        line = glimpse.has("testCase", "promptIdx") or glimpse.has("gradingResult", "vars")
        return 0.95 if glimpse.shape == "json" and (whole or line) else 0.0

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One result a test, a prompt and a provider."""
        results = Results(path, "promptfoo", options, report)
        reading = _Lines(results) if b'"results"' not in read_head(path, 64 * 1024) else _Whole(results)
        yield from reading.tables(options)
        yield from results.rest()


class _Lines:
    """Results one a line: the run bears no time and no name."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def tables(self, options: ReadOptions) -> Iterator[pa.Table]:
        results = self._results
        run = {"run": results.digest(), "time": results.time_of(None)}
        for batch in JsonRecords(results.path, options, results.report):
            for record, place in zip(batch.records, batch.places, strict=True):
                yield from _added(results, place, record, run)


class _Whole:
    """Results in one document."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def tables(self, options: ReadOptions) -> Iterator[pa.Table]:
        results = self._results
        document = read_document(results.path, options.whole_limit_bytes)
        inner = part(document.get("results"))
        listed = inner.get("results")
        if not isinstance(listed, list):
            raise UnreadableSource(
                f"{results.path}: no list of results is in it. Write the report with `-o FILE.json`."
            )
        at_us = results.time_of(inner.get("timestamp") or part(document.get("metadata")).get("evaluationCreatedAt"))
        run = {
            "run": text(document.get("evalId")) or to_iso(at_us),
            "time": at_us,
            "suite": text(part(document.get("config")).get("description")),
        }
        for place, record in enumerate(objects(listed), 1):
            yield from _added(results, f"result {place}", record, run)


def _added(results: Results, place: str | int, record: Json | None, run: Json) -> Iterator[pa.Table]:
    if record is None or not isinstance(record.get("success"), bool):
        results.reject(place, "it does not say `success`: true or false")
        return
    row = _row(record, results.report.rows + 1)
    yield from results.add(place, row | run)


def _row(record: Json, place: int) -> dict[str, Any]:
    case, response = part(record.get("testCase")), part(record.get("response"))
    said = part(case.get("vars")) | part(record.get("vars"))
    kept = {name: value for name, value in part(record.get("metadata")).items() if not name.startswith("_")}
    row = columns_of(kept | said)
    prompt = part(record.get("prompt"))
    raw = prompt.get("raw")
    row["input"] = _asked(raw, said, row)
    row["output"] = text_of(response.get("output")) if response.get("output") is not None else None
    provider = part(record.get("provider"))
    ident = text(provider.get("id")) or text(record.get("provider")) or ""
    row["model"] = row.get("model") or _model(ident)
    if facet_text(ident):
        row["facets"]["provider"] = ident
    row["prompt_hash"] = prompt_hash(system_text(messages_of(raw))) or (text(record.get("promptId")) or "")[:12] or None
    row |= _outcome(record, case)
    row["case_name"] = case_name(text(case.get("description")), row, place)
    ident = text(record.get("id"))
    return row | {"result_id": f"promptfoo:{ident}"} if ident else row


def _asked(raw: Any, said: Json, row: Json) -> str | None:
    """The last message of the user; of a plain prompt the variable that is the request, else the prompt itself."""
    messages = messages_of(raw)
    texts = [value for value in said.values() if isinstance(value, str)]
    only = texts[0] if len(texts) == 1 else None
    return last_user(messages) or text(row.get("input")) or only or text(raw)


def _model(provider: str) -> str | None:
    """The model in the id of a provider (`openai:chat:gpt-4.1`): what follows the vendor and the way to call it."""
    vendor, _, rest = provider.partition(":")
    if not rest or vendor in NO_MODEL:
        return None
    way, _, model = rest.partition(":")
    return model if model and way in WAYS else rest


def _outcome(record: Json, case: Json) -> dict[str, Any]:
    grading = part(record.get("gradingResult"))
    components = [each for each in objects(grading.get("componentResults")) if each is not None]
    failed = [each for each in components if each.get("pass") is False]
    broke = record.get("failureReason") == BROKE or (record.get("error") and not grading)
    if failed and all(part(each.get("metadata")).get("graderError") for each in failed):
        broke = True
    status = ERROR if broke else FAILED
    if record["success"]:
        status = PASSED if components or case.get("assert") else UNDECIDED
    reason = text(record.get("error")) or text(grading.get("reason"))
    return {
        "status": status,
        "score": number(record.get("score")),
        "checks": [_check(each) for each in components] or None,
        "reason": None if status == PASSED else shortened(reason),
    }


def _check(component: Json) -> dict[str, Any]:
    looked = part(component.get("assertion"))
    passed = component.get("pass")
    return {
        "kind": text(looked.get("type")) or "assert-set",
        "expected": as_text(looked.get("value")),
        "passed": passed if isinstance(passed, bool) else None,
        "score": number(component.get("score")),
        "reason": shortened(text(component.get("reason"))),
    }
