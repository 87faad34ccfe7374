"""Commands that read all of the traffic, beside the service that owns the folder and goes on taking traffic meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from serve_stories import LEARN_DAYS, tell
from serve_worlds import Service, request_of, send, serving, until
from test_serve_life import QUICK, rows
from unquiet.cli.commands import unquiet
from unquiet.store import Store, copied
from unquiet.store.copying import PLACE, remove_copies

JUNIT = '<testsuite name="bank" timestamp="{}"><testcase name="a refund"/><testcase name="a card"/></testsuite>'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over a folder in which a scan found an incident."""
    home = tmp_path_factory.mktemp("beside")
    tale = tell(home / "tale")
    traffic = home / "turns.jsonl"
    traffic.write_text("".join(json.dumps(row) + "\n" for row in tale.rows))
    arguments = ["scan", str(traffic), "--db", str(home / "data"), "--learn-days", str(LEARN_DAYS), "--json"]
    found = CliRunner().invoke(unquiet, arguments)
    assert found.exit_code == 0, found.output
    with serving(home, f"{QUICK}learn_days = {LEARN_DAYS}\n") as running:
        yield running


def incident_of(service: Service) -> str:
    return until(lambda: service.get("incidents")["incidents"])[0]["id"]


@pytest.fixture
def traffic(service: Service) -> Iterator[None]:
    """New sessions all the time, a few of them every few milliseconds."""
    over = threading.Event()

    def feed() -> None:
        number = 0
        while not over.wait(0.02):
            send(service, request_of(rows(3, first=number)))
            number += 3

    feeding = threading.Thread(target=feed)
    feeding.start()
    yield
    over.set()
    feeding.join()


def test_what_an_engineer_on_call_asks_is_answered(service: Service, traffic: None, tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(JUNIT.format(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")))
    assert service.run("evals", str(report)).returncode == 0
    incident = incident_of(service)
    asked = {
        "why-green": [incident, "--json"],
        "gap": ["--json"],
        "report": [incident, "--json"],
        "export-evals": [incident, "--format", "pytest", "--out", str(tmp_path / "test_it.py"), "--json"],
    }
    for command, arguments in asked.items():
        done = service.run(command, *arguments)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["schema"] == f"unquiet.{command}/1"
        assert f"{service.folder} is in use: read as of " in done.stderr
        assert ", traffic until " in done.stderr
    assert "not looked at: the dashboards" not in service.run("report", incident).stdout
    assert (tmp_path / "test_it.py").is_file()
    for command in (["voices"], ["evals"], ["changes"], ["incidents"], ["status"]):
        done = service.run(*command)
        assert (done.returncode, done.stderr) == (0, "")
    assert list((service.folder / PLACE).iterdir()) == []


def test_what_the_service_took_is_there_a_moment_later(service: Service) -> None:
    assert send(service, request_of(rows(1, first=9_999, session_id="just-now"))) == 200
    until(lambda: service.get("turns?session=just-now")["turns"])

    def there() -> bool:
        with copied(service.folder) as copy, Store.open(copy, create=False) as store:
            return store.turns_of_sessions(["just-now"]).num_rows == 1

    assert until(there)


def test_every_copy_made_under_load_is_whole(service: Service, traffic: None) -> None:
    """Opening a folder checks that every file of its manifest is there in full."""
    counts: list[int] = []
    for _ in range(15):
        with copied(service.folder) as copy, Store.open(copy, create=False) as store:
            counts.append(store.turn_extent().count)
            assert store.incidents()
    assert counts == sorted(counts)


def test_what_is_written_into_a_copy_stays_there(tmp_path: Path) -> None:
    with Store.open(tmp_path / "data") as owned:
        owned.put_setting("a", 1)
        with copied(tmp_path / "data") as copy, Store.open(copy, create=False) as store:
            assert store.get_setting("a") == 1
            store.put_setting("a", 2)
        assert owned.get_setting("a") == 1
    assert not copy.exists()


def test_the_copy_of_a_reader_that_was_killed_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    Store.open(folder).close()
    reads = (
        "import pathlib, sys, time\n"
        "from unquiet.store import Store, copied\n"
        "with copied(pathlib.Path(sys.argv[1])) as copy, Store.open(copy, create=False):\n"
        "    print(copy, flush=True)\n"
        "    time.sleep(600)\n"
    )
    reader = subprocess.Popen([sys.executable, "-c", reads, str(folder)], stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    copy = Path(reader.stdout.readline().strip())
    remove_copies(folder)
    assert copy.is_dir(), "its reader lives"
    os.kill(reader.pid, signal.SIGKILL)
    reader.communicate()
    Store.open(folder).close()
    assert copy.is_dir(), "it may be one that is being made"
    os.utime(copy, (0, 0))
    Store.open(folder).close()
    assert not copy.exists()


def test_forgetting_leaves_no_copy(tmp_path: Path) -> None:
    with Store.open(tmp_path / "data") as store, copied(tmp_path / "data") as copy:
        store.removal.check_gone([])
        assert not copy.exists()
        copy.mkdir()
