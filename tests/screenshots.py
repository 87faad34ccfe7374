"""Every page of a folder as a picture: python tests/screenshots.py FOLDER OUT.

Beside the pages of the folder: quiet and hostile ones, the form to log in, and an error.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from playwright.sync_api import Browser

from browsers import SCHEMES, SIZES, browsing, serving_app
from test_pages_browser import quiet
from test_web_pages import hostile
from unquiet.web.access import Access
from unquiet.web.app import make_pages
from unquiet.web.folder import FolderShown
from web_backends import ID, app_of

PLAIN = ("/now", "/changes", "/status")


def shots(folder: Path) -> list[tuple[str, FastAPI, tuple[str, ...]]]:
    """What is shown: a name, an app and its paths."""

    def now_us() -> int:
        return time.time_ns() // 1000

    shown = FolderShown(folder, now_us, lambda: False)
    incidents = tuple(f"/incidents/{each['id']}" for each in shown.incidents(None)[:3])
    closed = Access(read_tokens={"x": "y"})
    return [
        ("folder", make_pages(shown, Access(), now_us), (*PLAIN, *incidents, "/nothing-here")),
        ("quiet", app_of(quiet()), PLAIN),
        ("hostile", app_of(hostile()), (*PLAIN, f"/incidents/{ID}")),
        ("closed", app_of(quiet(), closed), ("/now",)),
    ]


def take(browser: Browser, base: str, path: str, out: Path, name: str) -> None:
    """One page, at both sizes and in both schemes."""
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
            page = browser.new_page(**options, timezone_id="Europe/Berlin", locale="en-GB")
            page.goto(base + path)
            page.screenshot(path=out / f"{name}-{size}-{scheme}.png", full_page=True)
            page.close()


def main(words: list[str]) -> None:
    """Take all of them."""
    folder, out = Path(words[0]), Path(words[1])
    out.mkdir(parents=True, exist_ok=True)
    with browsing() as browser:
        for name, app, paths in shots(folder):
            with serving_app(app) as base:
                for path in paths:
                    take(browser, base, path, out, f"{name}-{path.strip('/').replace('/', '-')}")
    sys.stdout.write(f"{len(list(out.glob('*.png')))} pictures in {out}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
