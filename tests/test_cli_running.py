"""How a command ends that does not come to its end: by Ctrl-C, or by a mistake in unquiet itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import unquiet
from unquiet.cli import commands, main, running


def end_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["unquiet", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(
    "error", [KeyError("x"), PermissionError(13, "no"), MemoryError()], ids=lambda e: type(e).__name__
)
def test_a_mistake_in_unquiet_is_no_open_incident(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def broken(folder: object) -> None:
        raise error

    monkeypatch.setattr(commands, "known_folder", broken)
    assert end_of(monkeypatch, "incidents") == running.FAILED
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "a mistake in unquiet, not in your data: please report it" in told.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status"], "interrupted; nothing was changed"),
        (["incidents"], "interrupted; nothing was changed"),
        (["label", "refusal", "--report"], "the labels that were given before are kept"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_ctrl_c_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    def stopped(folder: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "known_folder", stopped)
    monkeypatch.setattr("unquiet.cli.labelling.known_folder", stopped)
    assert end_of(monkeypatch, *arguments) == running.INTERRUPTED == 130
    assert said in capsys.readouterr().err


def test_ctrl_c_while_the_program_is_loaded(tmp_path: Path) -> None:
    """At any moment from when Python has come to unquiet's own code until the command runs."""
    begun = "import sys; sys.stdout.write('.'); sys.stdout.flush()\n"
    code = f"from unquiet.cli import main; import sys; sys.argv = ['unquiet', 'measure']\n{begun}main()"
    environment = {**os.environ, "PYTHONPATH": str(Path(unquiet.__file__).parents[1])}
    ends: set[int] = set()
    for delay_s in (0.0, 0.05, 0.1, 0.2, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        assert process.stdout is not None
        assert process.stdout.read(1) == "."
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert "Traceback" not in told
        ends.add(process.returncode)
    assert ends <= {running.INTERRUPTED, running.COULD_NOT_LOOK}
    assert running.INTERRUPTED in ends


def test_wrong_arguments_are_told_like_any_other_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_of(monkeypatch, "scan", "t.jsonl", "--nonsense") == running.COULD_NOT_LOOK
    assert capsys.readouterr().err == "unquiet: No such option '--nonsense'. See `unquiet scan --help`.\n"
