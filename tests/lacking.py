"""What a test does where the machine lacks what it needs: the only place that skips, held by test_tidy.py."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

FULL = Path("/dev/full")


def in_ci() -> bool:
    """Whether these tests are the ones that are relied on: CI=true."""
    return os.environ.get("CI", "").lower() == "true"


def lacking(reason: str) -> NoReturn:
    """Fails in CI, where whatever is lacking can be installed; skips on anybody's own machine.

    Args:
        reason: what is lacking, and how to come by it.
    """
    if in_ci():
        pytest.fail(f"{reason}; in CI no test is skipped", pytrace=False)
    pytest.skip(reason)


def needs_program(name: str) -> None:
    """Goes on only where a program is on PATH."""
    if shutil.which(name) is None:
        lacking(f"{name} is not installed")


def needs_full_device() -> None:
    """Goes on only where there is a device that takes no byte."""
    if not FULL.exists():
        lacking(f"this system has no {FULL}, the device that is always full")
