"""`unquiet serve` from a terminal: what it says at start and at the end, and the commands beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import unquiet as package
from unquiet.cli import unquiet

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("UNQUIET_", "OTEL_"))} | {
    "PYTHONPATH": str(Path(package.__file__).parents[1]),
    "UNQUIET_DOORS_HTTP": "127.0.0.1:0",
    "UNQUIET_DOORS_GRPC": "false",
    "UNQUIET_SERVICE_READ": "127.0.0.1:0",
}


def serve(here: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "unquiet", "serve", *arguments],
        cwd=here,
        env={**ENVIRONMENT, **environ},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def lines_until(process: subprocess.Popen[str], last: str) -> Iterator[str]:
    assert process.stderr is not None
    for line in process.stderr:
        yield line.rstrip("\n")
        if line.startswith(last):
            return


def test_a_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNQUIET_DB", raising=False)
    process = serve(tmp_path, "--db", "here")
    try:
        began = list(lines_until(process, "stop it with"))
        assert began[0] == "unquiet 0.1.0 keeps everything in here: 0 turns, no open incident"
        assert began[2].startswith("takes OTLP over HTTP at 127.0.0.1:")
        status = " ".join(CliRunner().invoke(unquiet, ["status"]).output.split())
        assert "service unquiet 0.1.0, up for" in status
        assert "doors HTTP on port" in status
        second = subprocess.run(
            [sys.executable, "-m", "unquiet", "serve", "--db", "here"],
            cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert second.returncode == 2
        assert second.stderr.startswith(
            f"unquiet: here is in use by another unquiet (process {process.pid}). One process"
        )
        assert len(second.stderr.splitlines()) == 1
        # As Ctrl-C in a terminal: to the service and its doors alike.
        os.killpg(process.pid, signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert rest.splitlines() == [
        "stopping: no more is taken, what is under way is finished",
        "stopped; everything that was acknowledged is in here",
    ]
    assert "does not run" not in CliRunner().invoke(unquiet, ["status"]).output


def test_ctrl_c_before_it_began(tmp_path: Path) -> None:
    """A service that is stopped while its doors open ends as well, and says no traceback."""
    process = serve(tmp_path, "--db", "here")
    try:
        while not (tmp_path / "here" / "lock").exists() and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (0, 130)
    assert "Traceback" not in said
