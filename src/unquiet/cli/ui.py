"""`unquiet ui`: the pages over a scanned folder, on this machine."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import webbrowser
from pathlib import Path

import click

from unquiet.app.folders import known_folder
from unquiet.cli.options import found_at, read_db
from unquiet.model.errors import DoorError, StoreError
from unquiet.service.asking import ended_without_a_word, served
from unquiet.store import DATABASE

HOST, PORT = "127.0.0.1", 8322
STOP_S = 3.0


@click.command("ui", short_help="Show the pages of a folder in a browser.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: one that is free.")
@click.option("--open", "in_browser", is_flag=True, help="Open them in the browser of this machine.")
@read_db
def ui_command(port: int, in_browser: bool, db: Path | None) -> None:
    """Show the pages of a folder: what is different now, incidents, changes, status. Only this machine can reach them.

    \b
    unquiet ui
    unquiet ui --db history --open
    """  # noqa: D301
    folder = known_folder(db)
    service = served(folder, os.environ)
    if service is not None:
        _say(f"{service.url}/now", in_browser)
        click.echo("a service runs over this folder and shows them there", err=True)
        return
    if not (folder / DATABASE).is_file():
        raise StoreError(f"{folder} holds nothing yet. Run `unquiet scan PATH --db {folder}` first.")
    with _listen(port) as listening:
        _show(folder, listening, in_browser)


def _show(folder: Path, listening: socket.socket, in_browser: bool) -> None:
    """Serve until SIGINT or SIGTERM."""
    # They bring the web along, and other commands would wait for that.
    import uvicorn

    from unquiet.web.access import Access
    from unquiet.web.app import make_pages
    from unquiet.web.folder import FolderShown

    shown = FolderShown(folder, _now_us, lambda: ended_without_a_word(folder), found_at(folder))
    settings = uvicorn.Config(
        make_pages(shown, Access(), _now_us), log_level="warning", access_log=False, server_header=False, lifespan="off"
    )
    server, stop = uvicorn.Server(settings), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="pages", daemon=True)
    thread.start()
    _say(f"http://{HOST}:{listening.getsockname()[1]}/now", in_browser)
    click.echo(f"the pages of {folder}; stop with Ctrl-C", err=True)
    while not stop.wait(0.5) and thread.is_alive():
        continue
    server.should_exit = True
    thread.join(STOP_S)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise DoorError(
            f"{HOST}:{port} cannot be opened: {why}. Choose another with --port; 0 takes one that is free."
        ) from error


def _say(url: str, in_browser: bool) -> None:
    click.echo(url)
    if in_browser:
        webbrowser.open(url)


def _now_us() -> int:
    return time.time_ns() // 1000
