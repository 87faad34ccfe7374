"""`unquiet export-evals`: the regression cases that an incident leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import orjson

from unquiet.app.exporting import suite_of, summary
from unquiet.app.folders import known_folder
from unquiet.cli.options import read_db
from unquiet.cli.own_folder import incident_of, own_folder
from unquiet.cli.showing import printing
from unquiet.model.errors import ConfigError
from unquiet.model.wording import counted
from unquiet.regression import BUILT_IN, Suite, recorded_files

FORMATS = {each.name: each for each in BUILT_IN}


@click.command("export-evals", short_help="Write regression cases of an incident.")
@click.argument("incident_id")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), required=True, help="The tool that shall run them.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, or folder of promptfoo and inspect.")
@click.option("--cases", type=click.IntRange(1, 500), default=20, show_default=True, help="How many at most.")
@click.option(
    "--recorded", type=click.Path(path_type=Path), help="Folder for the recorded answers, as an agent to try them."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written, schema unquiet.export-evals/1.")
@read_db
def export_evals_command(
    incident_id: str, form: str, out: Path, cases: int, recorded: Path | None, as_json: bool, db: Path | None
) -> None:
    """Write regression cases: requests of an incident, and what the answers before it did as assertions.

    \b
    unquiet export-evals 20260318-a50e8c --format pytest --out test_refunds.py
    unquiet export-evals 20260318-a50e8c --format promptfoo --out evals/refunds
    """  # noqa: D301
    folder, chosen = known_folder(db), FORMATS[form]
    _check_out("--out", chosen.suffix, out)
    if recorded is not None:
        _check_out("--recorded", "", recorded)
    with own_folder(folder) as look:
        suite = suite_of(look.store, incident_of(look.store.incidents(), incident_id, folder), cases)
    files = _write(chosen.files(suite), out, whole=not chosen.suffix)
    if recorded is not None:
        files += _write(recorded_files(suite), recorded, whole=True)
    with printing():
        if as_json:
            click.echo(orjson.dumps(summary(suite, form, files), option=orjson.OPT_INDENT_2).decode())
        else:
            _say(suite, files)


def _check_out(option: str, suffix: str, out: Path) -> None:
    """See that a file of this ending, or where it is empty a folder, can be written."""
    if suffix and out.suffix != suffix:
        raise ConfigError(f"{option} {out}: expected a name that ends in {suffix}")
    if suffix and out.is_dir():
        raise ConfigError(f"{option} {out}: a folder is there. Name a file.")
    if not suffix and out.exists() and not out.is_dir():
        raise ConfigError(f"{option} {out}: a file is there, and several files are written. Name a folder.")
    if not out.parent.is_dir():
        raise ConfigError(f"{option} {out}: there is no folder {out.parent}. Make it, or name another.")


def _write(texts: Mapping[str, str], out: Path, *, whole: bool) -> list[str]:
    """Write a folder (`whole`) or its one file, each file whole or not at all; their paths."""
    if whole:
        out.mkdir(exist_ok=True)
    written: list[str] = []
    for name, text in texts.items():
        path = out / name if whole else out
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        except OSError as error:
            raise ConfigError(f"--out {path}: cannot be written ({error.strerror or error}). Name another.") from error
        finally:
            part.unlink(missing_ok=True)
        written.append(str(path))
    return written


def _say(suite: Suite, files: Sequence[str]) -> None:
    click.echo(f"{counted(len(suite.cases), 'case')} of {suite.incident} -> {', '.join(files)}")
    for rule in suite.rules:
        needs = "; needs unquiet where it runs" if rule.needs_unquiet else ""
        found, wrong = f"{rule.after.count} of {rule.after.n}", f"{rule.before.count} of {rule.before.n}"
        click.echo(f"  {rule.said}: fails {found} sessions of the incident, {wrong} before{needs}")
    found, wrong = f"{suite.after.count} of {suite.after.n}", f"{suite.before.count} of {suite.before.n}"
    click.echo(f"  any of them: {found} and {wrong}, measured on sessions held out")
