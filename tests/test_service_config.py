"""The configuration: what wins over what, every mistake said at once, and no secret in any text."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lacking import needs_program
from unquiet.model.errors import ConfigError
from unquiet.model.settings import Settings
from unquiet.service.config import Config, describe, find, load
from unquiet.service.kinds import Address, shown
from unquiet.service.sections import SECTIONS, keys_of, variable

SECRET = "s3cr3t-" + "x" * 40
OTHER = "0ther-" + "y" * 40

NONE_OF_THEM = '"x" is none of them; allowed: a list of some of "email", "phone", "card", "iban", "key", "ip"'

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file in the test's folder, unquiet.toml unless named; secret ones are readable by their owner only."""

    def write(text: str, name: str = "unquiet.toml", mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    return write


def problems(path: Path | None, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines of the error that a configuration ends with."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    assert SECRET not in str(caught.value)
    first, *lines = str(caught.value).splitlines()
    assert first.startswith(f"{len(lines)} setting")
    return [line.strip() for line in lines]


def test_without_anything_the_defaults_hold() -> None:
    config = load(None, {})
    assert config == Config()
    assert config.service.folder == Path("unquiet-data")
    assert str(config.service.read) == "127.0.0.1:8321"
    assert (str(config.doors.http), str(config.doors.grpc)) == ("127.0.0.1:4318", "127.0.0.1:4317")
    assert config.settings == Settings()
    with pytest.raises(FrozenInstanceError):
        config.alerts = ()  # type: ignore[misc]


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(write: Write) -> None:
    path = write('[detection]\nbudget = 0.5\nidle = "1h"\nlearn_days = 14\n')
    config = load(path, {"UNQUIET_DETECTION_BUDGET": "2", "UNQUIET_DETECTION_LATENESS": ""})
    assert config.settings == Settings(budget=2.0, idle=timedelta(hours=1), learn=timedelta(days=14))
    origins = [config.origins[f"detection.{key}"] for key in ("budget", "idle", "lateness")]
    assert origins == ["UNQUIET_DETECTION_BUDGET", "unquiet.toml", "default"]
    told = describe(config)
    assert "budget = 2 " in told
    assert "# UNQUIET_DETECTION_BUDGET" in told


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SERVICE_PUBLIC_URL", "https://u.example.com/x/", "https://u.example.com/x"),
        ("SERVICE_READ", "[::1]:0", Address("::1", 0)),
        ("DOORS_HTTP", "localhost:14318", Address("localhost", 14318)),
        ("DOORS_GRPC", "false", None),
        ("DOORS_BODY_MB_MAX", "8", 8),
        ("DETECTION_TRACE_QUIET", "5s", timedelta(seconds=5)),
        ("DETECTION_END_MARKER", "session.ended", "session.ended"),
        ("PRIVACY_REDACT", "card, email", ("email", "card")),
        ("PRIVACY_HASH_USERS", "False", False),
        ("PRIVACY_CONTENT", "false", False),
        ("STORAGE_RETENTION_DAYS", "30", 30),
        ("STORAGE_RETENTION_GB", "2.5", 2.5),
        ("SERVICE_HOSTS", "unquiet, Unquiet.Example.com", ("unquiet", "unquiet.example.com")),
    ],
)
def test_every_kind_can_come_from_the_environment(name: str, text: str, value: object) -> None:
    section, _, key = name.lower().partition("_")
    config = load(None, {f"UNQUIET_{name}": text})
    assert getattr(getattr(config, section), key) == value


def test_all_mistakes_are_said_at_once(write: Write) -> None:
    path = write(
        'budget = 2\n[detecton]\nidle = "1h"\n[detection]\nbudgt = 1\nidle = "ages"\nlearn_days = "7"\nlateness = 5\n'
        "hash_users = true\n[doors]\nhttp = 4318\ngrpc = true\nbody_mb_max = 64.0\n[storage]\nmemory_mb = -1\n"
        '[privacy]\nredact = ["x"]\n'
    )
    found = problems(
        path, {"UNQUIET_STORAGE_DISK_FREE_MB_MIN": "lots", "UNQUIET_DOORS_HTPP": "x", "UNQUIET_DETECTON_IDLE": "x"}
    )
    expected = [
        "unquiet.toml: budget: it belongs to [detection]",
        "unquiet.toml: detecton: no such section; the nearest is [detection]",
        "unquiet.toml: detection.budgt: no such key; the nearest is budget",
        "unquiet.toml: detection.hash_users: no such key; it belongs to [privacy]",
        'unquiet.toml: detection.idle: got "ages"; allowed: a duration from "1m" to "24h" (s, m, h, d)',
        'unquiet.toml: detection.learn_days: got "7"; allowed: a number from 0.5 to 60',
        'unquiet.toml: detection.lateness: got 5; allowed: a duration from "0s" to "2h" (s, m, h, d)',
        'unquiet.toml: doors.http: got 4318; allowed: an address such as "127.0.0.1:4318" or "[::1]:4318", or false',
        'unquiet.toml: doors.grpc: got true; allowed: an address such as "127.0.0.1:4318" or "[::1]:4318", or false',
        "unquiet.toml: doors.body_mb_max: got 64.0; allowed: a whole number from 1 to 1024",
        "unquiet.toml: storage.memory_mb: got -1; allowed: a whole number from 256 to 1048576",
        f"unquiet.toml: privacy.redact: got a list, {NONE_OF_THEM}",
        'UNQUIET_STORAGE_DISK_FREE_MB_MIN: got "lots"; allowed: a whole number from 16 to 1048576',
        "UNQUIET_DOORS_HTPP: no such key in [doors]; the nearest is UNQUIET_DOORS_HTTP",
        "UNQUIET_DETECTON_IDLE: no such section; the nearest is UNQUIET_DETECTION_...",
    ]  # fmt: skip
    assert sorted(found) == sorted(expected)


def test_a_wrong_value_is_said_even_where_the_environment_wins(write: Write) -> None:
    path = write("[detection]\nbudget = 0\n")
    assert len(problems(path, {"UNQUIET_DETECTION_BUDGET": "2"})) == 1
    assert len(problems(path, {"UNQUIET_DETECTION_BUDGET": "none"})) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[detection\n", "not valid TOML"),
        (b"\xff\xfe[detection]", "not UTF-8 text"),
        (b"detection = 1\n", "got 1; expected a section, which begins with [detection]"),
        (b"[alerts]\nops = 1\n", "got 1; expected a section, which begins with [alerts.ops]"),
        (b"[doors]\ntokens = 1\n", "got 1; expected a table, which begins with [doors.tokens.NAME]"),
        (b"[doors]\nhttp = false\ngrpc = false\n", "both doors are off"),
        (b'[doors]\nhttp = "127.0.0.1:4317"\n', "listens on 127.0.0.1:4317, where doors.http listens"),
        (b'[doors]\nhttp = "::1:4318"\n', "an IPv6 host stands in brackets"),
        (b'[service]\nread = "127.0.0.1:70000"\n', "allowed: an address"),
        (b'[detection]\ntrace_quiet = "2m"\ntrace_longest = "1m"\n', "must be shorter than detection.trace_longest"),
        (b'[detection]\nchanges = ["nowhere.jsonl"]\n', "nowhere.jsonl is no file"),
        (b"[storage]\nundrained_mb_max = 100\n", "must be at least twice doors.body_mb_max"),
        (b"[storage]\nretention_days = 5\n", "must be longer than detection.learn_days"),
        (b"[storage]\ncounts_days = 30\n", "must be at least storage.retention_days"),
        (b"[privacy.content_of]\napp = false\n", '"app" is no name of [doors.tokens]; there are none'),
        (b"[privacy.content_of]\napp = 1\n", "got 1; allowed: true or false"),
        (b"[privacy.patterns]\nid = '(?=x)'\n", "invalid perl operator"),
        (b"[privacy.patterns]\nid = 'x*'\n", "matches the empty text"),
        (b"[privacy.patterns]\n\"A B\" = 'x'\n", "a name of lower-case letters"),
        (b'[alerts.ops]\nkind = "A B"\n', 'got "A B"; allowed: a kind of receiver such as "webhook", "slack"'),
        (b"[alerts.ops]\n", "alerts.ops.kind: it is missing"),
        (b'[alerts.ops]\nkind = "email"\nmin_severity = "bad"\n', 'allowed: "info", "warning", "error", "critical"'),
    ],
)  # fmt: skip
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "unquiet.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert says in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: the configuration is not there"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(ConfigError, match="is a folder"):
        load(tmp_path, {})


def test_the_file_is_found_by_variable_or_in_the_folder(tmp_path: Path, write: Write) -> None:
    assert find({}, tmp_path) is None
    path = write("")
    assert find({}, tmp_path) == path
    assert find({"UNQUIET_CONFIG": "/etc/unquiet/unquiet.toml"}, tmp_path) == Path("/etc/unquiet/unquiet.toml")


def test_relative_paths_of_the_file_start_at_its_folder(tmp_path: Path, write: Write) -> None:
    write("", "deploys.jsonl")
    path = write('[service]\nfolder = "data"\n[detection]\nchanges = ["deploys.jsonl"]\n')
    config = load(path, {})
    assert config.service.folder == tmp_path / "data"
    assert config.detection.changes == (tmp_path / "deploys.jsonl",)
    assert load(path, {"UNQUIET_SERVICE_FOLDER": "elsewhere"}).service.folder == Path("elsewhere")
    assert load(path, {"UNQUIET_DB": "elsewhere"}).service.folder == Path("elsewhere")
    given = load(path, {"UNQUIET_DB": "a", "UNQUIET_SERVICE_FOLDER": "b"}, Path("c"))
    assert given.service.folder == Path("c")
    assert given.origins["service.folder"] == "--db"
    assert "name different folders" in problems(path, {"UNQUIET_DB": "a", "UNQUIET_SERVICE_FOLDER": "b"})[0]


def test_secrets_come_from_variables_and_files_and_are_never_shown(tmp_path: Path, write: Write) -> None:
    write(f"{SECRET}\n", "app.token")
    write(f"# who reads\n\nann {OTHER}1\n{OTHER}2\n", "readers")
    path = write(
        '[service]\nread = "0.0.0.0:8321"\nread_tokens_file = "readers"\n'
        '[doors]\nhttp = "0.0.0.0:4318"\n[doors.tokens.app]\nfile = "app.token"\n[doors.tokens.shop]\nenv = "SHOP_TOKEN"\n'
        "[privacy.content_of]\nshop = false\n"
        '[alerts.pager]\nkind = "pagerduty"\nrouting_key = { env = "UNQUIET_ALERTS_PAGER" }\nmin_severity = "error"\n'
        '[alerts.hook]\nkind = "webhook"\nurl = "https://hooks.example.com/x/y"\n'
        'headers = { Authorization = { env = "HOOK" }, X-Key = { file = "app.token" } }\n'
    )
    environ = {"SHOP_TOKEN": OTHER, "UNQUIET_ALERTS_PAGER": SECRET, "HOOK": f"Bearer {SECRET}"}
    config = load(path, environ)
    assert [(token.name, token.secret.reveal()) for token in config.doors.tokens] == [("app", SECRET), ("shop", OTHER)]
    assert [(t.name, t.secret.reveal()) for t in config.read_tokens] == [("ann", f"{OTHER}1"), ("read", f"{OTHER}2")]
    pager, hook = config.alerts
    assert (pager.name, pager.kind, pager.min_severity) == ("pager", "pagerduty", "error")
    assert pager.options == {"routing_key": {"env": "UNQUIET_ALERTS_PAGER"}}
    assert hook.options["headers"] == {"Authorization": {"env": "HOOK"}, "X-Key": {"file": str(tmp_path / "app.token")}}
    for text in (repr(config), str(config), describe(config), repr(config.alerts), f"{config.doors.tokens}"):
        assert SECRET not in text
        assert OTHER not in text
    assert f"app = (secret from {tmp_path}/app.token)" in describe(config)
    assert 'url = "https://hooks.example.com/..."' in describe(config)
    assert "doors.http speaks without TLS on 0.0.0.0:4318" in describe(config)


def test_tokens_of_their_own_variables() -> None:
    environ = {"UNQUIET_READ_TOKEN": OTHER, "UNQUIET_DOORS_TOKEN": f"{SECRET}\n", "UNQUIET_DOORS_HTTP": "0.0.0.0:4318"}
    config = load(None, {**environ, "UNQUIET_SERVICE_READ": "[::]:8321"})
    assert [token.name for token in (*config.doors.tokens, *config.read_tokens)] == ["env", "env-read"]
    assert config.doors.tokens[0].secret.reveal() == SECRET


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'[doors]\ntoken = "{SECRET}"', "set UNQUIET_DOORS_TOKEN, or write [doors.tokens.NAME]"),
        (f'[service]\nread_token = "{SECRET}"', "set UNQUIET_READ_TOKEN in the environment"),
        (f'[doors.tokens]\napp = "{SECRET}"', 'write env = "NAME" or file = "PATH" in its place'),
        (f'[doors.tokens.app]\ntoken = "{SECRET}"', 'write env = "NAME" or file = "PATH" in its place'),
        (f'[doors.tokens.app]\nsomething = "{SECRET}"', 'a secret is named by file = "PATH" or env = "NAME"'),
        ('[doors.tokens.app]\nenv = "A"\nfile = "b"', 'a secret is named by file = "PATH" or env = "NAME", one of them'),
        ("[doors.tokens.app]", 'a secret is named by file = "PATH" or env = "NAME"'),
        ('[doors.tokens.app]\nenv = "NOT_SET"', "the environment variable NOT_SET is not set"),
        ('[doors.tokens.app]\nenv = "EMPTY"', "the environment variable EMPTY is empty"),
        ('[doors.tokens.app]\nenv = "SHORT"', "shorter than 16 characters: make one with"),
        ('[doors.tokens.app]\nenv = "SPACED"', "has spaces or other characters"),
        ('[doors.tokens.app]\nfile = "nowhere"', "nowhere is not there"),
        ('[doors.tokens.app]\nfile = "open.token"', "open to everybody (mode 0604): run `chmod o-rwx"),
        ('[doors.tokens.app]\nfile = "two.token"', "has 2 lines, one secret is one line"),
        ('[doors.tokens.app]\nfile = "empty.token"', "empty.token is empty"),
        ('[service]\nread_tokens_file = "open.token"', "open to everybody"),
        (f'[service]\nact_token = "{SECRET}"', "set UNQUIET_ACT_TOKEN in the environment, or `act_tokens_file`"),
        ('[service]\nhosts = ["a b"]', '"a b" is none; allowed: a list of names of hosts'),
        ('[service]\nread_tokens_file = "spaced.tokens"', "line 2: expected TOKEN or NAME TOKEN"),
        (f'[alerts.a]\nkind = "slack"\nwebhook_url = "https://hooks.example.com/{SECRET}"', "write webhook_url = { env ="),
        (f'[alerts.a]\nkind = "pagerduty"\nrouting_key = "{SECRET}"', "write routing_key = { env ="),
        (f'[alerts.a]\nkind = "email"\nsmtp_password = "{SECRET}"', "write smtp_password = { env ="),
        (f'[alerts.a]\nkind = "webhook"\nheaders = {{ Authorization = "{SECRET}" }}', "write Authorization = { env ="),
        (f'[alerts.a]\nkind = "alertmanager"\nurl = "http://me:{SECRET}@127.0.0.1:9093"', "write url = { env ="),
        (f'[service]\npublic_url = "https://me:{SECRET}@example.com"', "it holds a user or a password"),
        ('[doors.tokens.a]\nenv = "GOOD"\n[doors.tokens.b]\nenv = "GOOD"', "doors.tokens.b is the same secret as doors.tokens.a"),
    ],
)  # fmt: skip
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(write: Write, text: str, says: str) -> None:
    write(SECRET, "open.token", 0o604)
    write(f"{SECRET}\n{SECRET}\n", "two.token")
    write("\n", "empty.token")
    write(f"{SECRET}\na b {SECRET}\n", "spaced.tokens")
    environ = {"EMPTY": "", "SHORT": "hunter2", "SPACED": "a token with spaces in it", "GOOD": SECRET}
    found = problems(write(text), environ)
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",  # noqa: S104 - refused
        "[::]",
        "192.0.2.7",
        "unquiet.example.com",
        "[2001:db8::1]",
    ],
)
@pytest.mark.parametrize(("key", "how"), [
    ("SERVICE_READ", "set UNQUIET_READ_TOKEN or `service.read_tokens_file`"),
    ("DOORS_HTTP", "write [doors.tokens.NAME] with file or env, or set UNQUIET_DOORS_TOKEN"),
    ("DOORS_GRPC", "write [doors.tokens.NAME] with file or env, or set UNQUIET_DOORS_TOKEN"),
])  # fmt: skip
def test_a_public_address_needs_a_token(host: str, key: str, how: str) -> None:
    environ = {f"UNQUIET_{key}": f"{host}:9000"}
    (found,) = problems(None, environ)
    assert found.startswith(f"UNQUIET_{key}: {key.lower().replace('_', '.', 1)}: listens on {host}:9000")
    assert how in found
    own, others = ("READ", "DOORS") if key == "SERVICE_READ" else ("DOORS", "READ")
    assert len(problems(None, {**environ, f"UNQUIET_{others}_TOKEN": SECRET})) == 1
    load(None, {**environ, f"UNQUIET_{own}_TOKEN": SECRET})


def test_who_may_act_may_read(write: Write) -> None:
    write(f"{SECRET}\nbob {OTHER}\n", "actors")
    config = load(
        write('[service]\nread = "0.0.0.0:8321"\nact_tokens_file = "actors"\n'), {"UNQUIET_ACT_TOKEN": SECRET + "2"}
    )
    assert [token.name for token in config.act_tokens] == ["act", "bob", "env-act"]
    assert config.read_tokens == ()
    (found,) = problems(None, {"UNQUIET_ACT_TOKEN": SECRET, "UNQUIET_READ_TOKEN": SECRET})
    assert "each needs its own" in found


def test_people_have_one_name_each(write: Write) -> None:
    write(f"ann {SECRET}\n", "actors")
    write(f"ann {OTHER}\n", "readers")
    (found,) = problems(write('[service]\nread_tokens_file = "readers"\nact_tokens_file = "actors"\n'))
    assert "the token ann of people is there twice; each needs its own name" in found


def test_a_reading_token_is_no_door_token() -> None:
    (found,) = problems(None, {"UNQUIET_READ_TOKEN": SECRET, "UNQUIET_DOORS_TOKEN": SECRET})
    assert "each needs its own" in found


def test_a_bad_token_is_said_once() -> None:
    """Not again as a missing one."""
    (found,) = problems(None, {"UNQUIET_DOORS_HTTP": "0.0.0.0:1", "UNQUIET_DOORS_TOKEN": "short"})
    assert "shorter than 16 characters" in found


def test_tls_files_are_tried(tmp_path: Path, write: Write) -> None:
    tls = '[doors]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
    assert "TLS needs both" in problems(write('[doors]\ntls_key = "key.pem"\n'))[0]
    assert len(problems(write(tls))) == 2
    write("no certificate", "cert.pem")
    write("no key", "key.pem", 0o644)
    assert "key.pem is open to everybody (mode 0644)" in problems(write(tls))[0]
    (tmp_path / "key.pem").chmod(0o600)
    assert "cannot be used together" in problems(write(tls))[0]


def test_tls_files_that_fit_are_taken(tmp_path: Path, write: Write) -> None:
    needs_program("openssl")

    def make(key: str, cert: str, *more: str) -> None:
        where = ["-keyout", str(tmp_path / key), "-out", str(tmp_path / cert)]
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        subprocess.run(
            ["openssl", "req", "-x509", *curve, "-subj", "/CN=localhost", *where, *more],
            check=True,
            capture_output=True,
        )

    make("key.pem", "cert.pem", "-nodes")
    make("locked.pem", "other.pem", "-passout", "pass:secret")
    for name in ("key.pem", "locked.pem"):
        (tmp_path / name).chmod(0o600)
    config = load(write('[doors]\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'), {})
    assert config.doors.tls_key == tmp_path / "key.pem"
    assert "cannot be used together" in problems(write('[doors]\ntls_cert = "cert.pem"\ntls_key = "locked.pem"\n'))[0]
    assert "cannot be used together" in problems(write('[doors]\ntls_cert = "other.pem"\ntls_key = "key.pem"\n'))[0]


def test_variables_of_others_are_let_be() -> None:
    """Kubernetes names services in every pod; other commands of unquiet have variables of their own."""
    pods = {"UNQUIET_SERVICE_HOST": "10.0.0.1", "UNQUIET_SERVICE_PORT": "8321", "UNQUIET_SERVICE_PORT_OTLP": "4318"}
    pods |= {"UNQUIET_PORT": "tcp://10.0.0.1:8321", "UNQUIET_PORT_8321_TCP_ADDR": "10.0.0.1"}
    config = load(None, {**pods, "UNQUIET_JUDGE_KEY": SECRET, "UNQUIET_SHARED": "/x", "PATH": "/bin"})
    assert config == Config()
    assert config.unused == ("UNQUIET_JUDGE_KEY", "UNQUIET_PORT", "UNQUIET_PORT_8321_TCP_ADDR", "UNQUIET_SHARED")
    assert "UNQUIET_JUDGE_KEY is set and used by nothing" in describe(config)
    assert SECRET not in describe(config)


@pytest.mark.parametrize("name", ["UNQUIET_ALERTS_OPS_KIND", "UNQUIET_DOORS_TOKENS_APP", "UNQUIET_PRIVACY_PATTERNS"])
def test_tables_do_not_come_from_the_environment(name: str) -> None:
    assert problems(None, {name: "x"}) == [
        f"{name}: tables come from the file only; there a secret may name a variable with env"
    ]


def uncommented(text: str) -> str:
    """The example with every line in it that is a setting or the head of a section."""
    return re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)


def test_the_example_says_the_defaults(root: Path, tmp_path: Path) -> None:
    example = root / "docs" / "unquiet.example.toml"
    config = load(example, {})
    assert config == replace(Config(), service=replace(Config().service, folder=example.parent / "unquiet-data"))


def test_the_example_has_every_key_and_all_of_it_loads(root: Path, write: Write) -> None:
    text = uncommented((root / "docs" / "unquiet.example.toml").read_text(encoding="utf-8"))
    shown = tomllib.loads(text)
    assert {section: set(shown[section]) for section in SECTIONS} == {name: set(keys_of(name)) for name in SECTIONS}
    for name in ("checkout.token", "read.tokens", "act.tokens", "pagerduty.key"):
        text = text.replace(f"/etc/unquiet/{name}", str(write(f"{name}-{SECRET}", name)))
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("tls_", "[doors.tls")))
    config = load(write(text), {"SUPPORT_TOKEN": SECRET, "SLACK_WEBHOOK": "https://hooks.example.com/x"})
    assert [token.name for token in config.doors.tokens] == ["checkout", "support"]
    assert [alert.kind for alert in config.alerts] == ["pagerduty", "slack", "alertmanager"]
    assert config.privacy.content_of == {"support": False}
    assert config.privacy.patterns == {"order": "ORD-[0-9]{8}"}


def test_what_is_described_can_be_loaded_again(write: Write) -> None:
    """The description is written as the file is; what is not set is left out."""
    environ = {"UNQUIET_SERVICE_PUBLIC_URL": "https://u.example.com", "UNQUIET_DOORS_GRPC": "false"}
    config = load(None, {**environ, "UNQUIET_PRIVACY_REDACT": "email", "UNQUIET_STORAGE_RETENTION_GB": "7.5"})
    lines = [
        line for line in describe(config).splitlines() if "= not set" not in line and not line.startswith("note: ")
    ]
    again = load(write("\n".join(lines)), {}, config.service.folder)
    assert again == config


def test_every_key_has_a_default_that_may_be_given_and_a_variable() -> None:
    seen: set[str] = set()
    for section in SECTIONS:
        for name, key in keys_of(section).items():
            assert key.meaning.endswith(".")
            if key.kind is None:
                continue
            assert variable(section, name) not in seen
            seen.add(variable(section, name))
            if key.default is not None:
                assert key.kind.parse(key.default) == getattr(getattr(Config(), section), name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
PLAIN = [(section, name) for section in SECTIONS for name, key in keys_of(section).items() if key.kind is not None]


@given(st.sampled_from(PLAIN), VALUES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_is_taken_or_refused_with_a_reason(place: tuple[str, str], value: Any) -> None:
    from unquiet.service.reading import Reading, values_of

    section, name = place
    reading = Reading({}, {section: {name: value}})
    values = values_of(reading, section)
    assert (name in values) != bool(reading.problems)
    for problem in reading.problems:
        assert problem.startswith(f"unquiet.toml: {section}.{name}: got ") or "password" in problem
        assert "; allowed: " in problem
        assert len(problem) < 500


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_of_a_variable_is_taken_or_refused(text: str) -> None:
    for section, name in PLAIN[:: len(PLAIN) // 7]:
        try:
            load(None, {variable(section, name): text})
        except ConfigError as error:
            assert variable(section, name) in str(error)  # noqa: PT017 - either way is right


def test_shown_values_are_short() -> None:
    assert shown("x" * 500) == '"' + "x" * 79 + "..."
    assert shown({"a": 1}) == "a table"


def test_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write: Write) -> None:
    monkeypatch.setitem(os.environ, "HOME", str(tmp_path / "home"))
    assert load(write('[service]\nfolder = "~/unquiet"\n'), {}).service.folder == tmp_path / "home" / "unquiet"
