"""What is known of a folder and of the service over it, as lines: what was read, judged, watched, and cannot be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unquiet.app.content import NOT_RECORDED
from unquiet.app.service_lines import Line, service_lines
from unquiet.model.rejections import DAMAGED, DUPLICATE, UNREADABLE
from unquiet.model.wording import counted, percent
from unquiet.report.words import moment

Row = Mapping[str, Any]

MOST_NAMED = 12
EVENTS = {"refusal>=0.5": "refusals"}
DIED = (
    "does not run: it was killed, or the machine went down. Nothing comes in until `unquiet serve --db {}` runs again"
)
RARE = "any rare behaviour"
NO_FOLDER = "folder", "unknown: the service is opening it; ask again in a while", True


def running_lines(status: Row) -> Iterator[Line]:
    """How the service is; nothing where none runs, nor ran."""
    service: Row | None = status.get("service")
    if service is not None:
        yield from service_lines(service)
    elif status.get("service_died"):
        yield "service", DIED.format(status["folder"]), True


def folder_lines(status: Row, coverage: Row) -> Iterator[Line]:
    """What was read, judged, watched, and cannot be seen, of a status that has a folder."""
    yield "folder", str(status["folder"]), False
    yield from _read(status)
    yield from _judged(status, coverage)
    if coverage:
        yield from _watched(coverage)
        yield from blind_lines(coverage)


def coverage_of(status: Row) -> Row:
    """What was not looked at, and why; empty where no scan came to its end."""
    found = status.get("coverage")
    return found if isinstance(found, dict) else {}


def incident_line(status: Row) -> Line:
    """Which incidents are open, as far as that is known."""
    incidents = status["open_incidents"]
    if status["judged"]:
        return "incidents", f"{len(incidents)} open: {', '.join(incidents)}" if incidents else "none open", False
    return "incidents", "unknown: nothing was judged", True


def night_line(night: Row) -> Line:
    """The last scorecard of a night."""
    said = (
        f"{night['heard']} of {counted(night['failures'], 'failure')} found every time in the night of "
        f"{moment(night['at'])}; never: {', '.join(night['never']) or 'none'}"
    )
    for word in ("lost", "rang"):
        if night[word]:
            said += f"; {word}: {', '.join(night[word])}"
    return "drills", said, bool(night["lost"] or night["rang"])


def _read(status: Row) -> Iterator[Line]:
    if status["last"] is None:
        yield "turns", "none", True
    else:
        span = f"{moment(status['first'])} to {moment(status['last'])}"
        yield "turns", f"{status['turns']}, {span}; the last is {_age(status['data_age_days'])}", False
    files = status["files"]
    for source in files[:MOST_NAMED]:
        yield _file(source)
    if len(files) > MOST_NAMED:
        rest = files[MOST_NAMED:]
        lost = sum(_lost(source) for source in rest)
        more = counted(len(rest), "more file")
        yield "", f"and {more} with {counted(lost, 'row')} not used (--json names them)", lost > 0


def _file(source: Row) -> Line:
    rejected, lost = source["rejected"], _lost(source)
    if UNREADABLE in rejected:
        return "file", f"{source['path']}: not used, it could not be read", True
    text = f"{source['path']}: {counted(source['rows'], 'row')}, {counted(source['turns'], 'turn')}"
    if rejected.get(DUPLICATE):
        text += f", {counted(rejected[DUPLICATE], 'turn')} known already"
    if lost:
        said = ", ".join(
            f"{count} x {kind}" for kind, count in sorted(rejected.items()) if kind not in (DAMAGED, DUPLICATE)
        )
        text += f", {lost} not used ({said})"
    damaged = ", damaged" if DAMAGED in rejected else ""
    return "file", text + damaged, bool(lost or damaged)


def _lost(source: Row) -> int:
    return sum(count for kind, count in source["rejected"].items() if kind not in (UNREADABLE, DAMAGED, DUPLICATE))


def _judged(status: Row, coverage: Row) -> Iterator[Line]:
    if not coverage:
        yield "judged", str(status["coverage"]), True
        return
    yield "judged", str(coverage.get("not_judged", "yes")), "not_judged" in coverage
    since, service_runs = status["unjudged_turns"], "service" in status
    if service_runs and since:
        yield "", f"{counted(since, 'turn')} came after this was worked out, an hour ago at most", False
    elif since is None or since:
        count = "an unknown number of turns" if since is None else counted(since, "turn")
        yield "", f"{count} came after the last scan that ended and are not judged: scan again", True
    if "left_out" in coverage:
        yield "left out", str(coverage["left_out"]), True
    yield "learning", f"{counted(float(coverage['learning_days']), 'day')}, in which nothing is judged", False
    if coverage.get("open_sessions"):
        yield "open sessions", f"{coverage['open_sessions']}, judged when they are over", False


def _watched(coverage: Row) -> Iterator[Line]:
    if coverage.get("streams"):
        parts = coverage["slices"]
        slices = f"all traffic, {counted(parts['singles'], 'facet value')} and {counted(parts['pairs'], 'pair')}"
        budget = f"alarm budget {coverage['budget_per_30_days']:g} per 30 days"
        yield "watched", f"{counted(coverage['streams'], 'stream')} in {slices}; {budget}", False
    if "strata" in coverage:
        yield "compared within", ", ".join(coverage["strata"]) or "all traffic: no facet explains behaviour", False
    facets: Row = coverage.get("facets", {})
    used = [name for name, said in facets.items() if said.startswith("slice:")]
    if facets:
        yield "facets used", ", ".join(used) or "none: only all traffic is watched", not used
    for name, said in facets.items():
        if name not in used:
            yield "facet not used", f"{name}: {said.partition(': ')[2]}", False


def _content(coverage: Row) -> Iterator[Line]:
    content = coverage.get("content")
    if content is None:
        return
    share = f"{percent(content['without_text'])} of sessions have no text of an answer"
    if content["off"]:
        last = content["last_text_at"]
        since = f", none has since {moment(last)}" if last else ""
        yield "content", f"off: {share}{since}; signals that read text see nothing there", True
    else:
        yield "content", share if content["without_text"] else "captured", content["without_text"] >= 0.05
    for signal, last in coverage.get("signals_fallen_silent", {}).items():
        yield "fallen silent", f"{signal}: no reading since {moment(last)}, unknown since then", True


def blind_lines(coverage: Row) -> Iterator[Line]:
    """What could not be seen in the traffic, and why."""
    yield from _content(coverage)
    seen = coverage.get("languages")
    if "languages" not in coverage:
        yield "languages", "unknown: the last scan did not count them, scan again", True
    elif seen is None:
        yield "languages", "unknown: no answer was there to read; refusal and other wording signals saw nothing", True
    else:
        share = seen["without_wording_families"]
        named = ", ".join(f"{code} {percent(part)}" for code, part in seen["largest"].items())
        text = f"{percent(share)} of sessions are in languages without wording families{f' ({named})' if named else ''}"
        yield "languages", f"{text}; {', '.join(seen['with_wording_families'])} have them", share >= 0.05
    missing = _without_input(coverage)
    if missing:
        yield "signals without input", missing, False
    failures: Row = coverage.get("measurement_failures", {})
    for name, count in failures.items():
        yield "measuring failed", f"{name}: {counted(count, 'time')}", True
    if not failures:
        yield "measuring failed", "never", False


def _without_input(coverage: Row) -> str:
    """The signals that had nothing to read, and the columns that they lack; empty where there are none."""
    names: Sequence[str] = coverage.get("signals_without_input") or ()
    reasons: Row = coverage.get("signals_without_input_by_reason") or {}
    lacks = [reason.partition(":")[0].split(" or ") for reason in reasons if reason.endswith(NOT_RECORDED)]
    columns = ", ".join(dict.fromkeys(column for group in lacks for column in group))
    others = [reason for reason in reasons if not reason.endswith(NOT_RECORDED)]
    why = "; ".join([*([f"missing columns: {columns}"] if columns else []), *others])
    return ", ".join(names) + (f" ({why})" if why else "")


def visible_line(coverage: Row) -> str | None:
    """One sentence: the smallest change that a week shows in all traffic and in the smallest slice; None if unknown."""
    rows: Sequence[Row] = coverage.get("smallest_detectable") or ()
    if not rows:
        return None
    said = f"smallest visible change of {event_name(rows[0])} in all traffic: {_change(rows[0])}"
    alike = [row for row in rows[1:] if row["event"] == rows[0]["event"]]
    if alike:
        least = min(alike, key=lambda row: row["sessions_per_day"])
        where = f"{slice_name(least['slice'])}, {least['sessions_per_day']:.1f} sessions a day"
        said += f"; in the smallest slice ({where}): {_change(least)}"
    return said


def event_name(row: Row) -> str:
    """What the rates of a row are of; any other event than those named here is said by its name."""
    event: str | None = row["event"]
    return EVENTS.get(event, event) if event else RARE


def _change(row: Row) -> str:
    if row["days_7"] is None:
        return f"{percent(row['rate'])}, and no rate would be seen within 7 days by any method"
    return f"{percent(row['rate'])} -> {percent(row['days_7'])} within 7 days"


def slice_name(where: Mapping[str, str]) -> str:
    """`facet=value, facet=value`, or "all traffic"."""
    return ", ".join(f"{facet}={value}" for facet, value in where.items()) or "all traffic"


def _age(days: float) -> str:
    if days < 0:
        return "in the future: check the clock of what records the traffic"
    if days < 1 / 12:
        return f"{counted(round(days * 1440), 'minute')} old"
    if days < 2:
        return f"{counted(round(days * 24), 'hour')} old"
    return f"{counted(round(days), 'day')} old"
