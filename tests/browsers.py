"""A browser for the tests: Debian's Chromium, driven by Playwright; and pages served to it from this process."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright

from lacking import lacking

NAMES = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"wide": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")


def program() -> str | None:
    """The browser of this machine: UNQUIET_CHROMIUM, or the first that is found; None where there is none."""
    named = os.environ.get("UNQUIET_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """A browser. Without one the test is skipped, in CI it fails."""
    path = program()
    if path is None:
        lacking("there is no Chromium: install it (Debian: apt install chromium), or name it with UNQUIET_CHROMIUM")
    with sync_playwright() as playwright:
        # As root, and in containers, its sandbox does not start; it sees our own pages only.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def serving_app(app: FastAPI, host: str = "127.0.0.1") -> Iterator[str]:
    """An app behind a real port; its address."""
    with socket.create_server((host, 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def axe_script() -> str:
    """axe-core, as the package of the tests brings it along."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
