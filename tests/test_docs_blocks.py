"""What stands in the blocks of the documentation: code compiles, names exist, configuration loads, and the ways in work."""

from __future__ import annotations

import ast
import base64
import gzip
import http.server
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from unquiet import cli
from unquiet.service.reading import OURS
from unquiet.service.sections import ALERTS, SECTIONS, keys_of, variable
from unquiet.sources import read_files

ROOT = Path(__file__).resolve().parent.parent
HOW_TO = ROOT / "docs" / "how-to"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
FENCE = re.compile(r"^```(?P<kind>[a-z]*)\n(?P<body>.*?)^```", re.DOTALL | re.MULTILINE)

NOT_INSTALLED = {
    "agents",
    "openinference.instrumentation.langchain",
    "openinference.instrumentation.openai_agents",
    "phoenix.otel",
    "pydantic_ai",
}
"""Modules of how-tos that the tests do without; every other one has to be there."""

SENDERS = {"UNQUIET_TRACES", "UNQUIET_TOKEN"}
"""Variables that how-tos set for an application, not for the service."""

ELSEWHERE = {"UNQUIET_CRASHES", "UNQUIET_JUDGE_KEY", "UNQUIET_SHARED"}
ELSEWHERE |= {"UNQUIET_AGENT", "UNQUIET_PROVIDER", "UNQUIET_WHEN", "UNQUIET_NTH"}


def blocks(path: Path, kind: str) -> list[str]:
    """The blocks of a page of one language."""
    return [match["body"] for match in FENCE.finditer(path.read_text(encoding="utf-8")) if match["kind"] == kind]


def cases(*kinds: str) -> list[Any]:
    """Every block of these languages of all pages, with a name."""
    return [
        pytest.param(body, id=f"{path.stem}-{kind}-{number}")
        for path in PAGES
        for kind in kinds
        for number, body in enumerate(blocks(path, kind), 1)
    ]


def wrong_imports(source: str) -> list[str]:
    """Imported modules and names that do not exist; those of NOT_INSTALLED are taken on trust where they are not there."""
    wrong: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            wanted = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        wrong += [f"{module}: {name}" for module, name in wanted if not exists(module, name)]
    return wrong


def exists(module: str, name: str | None) -> bool:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return module in NOT_INSTALLED
    if name is None or hasattr(found, name):
        return True
    return hasattr(found, "__path__") and importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("source", cases("python"))
def test_python_compiles_and_imports_what_exists(source: str) -> None:
    compile(source, "block", "exec")
    if "yourpackage" not in source:
        assert wrong_imports(source) == []


@pytest.mark.parametrize("text", cases("toml"))
def test_toml_is_read_and_known_to_the_configuration(text: str) -> None:
    document = tomllib.loads(text)
    for section, table in document.items():
        if section in SECTIONS:
            assert set(table) <= set(keys_of(section))
        else:
            assert section == ALERTS or section in ("project", "tool", "entry-points")


@pytest.mark.parametrize("text", cases("yaml"))
def test_yaml_is_read(text: str) -> None:
    document = yaml.safe_load(text)
    assert isinstance(document, dict)
    exporters = set(document.get("exporters", {})) | {"otlp_http/backend", "otlp_http/unquiet", "forward/unquiet"}
    for pipeline in document.get("service", {}).get("pipelines", {}).values():
        assert set(pipeline["exporters"]) <= exporters
        assert set(pipeline.get("processors", ())) <= set(document.get("processors", {}))


def test_the_checks_bite() -> None:
    assert wrong_imports("import os.nowhere") == ["os.nowhere: None"]
    assert wrong_imports("from os import nothing, path") == ["os: nothing"]
    assert wrong_imports("from langfuse import observ") == ["langfuse: observ"]
    assert wrong_imports("from phoenix.otl import register") == ["phoenix.otl: register"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_variables_of_the_service_exist(path: Path) -> None:
    known = {variable(section, name) for section in SECTIONS for name in keys_of(section)}
    said = set(re.findall(r"\bUNQUIET_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8")))
    assert said - known - OURS - SENDERS - ELSEWHERE == set()


def shell_lines(path: Path) -> Iterator[list[str]]:
    """The words of the lines of shell blocks, continued ones joined, and of what is typed in console blocks."""
    for body in blocks(path, "sh"):
        for line in body.replace("\\\n", " ").splitlines():
            yield shlex.split(line, comments=True)
    for body in blocks(path, "console"):
        yield from (shlex.split(line.removeprefix("$ ")) for line in body.splitlines() if line.startswith("$ "))


@pytest.mark.parametrize("path", sorted(HOW_TO.glob("run-*.md")), ids=lambda path: path.stem)
def test_shell_lines_call_commands_that_exist(path: Path) -> None:
    seen = 0
    for words in shell_lines(path):
        ours = [number for number, word in enumerate(words) if Path(word).name == "unquiet" and "docker" not in words]
        for number in ours:
            command, *rest = words[number + 1 :] or [""]
            if command in cli.unquiet.commands:
                context = cli.unquiet.commands[command].make_context(command, list(rest), resilient_parsing=True)
                assert not context.args
                seen += 1
    assert seen or path.stem in ("run-in-a-container", "run-the-replay-kit")


@pytest.mark.parametrize("path", sorted(HOW_TO.glob("run-*.md")), ids=lambda path: path.stem)
def test_shell_lines_name_files_that_exist(path: Path) -> None:
    named = {
        word for words in shell_lines(path) for word in words if re.match(r"(deploy|requirements|docs)/\S+$", word)
    }
    assert [name for name in named if not (ROOT / name).exists() and name != "deploy/.env"] == []


@dataclass(slots=True)
class Sink:
    """A door that keeps what it is sent: paths with their authorization, and the bodies of traces."""

    port: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    bodies: list[bytes] = field(default_factory=list[bytes])

    def turns(self, folder: Path) -> list[dict[str, Any]]:
        """What unquiet reads from it."""
        path = folder / "traces.otlp"
        path.write_bytes(b"".join(len(body).to_bytes(4, "big") + body for body in self.bodies))
        return [row for read in read_files([str(path)], {}) for table in read.tables for row in table.to_pylist()]


@pytest.fixture
def sink() -> Iterator[Sink]:
    found = Sink()

    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append((self.path, self.headers["Authorization"]))
            if not self.path.startswith("/langfuse"):
                found.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        found.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def exported(page: str, block: int, port: int) -> dict[str, str]:
    """What the shell block of a page sets, for a door at another port and a token."""
    values: dict[str, str] = {"UNQUIET_TOKEN": "tok-en"}
    for line in blocks(HOW_TO / page, "sh")[block].splitlines():
        name, _, value = shlex.split(line, comments=True)[1].partition("=")
        values.setdefault(name, value.replace(":4318", f":{port}").replace("$UNQUIET_TOKEN", values["UNQUIET_TOKEN"]))
    return values


def run(program: str, variables: dict[str, str]) -> None:
    """Run a program beside this one: it sets tracer providers for the whole process."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("LANG", "OTEL_", "UNQUIET_"))
    }
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**inherited, **variables}, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr


def test_langfuse_sends_a_copy(sink: Sink, tmp_path: Path) -> None:
    keys = {"LANGFUSE_PUBLIC_KEY": "pk-lf-x", "LANGFUSE_SECRET_KEY": "sk-lf-x"}
    setup, use = blocks(HOW_TO / "from-langfuse.md", "python")
    program = f"{setup}\n{use}\nhandle('Where is my order?', 's1', 'u1')\ntrace.get_tracer_provider().force_flush()\n"
    base = {"LANGFUSE_BASE_URL": f"http://127.0.0.1:{sink.port}/langfuse"}
    run(program, {**keys, **base, **exported("from-langfuse.md", 0, sink.port)})
    assert sorted(path for path, _ in sink.asked) == ["/langfuse/api/public/otel/v1/traces", "/v1/traces"]
    assert ("/v1/traces", "Bearer tok-en") in sink.asked
    (turn,) = sink.turns(tmp_path)
    assert (turn["session_id"], turn["user_id"], turn["output"]) == ("s1", "u1", "...")
    assert ("tenant", "harbor") in turn["facets"]


def test_langfuse_sends_to_its_own_path(sink: Sink, tmp_path: Path) -> None:
    _, use = blocks(HOW_TO / "from-langfuse.md", "python")
    program = f"from langfuse import get_client\n{use}\nhandle('Hello', 's1', 'u1')\nget_client().flush()\n"
    run(program, exported("from-langfuse.md", 1, sink.port))
    ((path, authorization),) = sink.asked
    assert path == "/api/public/otel/v1/traces"
    scheme, _, pair = str(authorization).partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"pk-lf-unquiet:tok-en")
    assert [turn["session_id"] for turn in sink.turns(tmp_path)] == ["s1"]


def test_langsmith_sends_by_its_variables_alone(sink: Sink, tmp_path: Path) -> None:
    program = """
from langsmith import traceable, Client
from opentelemetry import trace
client = Client()
@traceable(run_type="llm", client=client)
def model(messages):
    return {"role": "assistant", "content": "It is on its way."}
@traceable(run_type="chain", client=client)
def answer(question):
    return model([{"role": "user", "content": question}])["content"]
answer("Where is my order?", langsmith_extra={"metadata": {"session_id": "s1", "tenant": "harbor"}})
client.flush()
trace.get_tracer_provider().force_flush()
"""
    run(program, exported("from-langchain.md", 0, sink.port))
    assert sink.asked == [("/v1/traces", "Bearer tok-en")]
    (turn,) = sink.turns(tmp_path)
    assert (turn["session_id"], turn["output"]) == ("s1", "It is on its way.")
    assert {("tenant", "harbor"), ("service.name", "support-agent")} <= set(turn["facets"])


def test_plain_exporters_read_the_variables_of_the_how_tos(sink: Sink) -> None:
    """The same three variables and the same provider are in each of these pages."""
    pages = {"from-langchain.md": 1, "from-openai-agents.md": 0, "from-pydantic-ai.md": 0}
    found = [exported(page, block, sink.port) for page, block in pages.items()]
    assert found[0] == found[1] == found[2]
    provider = blocks(HOW_TO / "from-pydantic-ai.md", "python")[0].replace("from pydantic_ai import Agent\n", "")
    program = provider.replace(
        "Agent.instrument_all()\n", "with trace.get_tracer('x').start_as_current_span('y'): pass\n"
    )
    run(program + "provider.force_flush()\n", found[0])
    assert sink.asked == [("/v1/traces", "Bearer tok-en")]
