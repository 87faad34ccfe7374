"""`unquiet voices`: add tickets, ratings and posts; show what they say by themselves and of an incident."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console

from unquiet.app.adding import Added
from unquiet.app.folders import known_folder
from unquiet.cli.looking import look_into
from unquiet.cli.moments import moment
from unquiet.cli.options import read_db
from unquiet.cli.showing import Output, printing, show_reports
from unquiet.model.errors import ConfigError, UnquietError
from unquiet.model.rejections import DUPLICATE
from unquiet.model.voices import SESSION, SIMILARITY, UNJOINED, USER, VOICES
from unquiet.model.wording import counted
from unquiet.sources.voices import read_voices

Document = Mapping[str, Any]
HOW = {
    SESSION: "by session id",
    USER: "by user, to the session in the {user} days before whose request is most like it",
    SIMILARITY: "by similarity to a request in the {similarity} days before; up to one in ten of these may be chance",
    UNJOINED: "not joined",
}


@click.command("voices", short_help="Add tickets, ratings and posts, or show them.")
@click.argument("what", nargs=-1, metavar="[PATH...|ID]")
@click.option("--map", "maps", multiple=True, metavar="NAME=COLUMN", help="Which column holds NAME: time=opened.")
@click.option("--scale", metavar="LOW:HIGH", help="Worst and best rating; found in the data where it is not given.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@read_db
def voices_command(
    what: tuple[str, ...], maps: tuple[str, ...], scale: str | None, as_json: bool, db: Path | None
) -> None:
    """Add exports of tickets, ratings and posts to a folder; without PATH show them, with ID those of an incident.

    \b
    unquiet voices tickets.csv --map time=opened
    unquiet voices
    unquiet voices 20260318-a50e8c
    """  # noqa: D301
    mapping, ends = voice_mapping(maps), _scale(scale)
    folder = known_folder(db)
    with look_into(folder) as look:
        document = None
        if len(what) == 1 and not Path(what[0]).exists():
            document = next((each for each in look.documents() if each["id"] == what[0]), None)
        if what and document is None:
            added = look.add_voices(read_voices(what, mapping, scale=ends))
            say_added(added, as_json=as_json)
            return
        shown = look.voices() if document is None else look.with_voices(document).get("voices")
    with printing():
        if as_json:
            click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
        elif document is None:
            show_voices(Output(), shown or {})
        else:
            show_incident_voices(Output(), shown)


def voice_mapping(maps: tuple[str, ...]) -> dict[str, str]:
    """`--map NAME=COLUMN` as a mapping.

    Raises:
        ConfigError: another shape, a NAME that voices do not have, or one twice; all of them.
    """
    known = [name for name in VOICES.names if name not in ("origin", "facets")]
    pairs = [text.partition("=") for text in maps]
    wrong = [
        f"--map {text}: expected NAME=COLUMN with a NAME of {', '.join(known)}"
        for text, (name, _, column) in zip(maps, pairs, strict=True)
        if not column or name not in known
    ]
    names = [name for name, _, _ in pairs]
    wrong += [f"--map {name}: given twice; give it once" for name in sorted({n for n in names if names.count(n) > 1})]
    if wrong:
        raise ConfigError(". ".join(wrong))
    return {name: column for name, _, column in pairs}


def _scale(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    low, _, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (0.0, 0.0)
    if not ends[0] < ends[1]:
        raise ConfigError(f"--scale {text}: expected LOW:HIGH, the worst and the best rating, such as 1:5")
    return ends


def say_added(added: Added, *, as_json: bool = False) -> None:
    """What was read of each file and how much of it was new.

    Raises:
        UnquietError: there were rows, and none of them was a voice.
    """
    known = sum(report.rejected.pop(DUPLICATE, 0) for _, report in added.reports)
    show_reports(Output(stderr=True), added.reports)
    rejected: dict[str, int] = {}
    for _, report in added.reports:
        for kind, count in report.rejected.items():
            rejected[kind] = rejected.get(kind, 0) + count
    if as_json:
        told = {"schema": "unquiet.added/1", "added": added.new, "known": known, "rejected": rejected}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(f"{counted(added.new, 'voice')} added" + (f", {known} known already" if known else ""), err=True)
    if not added.new and not known and rejected:
        raise UnquietError("no voice could be read: see the reasons above.")


def show_voices(console: Console, told: Document) -> None:
    """The voices of a folder."""
    if not told.get("voices"):
        console.print("no voices yet: add tickets, ratings or posts with `unquiet voices PATH`")
        return
    kinds = ", ".join(counted(count, kind) for kind, count in told["kinds"].items())
    console.print(f"{kinds}, {moment(told['first_at'])} to {moment(told['last_at'])}", style="bold", soft_wrap=True)
    if told["ratings"]["n"]:
        console.print(
            f"{counted(told['ratings']['n'], 'rating')}, mean {told['ratings']['mean']:.2f} (0 worst, 1 best)"
        )
    console.print("joined to sessions")
    for how, count in told["joined_by"].items():
        if count:
            least = told["least_similarity"]
            more = f" (cosine {least:.2f} and more)" if how == SIMILARITY and least is not None else ""
            console.print(f"  {count:6}  {HOW[how].format(**told['windows_days'])}{more}", soft_wrap=True)
    console.print("by week, from Monday on")
    most = max(each["voices"] for each in told["per_week"])
    for each in told["per_week"]:
        console.print(
            f"  {each['week']}  {each['voices']:6}  {'#' * round(40 * each['voices'] / most)}", soft_wrap=True
        )
    _show_streams(console, told["streams"])


def _show_streams(console: Console, streams: Document | None) -> None:
    """What the voices alone would have told."""
    if streams is None:
        console.print("not watched: there is no traffic in the folder that they could be held against")
        return
    if streams["topics"]:
        console.print(f"topics, as the first {streams['learning_days']:g} days had them")
        for each in streams["topics"]:
            console.print(f"  {each['voices']:6}  {each['topic']}", soft_wrap=True)
    budget = f"{streams['budget_per_30_days']:g} false alarms per 30 days"
    if not streams["alarms"]:
        console.print(
            f"the voices alone would not have rung until {moment(streams['until'])}, at {budget}", soft_wrap=True
        )
        return
    console.print(f"the voices alone would have rung, at {budget}", soft_wrap=True)
    for each in streams["alarms"]:
        rate = f"{each['last_day']} in a day, usually {each['usual_per_day']:.1f}"
        console.print(f"  {moment(each['at'])}  {each['stream']}: {rate}", soft_wrap=True)


def show_incident_voices(console: Console, told: Document | None) -> None:
    """Who complained about an incident, and how many days before that unquiet rang."""
    if told is None:
        console.print("no voices in this folder: add tickets, ratings or posts with `unquiet voices PATH`")
        return
    joined = ", ".join(f"{count} by {how}" for how, count in told["joined_by"].items() if count)
    other = told["about_something_else"]
    near = told["not_claimed"]
    parts = [joined, f"{near} of them about sessions of the same slice that are not claimed" if near else ""]
    parts += [f"{other} more of the same users, about something else" if other else ""]
    more = "; ".join(filter(None, parts))
    console.print(f"voices: {told['count']}" + (f" ({more})" if more else ""), soft_wrap=True)
    for line in won_lines(told):
        console.print(f"  {line}", soft_wrap=True)
    for each in told["examples"]:
        said = each["text"] if each["text"] is not None else f"rated {each['rating']:.2f}"
        console.print(f"  {moment(each['at'])}, by {each['joined_by']}: {' '.join(str(said).split())}", soft_wrap=True)


def won_lines(told: Document) -> list[str]:
    """The days won, one line against each of the two rivals."""
    won = told["days_won"]
    lines = ["no voice of an affected session is known"]
    if won["first_voice"] is not None:
        lines = [f"first one {moment(told['first_at'])}: {_days(won['first_voice'])}{_range(won)}"]
    if won["voice_alarm"] is not None:
        return [*lines, f"the voices alone would have rung {moment(told['alarm_at'])}: {_days(won['voice_alarm'])}"]
    if told["looked_until"] is None:
        return [*lines, "whether the voices alone would have rung is not known"]
    least = f": more than {won['voice_alarm_at_least']:.1f} days won" if won["voice_alarm_at_least"] else ""
    return [*lines, f"the voices alone would not have rung until {moment(told['looked_until'])}{least}"]


def _days(days: float) -> str:
    return f"{days:.1f} days won" if days >= 0 else f"{-days:.1f} days before unquiet rang"


def _range(won: Document) -> str:
    """Where the onset is uncertain, another voice may be the first since."""
    low, high = won["first_voice_low"], won["first_voice_high"]
    if low is None or high is None or f"{low:.1f}" == f"{high:.1f}":
        return ""
    return f" ({low:.1f} to {high:.1f} within the interval of the onset)"
