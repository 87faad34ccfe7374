"""House rules that no linter holds: short functions and modules, one home for SQL and attribute names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "unquiet"
MODULES = sorted(SRC.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FUNCTION_LINES = 40
MODULE_LINES = 400
BANNED_NAMES = {"util", "utils", "common", "helper", "helpers", "core", "manager", "misc"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
SQL = re.compile(
    r"\b(SELECT\s+.+\s+FROM|INSERT\s+INTO|DELETE\s+FROM|CREATE\s+(OR\s+REPLACE\s+)?(TABLE|VIEW|INDEX|SCHEMA)"
    r"|UPDATE\s+\w+\s+SET|ALTER\s+TABLE|DROP\s+(TABLE|VIEW)|COPY\s+\w+\s+TO)\b",
    re.DOTALL,
)
SKIPS = {"skip", "skipif", "importorskip", "xfail", "skipIf", "skipUnless", "SkipTest", "skipTest"}
ATTRIBUTE_NAMES = ("gen_ai.", "openinference.", "traceloop.", "langfuse.", "langsmith.", "llm.input_messages")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(SRC))


def home(path: Path) -> str:
    """The top-level package or module that a file belongs to."""
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def docstring(node: ast.AST) -> ast.Constant | None:
    body = getattr(node, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value
    return None


def body_lines(function: Function) -> int:
    body = function.body[1:] if docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def long_functions(source: str) -> list[str]:
    return [
        f"{node.name} has {body_lines(node)} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, Function) and body_lines(node) > FUNCTION_LINES
    ]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Every string of a module that is not documentation, with its line; an f-string counts as one."""
    tree = ast.parse(source)
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pieces = [v.value if isinstance(v, ast.Constant) else "x" for v in node.values]
            silent |= {id(v) for v in node.values}
            yield node.lineno, "".join(str(piece) for piece in pieces)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.lineno, node.value


def sql_in(source: str) -> list[str]:
    return [f"line {line}: {text[:60]!r}" for line, text in texts(source) if SQL.search(text)]


def attribute_names_in(source: str) -> list[str]:
    return [f"line {n}: {t[:60]!r}" for n, t in texts(source) if any(name in t for name in ATTRIBUTE_NAMES)]


def prints_in(source: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def skips_in(source: str) -> list[int]:
    """The lines on which a test leaves itself out, by whatever name pytest and unittest give it."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr in SKIPS)
        or (isinstance(node, ast.ImportFrom) and SKIPS & {each.name for each in node.names})
    ]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_tidy(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MODULE_LINES, "split it: one thing a module"
    assert long_functions(source) == []
    assert not BANNED_NAMES & set(path.relative_to(SRC).with_suffix("").parts), "say what it holds"
    assert [n for n, line in enumerate(source.splitlines(), 1) if UNFINISHED.search(line)] == []
    assert docstring(ast.parse(source)) is not None, "a module says what it is for"
    if home(path) != "cli":
        assert prints_in(source) == []
    if home(path) != "store":
        assert sql_in(source) == []
    if home(path) != "conventions":
        assert attribute_names_in(source) == []


def test_only_the_helper_skips() -> None:
    """A test that skips where it should fail is green about nothing: lacking() fails in CI."""
    skipping = {str(path.relative_to(ROOT)) for path in TESTS if skips_in(path.read_text(encoding="utf-8"))}
    assert skipping == {"tests/lacking.py"}


def test_the_rules_bite() -> None:
    """Each check finds what it is for, and lets documentation speak of it."""
    long = "def f():\n    'doc'\n" + "    x = 1\n" * 41
    assert long_functions(long) == ["f has 41 lines"]
    assert long_functions(long.replace("    x = 1\n", "", 1)) == []
    assert sql_in("table = 't'\nq = f'SELECT a FROM {table}'")
    assert sql_in("'''SELECT a FROM b: only said in a docstring'''") == []
    assert attribute_names_in("k = 'gen_ai.request.model'")
    assert prints_in("print('x')") == [1]
    for skip in ("pytest.skip('x')", "@pytest.mark.skipif(True)\ndef f(): ...", "pytest.importorskip('x')"):
        assert skips_in(skip) == [1]
    assert skips_in("from pytest import skip") == [1]
    assert skips_in("skip = 'pytest.skip'") == []
    assert UNFINISHED.search("raise NotImplementedError")


def test_no_machine_in_the_tree() -> None:
    """No path of a build machine and no package index address in any file that is kept."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else [str(p) for p in MODULES]
    places = re.compile(r"/(?:w[o]rk|f[a]rm)/[a-z]|/r[o]ot/|python[h]osted|p[y]pi[.]org|n[p]mjs[.]")
    found = []
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file() and path.stat().st_size < 2_000_000:
            text = path.read_bytes().decode("utf-8", "replace")
            found += [f"{name}:{n}" for n, line in enumerate(text.splitlines(), 1) if places.search(line)]
    assert found == []


def test_locked_requirements_are_complete() -> None:
    """Every dependency of pyproject.toml is pinned and hashed; no lock file names an address or option."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    wanted = {
        "runtime": project["project"]["dependencies"] + groups["build"],
        "dev": project["project"]["dependencies"] + groups["build"] + groups["dev"],
        "bench": project["project"]["dependencies"] + groups["build"] + groups["bench"],
    }
    for name, dependencies in wanted.items():
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        pinned = {line.split("==")[0] for line in text.splitlines() if re.match(r"[a-z0-9]", line)}
        asked = {re.split(r"[\[<>=!~; ]", spec, maxsplit=1)[0].lower().replace("_", "-") for spec in dependencies}
        assert asked <= pinned, f"requirements/{name}.txt is out of date: run make lock"
        assert not re.search(r"://|^-|@ file", text, re.MULTILINE)
        entries = re.split(r"\n(?=[a-z0-9])", text.strip())
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_wheel_holds_every_file(tmp_path: Path) -> None:
    """What is installed from a wheel is the whole package, its data files included."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {
        str(path.relative_to(SRC.parent))
        for path in SRC.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - packed == set()
