"""The layers of pyproject.toml hold on the tree, and a planted violation breaks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """import-linter's verdict on the package in `tree/src`, by the contracts in `tree/pyproject.toml`."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--config", str(tree / "pyproject.toml"), "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contracts."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_hold() -> None:
    verdict = lint(ROOT)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


PLANTED = {
    "a stage knows its sibling": ("signals/planted.py", "import unquiet.store\n"),
    "a stage knows the chain": ("detectors/planted.py", "import unquiet.pipeline\n"),
    "the model knows a stage": ("model/planted.py", "import unquiet.sources\n"),
    "SQL leaves the store": ("incidents/planted.py", "import duckdb\n"),
    "a module without a floor": ("planted.py", '"""In no layer."""\n'),
}


@pytest.mark.parametrize(("place", "code"), PLANTED.values(), ids=PLANTED)
def test_planted_violation_is_found(copy: Path, place: str, code: str) -> None:
    (copy / "src" / "unquiet" / place).write_text(code, encoding="utf-8")
    verdict = lint(copy)
    assert verdict.returncode == 1, verdict.stdout + verdict.stderr
    assert "planted" in verdict.stdout


def test_every_package_but_the_store_is_kept_from_sql() -> None:
    """The list of the SQL contract is written out: a new package must not slip past it."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [c for c in config["tool"]["importlinter"]["contracts"] if c["type"] == "forbidden"]
    folder = ROOT / "src" / "unquiet"
    names = {p.name.removesuffix(".py") for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    kept = {f"unquiet.{name}" for name in names - {"__init__", "__main__", "store"}}
    assert set(contract["source_modules"]) == kept
