"""Inspect's evaluation logs, `.json` and `.eval`: every sample is a case, every scorer a check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from unquiet.conventions.messages import as_list, as_text
from unquiet.conventions.payloads import answer_text, last_answer, messages_of, request_text
from unquiet.conventions.steps import short_hash, system_text
from unquiet.conventions.trajectories import resolved_sample
from unquiet.model.errors import UnreadableSource
from unquiet.model.evals import ERROR, FAILED, NOT_RUN, PASSED, UNDECIDED
from unquiet.model.rejections import ReadReport
from unquiet.sources.agent_logs import InspectLog, zipped_log
from unquiet.sources.evals.documents import Json, objects, part, read_document, text
from unquiet.sources.evals.rows import Results, columns_of, number, prompt_hash, result_id, shortened
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.protocol import ReadOptions
from unquiet.sources.stream import read_head

GRADES = {"C": (1.0, True), "I": (0.0, False), "N": (0.0, False), "P": (0.5, None)}
"""Score and whether it passed, of Inspect's grades: correct, incorrect, no answer, partly correct."""


class InspectResults:
    """An evaluation log of Inspect."""

    name = "Inspect log"

    def sniff(self, glimpse: Glimpse) -> float:
        """As sure as the source of turns."""
        return InspectLog().sniff(glimpse)

    def read(self, path: Path, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """One result a sample and an epoch; samples of the dataset that are not in the log did not run."""
        results = Results(path, "inspect", options, report)
        if read_head(path, 2) == b"PK":
            header, samples = zipped_log(path, options, report)
        else:
            header = read_document(path, options.whole_limit_bytes)
            samples = ((f"sample {place}", each) for place, each in enumerate(objects(header.get("samples")), 1))
        task = part(header.get("eval"))
        if not text(task.get("task")):
            raise UnreadableSource(f"{path}: no task is named in it, so this is no log of Inspect.")
        yield from _Log(results, header, task).tables(samples)
        yield from results.rest()


@dataclass(slots=True)
class _Log:
    results: Results
    header: Json
    task: Json

    def tables(self, samples: Iterator[tuple[str, Json | None]]) -> Iterator[pa.Table]:
        seen: set[str] = set()
        created = self.task.get("created")
        for place, sample in samples:
            if sample is None or sample.get("id") is None:
                self.results.reject(place, "expected a sample with an id")
                continue
            seen.add(str(sample["id"]))
            row, run, name = _row(resolved_sample(sample), self.task), self._run(), str(sample["id"])
            at = self.results.time_of(sample.get("started_at") or created)
            ident = result_id("inspect", run["run"], name, sample.get("epoch"))
            yield from self.results.add(place, row | run | {"time": at, "case_name": name, "result_id": ident})
        # Of a run that is still going on nobody knows yet, and what cannot be read may have run.
        if self.header.get("status") != "started" and not self.results.report.rejected:
            yield from self._missing(seen)

    def _run(self) -> dict[str, Any]:
        # Runs of several models share the run's id.
        ident = text(self.task.get("eval_id")) or text(self.task.get("run_id")) or self.results.digest()
        return {"run": f"{self.task['task']} {ident}", "suite": self.task["task"]}

    def _missing(self, seen: set[str]) -> Iterator[pa.Table]:
        """Samples that the run should have had and did not come to, by the ids that its header names."""
        dataset, status = part(self.task.get("dataset")), str(self.header.get("status"))
        wanted = [str(each) for each in as_list(dataset.get("sample_ids")) or []]
        why = shortened(text(part(self.header.get("error")).get("message")))
        if not wanted and not seen:
            self.results.note(f"the log (status {status}) holds no sample")
        for ident in wanted:
            if ident not in seen:
                row = {
                    "status": NOT_RUN,
                    "reason": why or f"the run ended ({status}) without it",
                    "model": _model(self.task),
                }
                at = self.results.time_of(self.task.get("created"))
                yield from self.results.add(f"sample {ident}", row | self._run() | {"time": at, "case_name": ident})


def _model(task: Json) -> str | None:
    """The model without the provider that Inspect writes before it."""
    named = text(task.get("model"))
    return named.partition("/")[2] or named if named else None


def _row(sample: Json, task: Json) -> dict[str, Any]:
    said = part(task.get("task_args")) | part(task.get("metadata")) | part(sample.get("metadata"))
    row = columns_of({"epoch": sample.get("epoch"), **said})
    messages = messages_of(sample.get("messages"))
    output = part(sample.get("output"))
    row["input"] = request_text(sample.get("input")) if sample.get("input") else row.get("input")
    row["output"] = answer_text(output) if output.get("choices") else last_answer(messages)
    row["expected"] = _target(sample.get("target")) or row.get("expected")
    row["model"] = _model(task)
    row["prompt_hash"] = prompt_hash(system_text(messages)) or row.get("prompt_hash")
    row["tools_hash"] = _tools_hash(sample) or row.get("tools_hash")
    paths = {"provider": text(task.get("model")), "served_model": text(output.get("model"))}
    row["facets"] |= {name: value for name, value in paths.items() if value is not None}
    return row | _outcome(sample)


def _target(value: Any) -> str | None:
    listed = as_list(value)
    return "\n".join(map(str, listed)) if listed is not None else text(value)


def _tools_hash(sample: Json) -> str | None:
    """The hash of the tools that the first call of a model was given, as turns have it."""
    events = [event for event in objects(sample.get("events")) if event is not None]
    tools = next((event.get("tools") for event in events if event.get("event") == "model"), None)
    told = as_text(tools) if tools else None
    return short_hash(told) if told else None


def _outcome(sample: Json) -> dict[str, Any]:
    broke = sample.get("error")
    checks = [check for name, score in part(sample.get("scores")).items() for check in _checks(name, part(score))]
    passed = [check["passed"] for check in checks]
    if broke:
        status = ERROR
    elif not checks:
        status = NOT_RUN
    elif False in passed:
        status = FAILED
    else:
        status = UNDECIDED if None in passed else PASSED
    told = text(part(broke).get("message")) or ("it was not scored" if not checks else None)
    failed = [check["reason"] for check in checks if check["passed"] is not True and check["reason"]]
    return {
        "status": status,
        "score": checks[0]["score"] if len(checks) == 1 else None,
        "checks": checks or None,
        "reason": None if status == PASSED else shortened(told or "; ".join(failed)),
    }


def _checks(name: str, score: Json) -> list[dict[str, Any]]:
    """A scorer's verdict; where its value has parts, that of each part."""
    value = score.get("value")
    parts = {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return [_check(each, of, shortened(text(score.get("explanation")))) for each, of in parts.items()]


def _check(kind: str, value: Any, reason: str | None) -> dict[str, Any]:
    if isinstance(value, str) and value in GRADES:
        score, passed = GRADES[value]
    else:
        score = number(value)
        # Inspect names no threshold: only a full score and none at all are clear, and only on its usual scale.
        passed = {1.0: True, 0.0: False}.get(score) if score is not None else None
    return {"kind": kind, "expected": None, "passed": passed, "score": score, "reason": reason}
