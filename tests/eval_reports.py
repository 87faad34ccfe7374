"""Reports of evaluation suites, as their tools write them, made small: each with two cases, of which the second fails."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import orjson

ASKED, BLOCKED = "what is my balance", "block my card"
AT = "2026-03-10T02:00:00Z"

JUNIT = f"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="all"><testsuite name="bank" timestamp="{AT}" tests="2" failures="1">
<properties><property name="locale" value="de-DE"/></properties>
<testcase classname="cases" name="balance"><properties><property name="input" value="{ASKED}"/>
<property name="output" value="it is 3"/></properties></testcase>
<testcase classname="cases" name="block"><properties><property name="input" value="{BLOCKED}"/></properties>
<failure type="AssertionError" message="no word of the card">assert 'card' in 'no'</failure></testcase>
</testsuite></testsuites>"""


def promptfoo_result(asked: str, answer: str, good: bool) -> dict[str, Any]:
    """One result as promptfoo writes it."""
    reason = "Assertion passed" if good else 'Expected output to contain "3"'
    component = {"pass": good, "score": float(good), "reason": reason, "assertion": {"type": "contains", "value": "3"}}
    chat = orjson.dumps([{"role": "system", "content": "Be a bank."}, {"role": "user", "content": asked}]).decode()
    result = {
        "id": f"id-{asked}",
        "promptId": "418e0c9c5ec4063d0f2dc72eb5eca386",
        "promptIdx": 0,
        "testIdx": 0,
        "provider": {"id": "openai:chat:gpt-9", "label": ""},
        "prompt": {"raw": chat, "label": "chat"},
        "vars": {"question": asked, "locale": "de-DE"},
        "testCase": {"vars": {"question": asked, "locale": "de-DE"}, "assert": [{"type": "contains", "value": "3"}]},
        "response": {"output": answer},
        "success": good,
        "score": float(good),
        "failureReason": 0 if good else 1,
        "metadata": {"_promptfooFileMetadata": {}, "tenant": "acme"},
        "gradingResult": {"pass": good, "score": float(good), "reason": reason, "componentResults": [component]},
    }
    return result if good else result | {"error": reason}


PROMPTFOO_RESULTS = [promptfoo_result(ASKED, "it is 3", True), promptfoo_result(BLOCKED, "no", False)]
PROMPTFOO = {
    "evalId": "eval-abc-2026-03-10T02:00:00",
    "results": {"version": 3, "timestamp": AT, "prompts": [], "results": PROMPTFOO_RESULTS, "stats": {"successes": 1}},
    "config": {"description": "bank"},
}


def inspect_sample(ident: str, asked: str, answer: str, grade: Any) -> dict[str, Any]:
    """One sample as Inspect writes it."""
    messages = [
        {"role": "system", "content": "attachment://abc"},
        {"role": "user", "content": asked, "source": "input"},
        {"role": "assistant", "content": answer, "source": "generate"},
    ]
    return {
        "id": ident,
        "epoch": 1,
        "input": [{"role": "user", "content": asked}],
        "target": "3",
        "messages": messages,
        "output": {"model": "gpt-9-0301", "choices": [{"message": messages[2], "stop_reason": "stop"}]},
        "scores": {"includes": {"value": grade, "answer": answer, "explanation": f"said: {answer}"}},
        "metadata": {"locale": "de-DE"},
        "events": [{"event": "model", "tools": [{"name": "block_card"}]}],
        "attachments": {"abc": "Be a bank."},
        "uuid": f"uuid-{ident}",
    }


SAMPLES = [inspect_sample("balance", ASKED, "it is 3", "C"), inspect_sample("block", BLOCKED, "no", "I")]
INSPECT_HEADER = {
    "version": 2,
    "status": "success",
    "eval": {
        "eval_id": "PY4",
        "run_id": "AcM",
        "created": AT,
        "task": "bank",
        "model": "openai/gpt-9",
        "dataset": {"samples": 2, "sample_ids": ["balance", "block"]},
    },
}
INSPECT = INSPECT_HEADER | {"samples": SAMPLES}


def archive(header: Any = INSPECT_HEADER, samples: Any = SAMPLES) -> bytes:
    """The same log as `.eval`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("header.json", orjson.dumps(header))
        for sample in samples:
            made.writestr(f"samples/{sample['id']}_epoch_1.json", orjson.dumps(sample))
    return buffer.getvalue()


def metric(good: bool, **more: Any) -> dict[str, Any]:
    """What a metric of DeepEval measured."""
    return {"name": "Contains", "threshold": 0.5, "success": good, "score": float(good), "reason": f"{good}", **more}


DEEPEVAL = {
    "testFile": "test_bank.py",
    "testCases": [
        {"name": "test_case_0", "input": ASKED, "actualOutput": "it is 3", "expectedOutput": "3", "success": True,
         "metricsData": [metric(True)], "metadata": {"locale": "de-DE"}},
        {"name": "blocking", "input": BLOCKED, "actualOutput": "no", "success": False, "metricsData": [metric(False)]},
    ],
    "conversationalTestCases": [],
    "metricsScores": [],
    "hyperparameters": {"model": "gpt-9", "temperature": 0},
    "testPassed": 1,
    "testFailed": 1,
}  # fmt: skip

PYTEST = {
    "created": 1773108000.0,
    "exitcode": 1,
    "root": "/home/ci/bank",
    "summary": {"passed": 1, "failed": 1, "total": 2},
    "tests": [
        {"nodeid": "test_bank.py::test_balance", "outcome": "passed", "call": {"outcome": "passed"},
         "metadata": {"input": ASKED, "model": "gpt-9"}, "user_properties": [{"locale": "de-DE"}]},
        {"nodeid": "test_bank.py::test_block", "outcome": "failed", "metadata": {"input": BLOCKED},
         "call": {"outcome": "failed", "crash": {"message": "assert 0"}, "longrepr": "E  assert 0"}},
    ],
}  # fmt: skip

REPORTS: dict[str, Callable[[], bytes]] = {
    "junit.xml": JUNIT.encode,
    "promptfoo.json": lambda: orjson.dumps(PROMPTFOO),
    "promptfoo.jsonl": lambda: b"\n".join(map(orjson.dumps, PROMPTFOO_RESULTS)),
    "inspect.json": lambda: orjson.dumps(INSPECT),
    "inspect.eval": archive,
    "test_run_20260310_020000.json": lambda: orjson.dumps(DEEPEVAL),
    "pytest.json": lambda: orjson.dumps(PYTEST),
}
"""Every format, by the name of a file."""
