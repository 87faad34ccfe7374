"""`unquiet export-evals` on a folder: files, the summary, what is never written, and what is refused."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regression_worlds import TOLD, hostile_suite, incident_folder, write
from unquiet.app.asserting import reading
from unquiet.cli.commands import unquiet
from unquiet.model.errors import ConfigError, UnquietError
from unquiet.regression import BUILT_IN, recorded_files

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return incident_folder(tmp_path_factory.mktemp("export") / "db")


@pytest.fixture
def run(folder: Path) -> Run:
    def invoke(form: str, out: Path, *more: str, incident: str = TOLD.incident) -> Result:
        arguments = ["export-evals", incident, "--format", form, "--out", str(out), "--db", str(folder), *more]
        return CliRunner().invoke(unquiet, arguments)

    return invoke


def ran(file: Path, recorded: Path, when: str) -> str:
    """The last line of pytest on an exported module, answered by what was recorded before or after."""
    environment = {**os.environ, "PYTHONPATH": str(recorded), "UNQUIET_AGENT": f"recorded_agent:{when}"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        str(file),
    ]
    done = subprocess.run(
        command, env=environment, cwd=file.parent, capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout.strip().splitlines()[-1]


def test_an_exported_module_passes_before_and_fails_after(run: Run, tmp_path: Path) -> None:
    done = run("pytest", tmp_path / "test_away.py", "--cases", "7", "--recorded", str(tmp_path / "rec"), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["schema"] == "unquiet.export-evals/1"
    assert len(told["cases"]) == 7
    assert all(case["sources"]["before"] and case["sources"]["after"] for case in told["cases"])
    assert told["held_out"]["after"]["failed"] > 0.9 * told["held_out"]["after"]["sessions"]
    assert ran(tmp_path / "test_away.py", tmp_path / "rec", "before").startswith("7 passed")
    assert ran(tmp_path / "test_away.py", tmp_path / "rec", "after").startswith("7 failed")


@pytest.mark.parametrize("form", [each.name for each in BUILT_IN])
def test_nobody_is_named_in_any_format(run: Run, form: str, tmp_path: Path) -> None:
    chosen = next(each for each in BUILT_IN if each.name == form)
    out = tmp_path / f"out{chosen.suffix}"
    done = run(form, out)
    assert done.exit_code == 0, done.output
    texts = [path.read_text() for path in ([out] if chosen.suffix else out.iterdir())]
    assert any("[email]" in text and "[user]" in text for text in texts)
    assert not any("person-" in text or "@example.org" in text or "session-" in text for text in texts)
    assert TOLD.incident in done.output


def test_hostile_requests_do_not_break_a_module(tmp_path: Path) -> None:
    made = hostile_suite()
    recorded = write(recorded_files(made), tmp_path / "rec")
    for form in BUILT_IN:
        for name, text in form.files(made).items():
            if name.endswith(".py"):
                ast.parse(text)
            if name.endswith(".jsonl"):
                assert [json.loads(line)["requests"] for line in text.split("\n") if line] == [
                    list(case.requests) for case in made.cases
                ]
    pytest_form = next(each for each in BUILT_IN if each.name == "pytest")
    folder = write(pytest_form.files(made), tmp_path / "t")
    assert ran(folder / "test_regression.py", recorded, "before").startswith(f"{len(made.cases)} passed")
    assert ran(folder / "test_regression.py", recorded, "after").startswith(f"{len(made.cases)} failed")


def test_what_cannot_be_exported_is_said(run: Run, tmp_path: Path) -> None:
    def said(result: Result) -> str:
        assert isinstance(result.exception, UnquietError)
        return str(result.exception)

    assert "ends in .py" in said(run("pytest", tmp_path / "x.txt"))
    assert "there is no folder" in said(run("pytest", tmp_path / "no" / "x.py"))
    assert "a folder is there" in said(run("jsonl", _made(tmp_path / "d.jsonl")))
    (tmp_path / "file").write_text("")
    assert "Name a folder" in said(run("promptfoo", tmp_path / "file"))
    assert "no incident x" in said(run("jsonl", tmp_path / "x.jsonl", incident="x"))
    assert "change of what users ask" in said(run("jsonl", tmp_path / "x.jsonl", incident="20260311-000000"))
    assert not (tmp_path / "x.jsonl").exists()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_signal_of_one_answer() -> None:
    assert (reading("refusal", "Help me", "I'm sorry, but I can't help with that.") or 0) >= 0.5
    assert (reading("refusal", "Help me", "Sure, it is on the second shelf.") or 0) < 0.5
    with pytest.raises(ConfigError, match="Export the cases again"):
        reading("no_such", "a", "b")
