"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lacking import lacking

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded data and the replay kit: beside the checkout, or where UNQUIET_SHARED points."""
    folder = Path(os.environ.get("UNQUIET_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        lacking(f"no recorded data at {folder}: set UNQUIET_SHARED to the folder that holds data/ and replay/")
    return folder
