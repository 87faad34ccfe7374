"""Exported files in their own tools: they pass on what was answered before and fail on what was answered since."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eval_tools import installed, run
from regression_worlds import THINGS, hostile_suite, suite, write
from unquiet.regression import BUILT_IN, Suite, recorded_files

pytestmark = pytest.mark.tools

FORMATS = {each.name: each for each in BUILT_IN}
SRC = Path(__file__).resolve().parent.parent / "src"
Counts = tuple[int, int]


def with_a_signal() -> Suite:
    """One that only unquiet tells: refusals in so many words that none is shared."""
    made = suite(lambda i, text: (f"I'm sorry, but I can't help with that {THINGS[i % 10]}.", None))
    measured = {"kind": "signal", "signal": "refusal", "want": False, "said": "not: refuses"}
    return replace(made, cases=tuple(replace(case, assertions=(measured,)) for case in made.cases))


def promptfoo(made: Suite, folder: Path, root: Path, when: str) -> Counts:
    program = installed("promptfoo", root)
    write(recorded_files(made), folder / "rec")
    write(FORMATS["promptfoo"].files(made), folder / "pf")
    out = folder / f"{when}.json"
    said = run(
        [program, "eval", "-c", folder / "pf" / "promptfooconfig.yaml", "--no-cache", "-o", out],
        folder,
        UNQUIET_PROVIDER=f"file://{folder / 'rec' / 'recorded_provider.js'}",
        UNQUIET_WHEN=when,
        PROMPTFOO_DISABLE_TELEMETRY="1",
        PROMPTFOO_DISABLE_UPDATE="1",
        PROMPTFOO_PYTHON=sys.executable,
        PYTHONPATH=str(SRC),
    )
    assert out.is_file(), said
    results = json.loads(out.read_text())["results"]["results"]
    asked = [json.loads(each["prompt"]["raw"])[-1]["content"] for each in results]
    assert set(asked) == {request for case in made.cases for request in case.requests}
    assert [each["error"] for each in results if not each["success"] and not each["gradingResult"]] == []
    checked = [each["success"] for each in results if each["testCase"].get("assert")]
    return sum(checked), len(checked) - sum(checked)


def inspect(made: Suite, folder: Path, root: Path, when: str) -> Counts:
    program = installed("inspect-ai", root)
    recorded = write(recorded_files(made), folder / "rec")
    task = write(FORMATS["inspect"].files(made), folder / "task")
    logs = folder / f"logs_{when}"
    said = run(
        [
            program,
            "eval",
            "task.py",
            "--model",
            "mockllm/model",
            "--display",
            "plain",
            "--log-format",
            "json",
            "--log-dir",
            logs,
        ],
        task,
        UNQUIET_AGENT=f"recorded_agent:{when}",
        PYTHONPATH=str(recorded),
    )
    found = list(logs.glob("*.json"))
    assert found, said
    values = [each["scores"]["as_before"]["value"] for each in json.loads(found[0].read_text())["samples"]]
    return values.count("C"), values.count("I")


def deepeval(made: Suite, folder: Path, root: Path, when: str) -> Counts:
    program = installed("deepeval", root)
    recorded = write(recorded_files(made), folder / "rec")
    tests = write(FORMATS["deepeval"].files(made), folder / "de")
    said = run(
        [program, "test", "run", "test_regression.py"],
        tests,
        UNQUIET_AGENT=f"recorded_agent:{when}",
        PYTHONPATH=str(recorded),
        DEEPEVAL_TELEMETRY_OPT_OUT="YES",
    )
    found = re.search(r"Pass Rate: [\d.]+% \| Passed: (\d+) \| Failed: (\d+)", said)
    assert found, said
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("tool", [promptfoo, inspect, deepeval], ids=["promptfoo", "inspect", "deepeval"])
def test_passes_before_and_fails_after(
    tool: Callable[[Suite, Path, Path, str], Counts], tmp_path: Path, root: Path
) -> None:
    made = hostile_suite()
    assert tool(made, tmp_path, root, "before") == (len(made.cases), 0)
    assert tool(made, tmp_path, root, "after") == (0, len(made.cases))


def test_promptfoo_reads_every_kind_of_assertion_as_it_was_measured(tmp_path: Path, root: Path) -> None:
    """Answers of each kind of change: the JavaScript says what the Python said."""
    changes = {
        "length": lambda _, text: ("Ok.", ["find_order"]),
        "fence": lambda _, text: (f"```\n{text}\n```", ["find_order"]),
        "calls": lambda _, text: (text, []),
        "script": lambda i, text: ("Ваш заказ уже в пути и скоро будет у вас, спасибо", ["find_order"]),
        "japanese": lambda i, text: (f"申し訳ありませんが、{THINGS[i % 10]}についてはお答えできません", ["find_order"]),
    }
    for name, change in changes.items():
        made = suite(change, count=3)
        folder = tmp_path / name
        folder.mkdir()
        assert promptfoo(made, folder, root, "before") == (len(made.cases), 0), name
        assert promptfoo(made, folder, root, "after") == (0, len(made.cases)), name


def test_promptfoo_asks_unquiet_where_nothing_else_tells(tmp_path: Path, root: Path) -> None:
    made = with_a_signal()
    assert made.needs_unquiet
    assert promptfoo(made, tmp_path, root, "before") == (len(made.cases), 0)
    assert promptfoo(made, tmp_path, root, "after") == (0, len(made.cases))
