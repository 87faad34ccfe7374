"""Write the generated parts of the reference: signals, configuration, and the tables of commands, metrics, conditions, API.

python docs/generate.py            # write
python docs/generate.py --check    # 1 if a page is out of date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import click
import orjson

from unquiet import cli, selfwatch, signals
from unquiet.model.signals import SignalInfo
from unquiet.web import metrics
from unquiet.web.access import Access
from unquiet.web.app import make_app
from unquiet.web.backend import Backend

REFERENCE = Path(__file__).resolve().parent / "reference"
sys.path.insert(0, str(REFERENCE.parent))

import configuration_page  # noqa: E402 - they stand beside this script
import schema_tables  # noqa: E402

TESTS = REFERENCE.parent.parent / "tests"
EXAMPLE_CHARACTERS = 200
OPTIONS = re.compile(r"<!-- options: (?P<name>[a-z-]+) -->\n.*?<!-- end -->", re.DOTALL)

SIGNALS_HEAD = """# Behaviour signals

Written by `make docs` from the signals themselves.

A signal yields a value for every turn or session, and none where it does not apply or its input is missing.
*Kind*: a `flag` is 0 or 1; a `score` goes from 0 to 1, where 0.5 and more means yes; a `number` is a measured
quantity; a `category` is a set of labels. *Per session* says how a session's value comes from its turns.
*Needs* names the columns of the [turn table](turn-table.md) without which it does not apply. A change of
*version* starts a new baseline. Each signal has [a section of its own](#each-signal) below, with what an unknown value
means and an example that it flags and one that it does not.

`unquiet measure` writes them all; those that need history have no value there.
How to add one: [Add a signal](../how-to/add-a-signal.md).
"""


def cells(*values: str) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(value.replace("|", "\\|").replace("\n", " ").strip() for value in values) + " |"


def signal_rows(infos: list[SignalInfo]) -> Iterator[str]:
    """The table of signals, by name."""
    yield cells("Signal", "Definition", "Kind", "Per session", "Needs", "Version")
    yield "|---|---|---|---|---|---|"
    for info in sorted(infos, key=lambda info: info.name):
        quiet = "" if info.alarms else " Recorded only, raises no alarm."
        reduce = "" if info.unit == "session" else info.reduce
        needs = ", ".join(f"`{name}`" for name in info.needs)
        yield cells(f"`{info.name}`", info.definition + quiet, info.kind, reduce, needs, str(info.version))


def examples() -> tuple[dict[str, str], dict[str, str]]:
    """A turn or session that each signal flags, and one that it does not, from the cases of its tests."""
    sys.path.insert(0, str(TESTS))
    from signal_cases import FLAGGED, SESSIONS, UNFLAGGED

    yes, no = ({name: shown(row) for name, row in reversed(rows)} for rows in (FLAGGED, UNFLAGGED))
    kinds = {signal.info.name: signal.info.kind for signal in signals.SESSION_SIGNALS}
    for name, rows, value in reversed(SESSIONS):
        if kinds[name] == "flag":
            (yes if value else no)[name] = "; ".join(shown(row) for row in rows)
    return yes, no


def shown(row: dict[str, object]) -> str:
    """The columns of a turn as code, cut where long."""
    words = orjson.dumps(row).decode()
    cut = words if len(words) <= EXAMPLE_CHARACTERS else words[:EXAMPLE_CHARACTERS] + "..."
    return f"``{cut}``" if "`" in cut else f"`{cut}`"


def signal_sections(infos: list[SignalInfo]) -> Iterator[str]:
    """A section per signal, by name."""
    yes, no = examples()
    for info in sorted(infos, key=lambda info: info.name):
        needs = ", ".join(f"`{name}`" for name in info.needs) or "nothing"
        yield f"### {info.name}\n"
        yield f"{info.definition}\n"
        yield f"* Version {info.version}, {info.kind}, per {info.unit}; needs {needs}"
        yield f"* Title of an incident: the agent {info.phrase_up} / {info.phrase_down}"
        yield f"* Unknown: {info.unknown[0].lower() if info.unknown[0] != '`' else '`'}{info.unknown[1:].rstrip('.')}"
        yield from (
            f"* {word}: {found[info.name]}" for word, found in (("Flagged", yes), ("Not", no)) if info.name in found
        )
        yield ""


def signals_page() -> str:
    """docs/reference/signals.md."""
    turn = [signal.info for signal in (*signals.TURN_SIGNALS, *signals.CATEGORY_SIGNALS)]
    session = [signal.info for signal in (*signals.SESSION_SIGNALS, *signals.SESSION_CATEGORY_SIGNALS)]
    session += signals.HISTORY_SIGNALS
    parts = [
        SIGNALS_HEAD,
        "## Of a turn\n",
        *signal_rows(turn),
        "",
        "## Of a session\n",
        *signal_rows(session),
        "",
        "## Each signal\n",
        *signal_sections([*turn, *session]),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def group() -> click.Group:
    """The command line's top-level group."""
    return cli.unquiet


def option_rows(command: click.Command) -> Iterator[str]:
    """The table of a command's arguments and options; of a group those of its commands, each after its name."""
    top = group()
    context = click.Context(command, parent=click.Context(top, **top.context_settings))
    yield cells("Option", "Meaning")
    yield "|---|---|"
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from parameter_rows(inner, click.Context(inner, parent=context), f"{name} ")
    yield from parameter_rows(command, context)
    yield cells(f"`{', '.join(context.help_option_names)}`", "Show this message and exit.")


def parameter_rows(command: click.Command, context: click.Context, before: str = "") -> Iterator[str]:
    """A row for each argument and option."""
    # Without the help option that click adds: it keeps the first that it made, with whatever names were set then.
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield cells(f"`{before}{parameter.make_metavar(context)}`", "argument")
        elif isinstance(parameter, click.Option) and not parameter.hidden:
            record = parameter.get_help_record(context)
            if record:
                yield cells(f"`{before}{record[0]}`", record[1])


def cli_page() -> str:
    """docs/reference/cli.md with its option tables filled in; the prose stays."""
    commands = group().commands

    def fill(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in commands:
            raise SystemExit(f"cli.md describes `unquiet {name}`, which does not exist: remove its section")
        return f"<!-- options: {name} -->\n\n" + "\n".join(option_rows(commands[name])) + "\n\n<!-- end -->"

    return OPTIONS.sub(fill, (REFERENCE / "cli.md").read_text(encoding="utf-8"))


def filled(name: str, part: str, rows: Iterator[str]) -> str:
    """A page of the reference with one table filled in; the prose stays."""
    text = (REFERENCE / name).read_text(encoding="utf-8")
    made, count = re.subn(
        rf"<!-- {part} -->\n.*?<!-- end -->",
        lambda _: f"<!-- {part} -->\n\n" + "\n".join(rows) + "\n\n<!-- end -->",
        text,
        flags=re.DOTALL,
    )
    if count != 1:
        raise SystemExit(f"{name} has {count} tables `<!-- {part} -->`: it must have one, ended by `<!-- end -->`")
    return made


def metric_rows() -> Iterator[str]:
    """The table of metrics."""
    yield cells("Metric", "Type", "Labels", "Meaning")
    yield "|---|---|---|---|"
    for name, kind, labels, meaning in metrics.described():
        yield cells(f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), meaning)


def condition_rows() -> Iterator[str]:
    """The table of conditions."""
    yield cells("Condition", "Severity", "Fails when", "Unknown when")
    yield "|---|---|---|---|"
    for watch in selfwatch.WATCHES:
        yield cells(f"`{watch.name}`", watch.severity, watch.fails_when, watch.unknown_when)


def route_rows() -> Iterator[str]:
    """The table of routes, out of the OpenAPI document; no service is asked."""
    document = make_app(cast("Backend", None), Access(), lambda: 0).openapi()
    yield cells("Route", "What it does")
    yield "|---|---|"
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield cells(f"`{method.upper()} {path}`", operation["description"])
    yield cells("`GET /metrics`", "The figures of the service for Prometheus: [metrics](metrics.md).")
    yield cells("`GET /api/openapi.json`", "The OpenAPI document.")


PAGES: dict[str, Callable[[], str]] = {
    "signals.md": signals_page,
    "cli.md": cli_page,
    "metrics.md": lambda: filled("metrics.md", "metrics", metric_rows()),
    "conditions.md": lambda: filled("conditions.md", "conditions", condition_rows()),
    "pages.md": lambda: filled("pages.md", "pages", schema_tables.schema_lines(cells)),
    "api.md": lambda: filled("api.md", "api", route_rows()),
    "configuration.md": configuration_page.page,
}


def main(words: list[str]) -> int:
    """Write the pages; with --check only compare."""
    check, stale = "--check" in words, 0
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if not check:
            path.write_text(text, encoding="utf-8")
        sys.stderr.write(f"{name}: {'out of date, run make docs' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
