"""`unquiet drill --map`: how big a failure must be to be heard, as a table, a sentence and a picture."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import orjson
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from unquiet.app.detectability import detectability
from unquiet.app.folders import known_folder
from unquiet.app.learned import judge_of_folder, judge_of_turns
from unquiet.cli.own_folder import read_folder
from unquiet.cli.showing import Bar, Output, printing
from unquiet.drills.map import SURELY
from unquiet.model.detectability import WITHIN_DAYS, DetectabilityMap, Point
from unquiet.model.errors import ConfigError, UnquietError
from unquiet.model.settings import Settings
from unquiet.model.turns import empty_turns
from unquiet.model.wording import counted, percent
from unquiet.pipeline.judging import Judge
from unquiet.report.map_picture import map_html, map_svg
from unquiet.sources import read_files
from unquiet.stats.heard import CHANCE

SCHEMA = "unquiet.map/1"
IMPORTANT = (
    "refusal",
    "deflection",
    "handoff",
    "no_tool_call",
    "claim_without_call",
    "fail_plausible",
    "truncated",
    "language_mismatch",
    "foreign_script",
    "code_fence",
)
"""The signals of the table and the picture, the most telling first: what drills put in and people ask about."""

USED = frozenset({"map_asked", "within", "svg", "html", "as_json", "traffic", "db", "budget", "learn_days"})
"""The options of `unquiet drill` that the map uses, by their parameters."""

SHOWN_SLICES, SHOWN_SIGNALS = 12, 5
LITTLE = 0.95


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the map: where the traffic is, with which settings, and how it is to be shown."""

    traffic: tuple[str, ...]
    db: Path | None
    budget: float | None
    learn_days: float
    within: int | None
    as_json: bool
    svg: Path | None
    html: Path | None


def with_map(command: Callable[..., None]) -> Callable[..., None]:
    """The options of the map for `unquiet drill`, which with `--map` prints it and rehearses nothing."""

    @click.option("--map", "map_asked", is_flag=True, help="How big must a failure be? The detectability map.")
    @click.option(
        "--within", type=click.Choice([str(days) for days in WITHIN_DAYS]), help="Days; of the map, default: all."
    )
    @click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="The map as a picture, to this file.")
    @click.pass_context
    @functools.wraps(command)
    def wrapped(context: click.Context, /, **options: Any) -> None:
        drawn = {name: options.pop(name) for name in ("within", "svg")}
        if not options.pop("map_asked"):
            named = [f"--{name}" for name, value in drawn.items() if value is not None]
            if named:
                raise ConfigError(f"{', '.join(named)}: only with --map. Add it, or leave them out.")
            command(**options)
            return
        _refuse_others(context, is_folder=not options["traffic"])
        given = _is_given(context, "budget")
        show_map(
            Asked(
                options["traffic"],
                options["db"],
                options["budget"] if given or options["traffic"] else None,
                options["learn_days"],
                int(drawn["within"]) if drawn["within"] else None,
                options["as_json"],
                drawn["svg"],
                _page(options),
            )
        )

    return wrapped


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE


def _refuse_others(context: click.Context, *, is_folder: bool) -> None:
    """See that no option was given that the map does not use; one of a folder has learned already.

    Raises:
        ConfigError: there is one.
    """
    used = USED - {"learn_days"} if is_folder else USED
    named = [each.opts[0] for each in context.command.params if each.name not in used and _is_given(context, each.name)]
    if named:
        only = " (--learn-days: only beside --traffic)" if "--learn-days" in named else ""
        raise ConfigError(f"{', '.join(named)}: not with --map{only}. Leave it out, or ask without --map.")


def _page(options: Mapping[str, Any]) -> Path | None:
    """Where the page goes: the option of the drills' report."""
    return next((Path(value) for name, value in options.items() if "html" in name and value is not None), None)


def show_map(asked: Asked) -> None:
    """Compute the map, and print or write it."""
    within = (asked.within,) if asked.within else WITHIN_DAYS
    with Bar(Console(stderr=True)) as bar:
        found = _computed(asked, within, bar)
    lines = [noticed(found, within), *helps(found)]
    _write(found, asked, lines)
    with printing():
        if asked.as_json:
            click.echo(orjson.dumps(map_document(found, within), option=orjson.OPT_INDENT_2).decode())
            return
        console = Output()
        console.print(_table(found, within))
        for line in lines:
            console.print(line, soft_wrap=True)
        for path in (asked.svg, asked.html):
            if path is not None:
                console.print(f"written: {path}", soft_wrap=True)


def _computed(asked: Asked, within: Sequence[int], bar: Bar) -> DetectabilityMap:
    if asked.traffic:
        settings = Settings(budget=asked.budget or 1.0, learn=timedelta(days=asked.learn_days))
        tables = [table for read in read_files(asked.traffic) for table in read.tables]
        judge: Judge = judge_of_turns(pa.concat_tables(tables) if tables else empty_turns(), settings, bar.update)
        return detectability(judge, bar.update, within=within)
    with read_folder(known_folder(asked.db)) as store:
        return detectability(judge_of_folder(store, asked.budget), bar.update, within=within)


def _write(found: DetectabilityMap, asked: Asked, lines: Sequence[str]) -> None:
    """The picture and the page, where they are asked for.

    Raises:
        UnquietError: a file cannot be written.
    """
    rows = [where.name for where, _ in found.slices[:SHOWN_SLICES]]
    signals = _signals(found, len(IMPORTANT))
    title = "How big must a failure be for us to notice?"
    texts = {asked.svg: map_svg(found, rows, signals, title), asked.html: map_html(found, rows, signals, title, lines)}
    for path, text in texts.items():
        if path is None:
            continue
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UnquietError(f"{path} cannot be written ({error.strerror}). Name another file.") from error


def map_document(found: DetectabilityMap, within: Sequence[int]) -> dict[str, object]:
    """The map as a document of schema `unquiet.map/1`."""
    return {
        "schema": SCHEMA,
        "budget_per_30_days": found.budget,
        "tolerance": found.delta,
        "chance": CHANCE,
        "within_days": list(within),
        "slices": [{"slice": where.as_dict(), "sessions_per_day": count} for where, count in found.slices],
        "points": [_point(point) for point in found.points],
        "helps": [{"what": each.what, "ratio": _by_days(each.ratio)} for each in found.remedies],
    }


def _point(point: Point) -> dict[str, object]:
    base: dict[str, object] = {"slice": point.slice.as_dict(), "signal": point.signal, "direction": point.direction}
    if point.smallest is None:
        return {**base, "unknown": point.why}
    return {
        **base,
        "sessions_per_day": point.sessions_per_day,
        "usual_rate": point.rate,
        "smallest": _by_days(point.smallest),
    }


def _by_days(values: Any) -> dict[str, float | None]:
    return {f"days_{days}": value for days, value in values.items()}


def _signals(found: DetectabilityMap, most: int) -> list[str]:
    """The important signals that are known anywhere, in their order."""
    known = {point.signal for point in found.points if point.smallest is not None}
    return [name for name in IMPORTANT if name in known][:most]


def _table(found: DetectabilityMap, within: Sequence[int]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("slice", overflow="fold")
    table.add_column("a day", justify="right", no_wrap=True)
    signals = _signals(found, SHOWN_SIGNALS if len(within) > 1 else len(IMPORTANT))
    for name in signals:
        table.add_column(name.replace("_", " "), justify="right")
    known = {(point.slice, point.signal): point for point in found.points if point.direction == "up"}
    for where, count in found.slices[:SHOWN_SLICES]:
        cells = [_cell(known.get((where, name)), within) for name in signals]
        table.add_row(where.name, f"{count:.0f}", *cells)
    return table


def _cell(point: Point | None, within: Sequence[int]) -> str:
    if point is None or point.smallest is None:
        return "unknown"
    return " / ".join(_said(point.smallest.get(days)) for days in within)


def _said(share: float | None) -> str:
    return "none" if share is None else percent(share)


def noticed(found: DetectabilityMap, within: Sequence[int]) -> str:
    """The answer in one sentence: of the first important signal, in all traffic and in a middling slice."""
    first = _signals(found, 1)
    points = {p.slice: p for p in found.points if [p.signal] == first and p.direction == "up" and p.smallest}
    if not points:
        return "How big a failure must be is unknown: none of the important signals was read in this traffic."
    named = [where for where, _ in found.slices if len(where.conditions) == 1 and where in points]
    whole = next((p for p in points.values() if not p.slice.conditions), next(iter(points.values())))
    time = f"in {counted(within[0], 'day')}" if within[0] > 1 else "in a day"
    said = time.capitalize() + _noticed_first(whole, points[named[len(named) // 2]] if named else None, within[0])
    later = [(days, (whole.smallest or {}).get(days)) for days in within[1:]]
    known = [f"from {percent(value)} of all sessions on in {days} days" for days, value in later if value is not None]
    return f"{said}; {', '.join(known)}; less than that is not sure to be noticed." if known else f"{said}."


def _noticed_first(whole: Point, part: Point | None, days: int) -> str:
    """What is noticed within some days, in all traffic and in a slice; that may be no failure, however many it meets."""
    share = (whole.smallest or {}).get(days)
    if share is None:
        said = f" not even a {whole.signal} that newly meets all sessions would be noticed {SURELY}"
    else:
        said = f" you would notice, {SURELY}, a {whole.signal} that newly meets {percent(share)} of all sessions"
    if part is None:
        return said
    smaller, where = (part.smallest or {}).get(days), part.slice.name
    if smaller is None:
        return f"{said}, {'nor' if share is None else 'but not even'} one in all sessions of {where}"
    return f"{said}, {'but' if share is None else 'or'} one in {percent(smaller)} of {where}"


def helps(found: DetectabilityMap) -> list[str]:
    """What would make smaller failures visible, the most helpful first; what hardly helps is said to."""
    ranked = [
        (min(v for v in each.ratio.values() if v is not None), each)
        for each in found.remedies
        if any(each.ratio.values())
    ]
    ranked.sort(key=lambda pair: pair[0])
    lines: list[str] = []
    for best, each in ranked:
        first = next(iter(each.ratio.items()))
        ratio = best if first[1] is None else first[1]
        days = counted(first[0], "day")
        if ratio > LITTLE:
            lines.append(f"{each.what}: hardly helps, x {ratio:.2f} in {days}")
        else:
            lines.append(f"{each.what}: the smallest failure becomes x {ratio:.2f} of its size in {days}")
    return lines
