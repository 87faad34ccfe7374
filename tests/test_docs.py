"""Documentation as tests: links lead somewhere, commands exist, generated pages are what the code says."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(?P<kind>[a-z]*)\n(?P<body>.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
COMMANDS = {
    "demo", "scan", "incidents", "incident", "measure", "status", "label", "judge", "serve", "alerts", "mark",
    "acknowledge", "unacknowledge", "accept", "mute", "unmute", "forget", "why-green", "evals", "coverage", "export-evals",
    "voices", "drill", "ui",
}  # fmt: skip
GENERATED = ("signals.md", "cli.md", "configuration.md", "metrics.md", "conditions.md", "pages.md", "api.md")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.strip().replace(" ", "-")


def broken_links(path: Path) -> list[str]:
    broken = []
    for match in LINK.finditer(prose(path)):
        target = match["target"]
        if target.startswith(("https://", "mailto:")):
            continue
        place, _, part = target.partition("#")
        goal = (path.parent / place).resolve() if place else path
        if not goal.exists() or (
            part and part not in {anchor(h["text"]) for h in HEADING.finditer(goal.read_text(encoding="utf-8"))}
        ):
            broken.append(target)
    return broken


def console_lines(path: Path) -> Iterator[str]:
    """Every `$ unquiet ...` of a page's console blocks, continued lines joined."""
    for block in FENCE.finditer(path.read_text(encoding="utf-8")):
        if block["kind"] == "console":
            for line in block["body"].replace("\\\n", " ").splitlines():
                if line.startswith("$ unquiet"):
                    yield line.removeprefix("$ ")


def problem_with(line: str, group: click.Group) -> str | None:
    """Why a shell line is no real command, None if it is one. Only names are looked at, not values."""
    words = shlex.split(line, comments=True)
    ends = [i for i, word in enumerate(words) if word in {">", ">>", "|", "&&", ";", "2>"}]
    words = words[1 : ends[0] if ends else None]
    if not words:
        return None
    command = group.commands.get(words[0])
    if command is None:
        return f"no command {words[0]!r}"
    if isinstance(command, click.Group) and len(words) > 1 and not words[1].startswith("-"):
        return problem_with(shlex.join(words), command)
    context = click.Context(command, info_name=words[0], parent=click.Context(group))
    try:
        values, left, _ = command.make_parser(context).parse_args(args=words[1:])
    except click.UsageError as error:
        return error.format_message()
    if left:
        return f"too many arguments: {left}"
    for parameter in command.params:
        given = values.get(parameter.name or "")
        if parameter.required and (given in (None, ()) or given is getattr(click.core, "UNSET", None)):
            return f"{parameter.human_readable_name} is missing"
    return None


def loaded(path: Path) -> ModuleType:
    """A script that is no part of the package, as a module."""
    spec = importlib.util.spec_from_file_location(f"{path.stem}_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return loaded(ROOT / "docs" / "generate.py")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []


@pytest.mark.parametrize("path", [page for page in PAGES if any(console_lines(page))], ids=name_of)
def test_console_blocks_are_real_commands(path: Path, generate: ModuleType) -> None:
    group = generate.group()
    problems = {line: problem_with(line, group) for line in console_lines(path)}
    assert {line: problem for line, problem in problems.items() if problem} == {}


def test_the_checks_bite(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here\n[a](nowhere.md) [b](#here) [c](#there)\n```console\n$ unquiet x \\\n  --y\n```\n")
    assert broken_links(page) == ["nowhere.md", "#there"]
    assert list(console_lines(page)) == ["unquiet x    --y"]

    @click.group()
    def group() -> None: ...

    @group.command()
    @click.argument("path")
    @click.option("--db")
    def read(path: str, db: str) -> None: ...

    assert problem_with("unquiet read a --db b > c", group) is None
    assert problem_with("unquiet --help", group) == "no command '--help'"
    assert "No such option" in (problem_with("unquiet read a --dbx b", group) or "")
    assert problem_with("unquiet read", group) == "PATH is missing"
    assert problem_with("unquiet read a b", group) == "too many arguments: ['b']"

    @group.group()
    def inner() -> None: ...

    inner.add_command(read)
    assert problem_with("unquiet inner read a", group) is None
    assert problem_with("unquiet inner read", group) == "PATH is missing"
    assert problem_with("unquiet inner rid a", group) == "no command 'rid'"


def test_every_command_is_documented_and_every_documented_command_exists(generate: ModuleType) -> None:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    documented = re.findall(r"^## `unquiet ([a-z-]+)`$", text, re.MULTILINE)
    assert len(documented) == len(set(documented))
    visible = {name for name, command in generate.group().commands.items() if not command.hidden}
    assert set(documented) == visible
    assert visible >= COMMANDS
    assert set(re.findall(r"<!-- options: ([a-z-]+) -->", text)) == visible


@pytest.mark.parametrize("name", GENERATED)
def test_generated_page_is_up_to_date(name: str, generate: ModuleType) -> None:
    assert set(generate.PAGES) == set(GENERATED)
    written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == generate.PAGES[name](), "run make docs"


def test_glossary_has_each_word_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    words = rows[1:]
    assert len(words) > 20
    assert len(words) == len({word.lower() for word in words})


def test_every_page_is_reachable() -> None:
    """From the index and the readme, by links."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md", ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = [m["target"].partition("#")[0] for m in LINK.finditer(prose(page))]
        goals = [(page.parent / target).resolve() for target in targets if target.endswith(".md")]
        waiting += [goal for goal in goals if goal.exists()]
    assert [name_of(page) for page in PAGES if page not in seen] == []


def test_version_is_said_once() -> None:
    from unquiet import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
