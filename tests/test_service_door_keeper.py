"""The keeper of the door process: it opens again after it was stopped, and survives the signals that stop the service."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from unquiet.model.errors import DoorError
from unquiet.service.door_keeper import DoorKeeper
from unquiet.service.kinds import Address
from unquiet.service.running import listen


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DoorKeeper]:
    monkeypatch.setenv("UNQUIET_DOORS_HTTP", "127.0.0.1:0")
    monkeypatch.setenv("UNQUIET_DOORS_GRPC", "false")
    made = DoorKeeper(tmp_path, None, lambda: 0, lambda: time.time_ns() // 1000)
    yield made
    made.stop()


def health(keeper: DoorKeeper) -> int:
    return httpx.get(f"http://127.0.0.1:{keeper.said['ports']['http']}/healthz", timeout=10).status_code


def test_doors_open_again_and_signals_do_not_end_them(keeper: DoorKeeper, capfd: pytest.CaptureFixture[str]) -> None:
    keeper.start()
    assert health(keeper) == 200
    assert keeper.pid is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(keeper.pid, number)
    assert health(keeper) == 200
    first = keeper.pid
    keeper.stop()
    with pytest.raises(httpx.ConnectError):
        health(keeper)
    keeper.start()
    assert health(keeper) == 200
    assert keeper.pid != first
    assert keeper.starts == 2
    keeper.stop()
    assert capfd.readouterr().err == ""


def test_a_port_in_use_is_said_and_nothing_else(
    keeper: DoorKeeper, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("UNQUIET_DOORS_HTTP", f"127.0.0.1:{port}")
        with pytest.raises(DoorError, match=f"HTTP door cannot be opened at 127.0.0.1:{port}: Address already in use"):
            keeper.start()
        assert capfd.readouterr().err == ""
        with pytest.raises(
            DoorError,
            match=f"127.0.0.1:{port} cannot be opened for API.*: Address already in use. Choose.*SERVICE_READ",
        ):
            listen(Address("127.0.0.1", port))


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(DoorError, match="cannot be opened for API, metrics and health"):
        listen(Address("203.0.113.9", 0))
