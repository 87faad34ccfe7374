"""`unquiet serve` and what people tell it: markers, deeds about incidents, a test of the alerts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from unquiet.app.folders import known_folder
from unquiet.app.handling import handle
from unquiet.cli.marking import mark_command
from unquiet.cli.options import keep_db, read_db, who
from unquiet.cli.showing import Output, printing
from unquiet.model.errors import ConfigError, UnquietError
from unquiet.model.handling import Action, Verb
from unquiet.service.asking import Served, served
from unquiet.service.config import Config, describe, find, load
from unquiet.service.delivery import send_test
from unquiet.service.kinds import duration
from unquiet.store import Store

# `service.running` is imported where it serves: it brings doors and web along, and other commands would wait for that.

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="UNQUIET_CONFIG",
    help="Configuration file; default: unquiet.toml here, if there is one.",
)


@click.command("serve", short_help="Take live traffic, find incidents, send alerts.")
@config_option
@keep_db
@click.option("--check", is_flag=True, help="Only check the configuration and print what is in force.")
def serve_command(config_path: Path | None, db: Path | None, check: bool) -> None:
    """Take traffic from OpenTelemetry exporters, find incidents as they happen, and send alerts.

    \b
    unquiet serve
    unquiet serve --db history --config unquiet.toml
    unquiet serve --check
    """  # noqa: D301
    from unquiet.service.running import make_sinks, serve

    path, config = loaded(config_path, db)
    if check:
        click.echo(describe(config), nl=False)
        return
    sinks = make_sinks(config, os.environ, base_of(path))
    serve(config, path, sinks, lambda text: click.echo(text, err=True))


@click.group("alerts", short_help="Try the alerts.")
def alerts_group() -> None:
    """Try the receivers of alerts."""


@alerts_group.command("test", short_help="Send a test notice to every receiver.")
@config_option
@click.option("--service", "by_service", is_flag=True, help="Let the running service send it, as it was started.")
def alerts_test_command(config_path: Path | None, by_service: bool) -> None:
    """Send a clearly marked test notice to every receiver of the configuration, now.

    \b
    unquiet alerts test
    unquiet alerts test --config unquiet.toml
    unquiet alerts test --service
    """  # noqa: D301
    path, config = loaded(config_path, None)
    found = _asked_to_test(config.service.folder) if by_service else _tested(config, path)
    if not found:
        raise ConfigError("no receiver is configured: add [alerts.NAME] with a kind to unquiet.toml.")
    with printing():
        for name, delivered, text in found:
            Output().print(f"{name}: {'delivered' if delivered else text}", soft_wrap=True, highlight=False)
    sys.exit(0 if all(delivered for _, delivered, _ in found) else 2)


def _tested(config: Config, path: Path | None) -> list[tuple[str, bool, str]]:
    from unquiet.service.running import make_sinks

    return send_test([sink for sink, _ in make_sinks(config, os.environ, base_of(path))], _now_us)


def _asked_to_test(folder: Path) -> list[tuple[str, bool, str]]:
    service = served(folder, os.environ)
    if service is None:
        raise UnquietError(f"no service runs over {folder}: start it, or leave --service out to send from here.")
    return [(str(each["sink"]), bool(each["delivered"]), str(each["error"])) for each in service.alerts_test()]


def _deed(verb: Verb, text: str, options: Mapping[str, Any] | None = None) -> click.Command:
    """A command that does something about an incident."""

    def do(incident_id: str, note: str | None, db: Path | None, **more: str) -> None:
        until_us = _now_us() + round(_span(more["span"]).total_seconds() * 1e6) if "span" in more else None
        action = Action(verb, who(), note, until_us, more.get("reason"))
        folder = known_folder(db)
        service = served(folder, os.environ)
        document = _asked(service, incident_id, action) if service else _stored(folder, incident_id, action)
        click.echo(f"{incident_id}: {document['status']}")

    command = click.command(verb, help=text, short_help=text.partition(".")[0] + ".")(do)
    for add in (read_db, click.option("--note", help="A word about why."), click.argument("incident_id")):
        command = add(command)
    for name, said in (options or {}).items():
        command = click.option(*name.split(), required=True, **said)(command)
    return command


def _span(text: str) -> Any:
    try:
        return duration("1m", "365d").parse(text)
    except ValueError:
        raise ConfigError(f"--for {text}: expected a time from 1m to 365d, such as 30m, 4h or 2d.") from None


def _asked(service: Served, incident_id: str, action: Action) -> Mapping[str, Any]:
    body: dict[str, Any] = {"who": action.who, "note": action.note, "reason": action.reason}
    if action.until_us is not None:
        body["until"] = datetime.fromtimestamp(action.until_us / 1e6, UTC).isoformat()
    return service.act(incident_id, action.verb, {name: value for name, value in body.items() if value is not None})


def _stored(folder: Path, incident_id: str, action: Action) -> Mapping[str, Any]:
    if action.verb == "accept":
        raise UnquietError(
            f"no service runs on {folder}: accepting begins a new baseline, which is the service's to do. Start it with "
            f"`unquiet serve --db {folder}`, then accept."
        )
    with Store.open(folder, create=False) as store:
        return handle(store, incident_id, action, _now_us())


def _now_us() -> int:
    return round(datetime.now(UTC).timestamp() * 1e6)


def loaded(config_path: Path | None, db: Path | None) -> tuple[Path | None, Config]:
    """The configuration file and what it says; its receivers are checked too."""
    from unquiet.service.running import make_sinks

    path = config_path or find(os.environ, Path.cwd())

    def sinks(config: Config) -> None:
        make_sinks(config, os.environ, base_of(path))

    return path, load(path, os.environ, db, checks=[sinks])


def base_of(path: Path | None) -> Path:
    """The folder from which relative paths of a configuration file start."""
    return path.parent if path is not None else Path.cwd()


COMMANDS: tuple[click.Command, ...] = (
    serve_command,
    alerts_group,
    mark_command,
    _deed("acknowledge", "Say that somebody looks after an incident. It sends no further updates."),
    _deed("unacknowledge", "Say that nobody looks after an incident any more."),
    _deed("accept", "Accept an incident as the new normal. A new baseline begins where it changed something."),
    _deed(
        "mute",
        "Send no alerts of an incident for a while. It stays visible.",
        {
            "--for span": {"metavar": "TIME", "help": "How long: 4h, 2d."},
            "--reason": {"help": "Why, for those who find it."},
        },
    ),
    _deed("unmute", "Send alerts of an incident again."),
)
"""The commands of this module."""
