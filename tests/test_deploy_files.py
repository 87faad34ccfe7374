"""The ways to run: what unit, image and compose file name exists, and agrees with the configuration."""

from __future__ import annotations

import configparser
import http.server
import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lacking import needs_program
from unquiet.model.errors import ConfigError
from unquiet.service.config import Config, load
from unquiet.service.kinds import Address

TOKENS = {"UNQUIET_READ_TOKEN": "r" * 20, "UNQUIET_DOORS_TOKEN": "d" * 20}
PORTS = {8321, 4318, 4317}


@pytest.fixture(scope="module")
def deploy(root: Path) -> Path:
    return root / "deploy"


@pytest.fixture(scope="module")
def dockerfile(deploy: Path) -> list[list[str]]:
    """The instructions of the image: keyword and the rest."""
    text = (deploy / "Dockerfile").read_text(encoding="utf-8")
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = plain.replace("\\\n", " ")
    return [line.split(None, 1) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def unit(deploy: Path) -> dict[str, list[str]]:
    """The settings of the unit; one that is given twice has two values."""
    found: dict[str, list[str]] = {}
    for line in (deploy / "unquiet.service").read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture(scope="module")
def compose(deploy: Path) -> dict[str, Any]:
    return yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))


def said(dockerfile: list[list[str]], keyword: str) -> list[str]:
    return [rest for word, rest in dockerfile if word == keyword]


def image_variables(dockerfile: list[list[str]]) -> dict[str, str]:
    """What the last stage sets."""
    last = max(number for number, (word, _) in enumerate(dockerfile) if word == "FROM")
    words = [word for line in said(dockerfile[last:], "ENV") for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


def ports_of(config: Config) -> set[int]:
    addresses: list[Address | None] = [config.service.read, config.doors.http, config.doors.grpc]
    return {address.port for address in addresses if address is not None}


def published(service: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Host address, port of the host, port inside."""
    parts = [str(port).split(":") for port in service["ports"]]
    return [(host, int(outside), int(inside)) for host, outside, inside in parts]


def test_the_ports_are_those_of_the_configuration() -> None:
    assert ports_of(Config()) == PORTS


def test_the_image_serves_and_starts_with_tokens_only(dockerfile: list[list[str]], root: Path) -> None:
    (entry,), (command,) = said(dockerfile, "ENTRYPOINT"), said(dockerfile, "CMD")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert json.loads(entry)[0] in project["scripts"]
    assert json.loads(command) == ["serve"]
    variables = {name: value for name, value in image_variables(dockerfile).items() if name.startswith("UNQUIET_")}
    with pytest.raises(ConfigError) as caught:
        load(None, variables)
    assert str(caught.value).startswith("3 settings are wrong"), "both doors and reading ask for a token"
    config = load(None, {**variables, **TOKENS})
    assert config.unused == ()
    assert ports_of(config) == PORTS == set(map(int, said(dockerfile, "EXPOSE")[0].split()))
    assert not config.service.read.is_loopback
    assert str(config.service.folder) == said(dockerfile, "VOLUME")[0]


def test_the_image_is_made_of_files_that_exist(dockerfile: list[list[str]], deploy: Path, root: Path) -> None:
    ignored = (deploy / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {name for line in said(dockerfile, "COPY") if "--from" not in line for name in line.split()[:-1]}
    assert copied == kept, "what is copied is what the build may see"
    assert [name for name in copied if not (root / name).exists()] == []
    needed = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {needed["readme"], *needed["license-files"], "pyproject.toml"} <= copied
    installs = [line for line in said(dockerfile, "RUN") if "pip install" in line]
    assert "--require-hashes" in installs[0]
    assert "requirements/runtime.txt" in installs[0]
    assert "--no-deps" in installs[1]


def test_the_image_runs_without_rights(dockerfile: list[list[str]], compose: dict[str, Any]) -> None:
    assert int(said(dockerfile, "USER")[-1]) > 0
    service = compose["services"]["unquiet"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_and_believes_the_answer(dockerfile: list[list[str]], status: int, code: int) -> None:
    (line,) = (rest for _, rest in dockerfile if "HTTPConnection" in rest)
    command = json.loads(line[line.index("[") :])
    asked: list[str] = []

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        program = command[2].replace("8321", str(server.server_port))
        assert program != command[2]
        ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=30)
    assert (ended.returncode, asked) == (code, ["/healthz"])


def test_the_compose_file_names_what_exists(compose: dict[str, Any], deploy: Path) -> None:
    service = compose["services"]["unquiet"]
    context = deploy / service["build"]["context"]
    assert (context / service["build"]["dockerfile"]).is_file()
    assert {inside for _, _, inside in published(service)} == PORTS
    assert {outside for _, outside, _ in published(service)} == PORTS
    assert {host for each in compose["services"].values() for host, _, _ in published(each)} == {"127.0.0.1"}
    assert set(service["environment"]) == set(TOKENS)
    assert all(value.startswith(f"${{{name}:?") for name, value in service["environment"].items())
    volumes = [volume.split(":") for each in compose["services"].values() for volume in each["volumes"]]
    assert [name for name, *_ in volumes if not (name in compose["volumes"] or (deploy / name).is_file())] == []


def test_the_volume_is_the_folder(compose: dict[str, Any], dockerfile: list[list[str]]) -> None:
    assert f"data:{image_variables(dockerfile)['UNQUIET_DB']}" in compose["services"]["unquiet"]["volumes"]


def test_the_collector_is_optional_and_sends_to_the_door(compose: dict[str, Any], deploy: Path) -> None:
    collector = compose["services"]["collector"]
    assert collector["profiles"] == ["collector"]
    assert set(collector["depends_on"]) == {"unquiet"}
    taken = {outside for _, outside, _ in published(compose["services"]["unquiet"])}
    assert not taken & {outside for _, outside, _ in published(collector)}
    config = yaml.safe_load((deploy / "collector.yaml").read_text(encoding="utf-8"))
    exporter = config["exporters"]["otlp_http/unquiet"]
    assert exporter["endpoint"] == "http://unquiet:4318"
    (variable,) = re.findall(r"\$\{env:(\w+)\}", exporter["headers"]["Authorization"])
    assert variable in collector["environment"]
    for pipeline in config["service"]["pipelines"].values():
        assert set(pipeline["receivers"]) <= set(config["receivers"])
        assert set(pipeline["exporters"]) <= set(config["exporters"])
    inside = {int(each["endpoint"].rpartition(":")[2]) for each in config["receivers"]["otlp"]["protocols"].values()}
    assert inside == {port for _, _, port in published(collector)}


def environment_of(unit: dict[str, list[str]]) -> dict[str, str]:
    folder = f"/var/lib/{unit['StateDirectory'][0]}"
    words = [word.replace("%S/unquiet", folder) for line in unit["Environment"] for word in line.split()]
    return dict(word.split("=", 1) for word in words)


def test_the_unit_serves_from_the_environment_that_the_how_to_makes(unit: dict[str, list[str]], root: Path) -> None:
    program, *arguments = unit["ExecStart"][0].split()
    assert arguments == ["serve"]
    how_to = (root / "docs" / "how-to" / "run-under-systemd.md").read_text(encoding="utf-8")
    assert program == "/opt/unquiet/bin/unquiet"
    assert "python3 -m venv /opt/unquiet\n" in how_to
    environment = environment_of(unit)
    assert environment["UNQUIET_CONFIG"] == "/etc/unquiet/unquiet.toml"
    assert f"docs/unquiet.example.toml {environment['UNQUIET_CONFIG']}" in how_to
    variables = {name: value for name, value in environment.items() if name != "UNQUIET_CONFIG"}
    assert str(load(None, variables).service.folder) == "/var/lib/unquiet"
    assert f"useradd --system --home-dir /var/lib/unquiet --shell /usr/sbin/nologin {unit['User'][0]}" in how_to


def test_the_unit_is_hardened_and_leaves_room_for_the_memory_it_may_use(unit: dict[str, list[str]]) -> None:
    for key, value in {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
    }.items():
        assert unit[key] == [value]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["Restart"] == ["on-failure"]
    assert "WatchdogSec" not in unit, "the service does not answer a watchdog"
    high, most = (int(unit[key][0].removesuffix("M")) for key in ("MemoryHigh", "MemoryMax"))
    assert Config().storage.memory_mb < high < most


def memory_limits(compose: dict[str, Any]) -> Iterator[int]:
    yield int(compose["services"]["unquiet"]["mem_limit"].removesuffix("m"))


def test_the_container_leaves_room_too(compose: dict[str, Any]) -> None:
    assert all(limit > Config().storage.memory_mb for limit in memory_limits(compose))


def test_systemd_understands_the_unit(deploy: Path, tmp_path: Path) -> None:
    """With a program that exists: the real one is not installed here."""
    needs_program("systemd-analyze")
    text = (deploy / "unquiet.service").read_text(encoding="utf-8")
    copy = tmp_path / "unquiet.service"
    copy.write_text(text.replace("/opt/unquiet/bin/unquiet", "/bin/true"), encoding="utf-8")
    ended = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False, timeout=60
    )
    assert [line for line in ended.stderr.splitlines() if "unquiet.service" in line] == []
    assert ended.returncode == 0


def test_pages_say_that_nobody_ran_them(root: Path, deploy: Path) -> None:
    how_to = root / "docs" / "how-to"
    assert "**Both are untested:**" in (how_to / "run-in-a-container.md").read_text(encoding="utf-8")
    assert "and not run" in (how_to / "run-under-systemd.md").read_text(encoding="utf-8")
    for name in ("Dockerfile", "compose.yaml", "unquiet.service"):
        assert (deploy / name).read_text(encoding="utf-8").startswith("# Untested")


def test_the_unit_is_a_file_of_sections(deploy: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[method-assign]
    parser.read(deploy / "unquiet.service", encoding="utf-8")
    assert parser.sections() == ["Unit", "Service", "Install"]
