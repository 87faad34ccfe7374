"""The facts of the page that says what is going on now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from unquiet import __version__
from unquiet.app.status_lines import blind_lines, coverage_of, folder_lines, running_lines, visible_line
from unquiet.model.errors import UnquietError
from unquiet.model.wording import counted
from unquiet.report import headline
from unquiet.report.plain import one_line
from unquiet.report.words import moment, where
from unquiet.web.backend import Shown
from unquiet.web.pages import overviews as says
from unquiet.web.pages.documents import Amount, Row
from unquiet.web.pages.incident import incident_path
from unquiet.web.pages.numbers import days_of, iso, measured, moment_of

Document = Mapping[str, Any]
State = Literal["different", "quiet", "unknown"]

OVER = ("resolved", "accepted")
MOST_OVER = 10
GRAVE = ("critical", "error")
EVIDENCE = ("turns", "judged", "", "left out", "open sessions", "watched", "compared within")
"""The lines of a status that say that it looked."""

NO_GAP = "There is no traffic yet, so there is no gap to tell of."
NO_SERVICE = "No service runs over this folder: nothing new comes in until the next scan, or `unquiet serve`."
LEARN = "Send or scan some days of traffic: unquiet learns for a week before it judges. The tutorial says how."


def now_page(backend: Shown, now_us: int) -> says.NowPage:
    """The page of now."""
    status, documents = backend.status(), list(backend.incidents(None))
    coverage = coverage_of(status)
    going_on = sorted((each for each in documents if each["status"] not in OVER), key=_reached, reverse=True)
    over = sorted((each for each in documents if each["status"] in OVER), key=_ended, reverse=True)[:MOST_OVER]
    well = _well(status)
    state, said, todo = _state(status, coverage, going_on, well)
    gap, gap_note = _gap_of(backend)
    return says.NowPage(
        title="Now",
        path="/now",
        made_at=iso(now_us),
        version=__version__,
        state=state,
        headline=said,
        next=todo,
        looked=_looked(status, coverage),
        incidents=[listed(each) for each in going_on],
        over=[listed(each) for each in over],
        gap=None if gap is None else _gap(gap),
        gap_note=gap_note,
        well=well,
        blind=_blind(coverage),
    )


def _gap_of(backend: Shown) -> tuple[Document | None, str]:
    """The gap; where there is none, why."""
    try:
        gap = backend.gap()
    except UnquietError as error:
        return None, f"Not known: {one_line(str(error), 300)}"
    return gap, NO_GAP if gap is None else ""


def listed(document: Document) -> says.Listed:
    """An incident in a list."""
    excess = document["excess_sessions"]
    return says.Listed(
        id=str(document["id"]),
        path=incident_path(str(document["id"])),
        title=headline(document),
        status=str(document["status"]),
        where=where(document["slice"]),
        since=moment_of(document["onset"]["at"]),
        raised_at=moment_of(document["raised_at"]),
        resolved_at=moment_of(document["resolved_at"]) if document.get("resolved_at") else None,
        beyond=Amount(**{name: float(excess[name]) for name in ("estimate", "low", "high")}),
        users=document.get("users_reached") or None,
        before=measured(document["before"]),
        after=measured(document["after"]),
        days=days_of(document.get("by_day") or ()),
    )


def line(found: tuple[str, str, bool]) -> says.Line:
    """A line of a status."""
    name, text, warn = found
    return says.Line(name=name, text=one_line(text, 600), warn=warn)


def _reached(document: Document) -> tuple[int, float]:
    return document.get("users_reached") or 0, float(document["excess_sessions"]["estimate"])


def _ended(document: Document) -> str:
    return moment_of(document.get("resolved_at") or document["raised_at"])


def _state(
    status: Document, coverage: Document, going_on: Sequence[Document], well: Sequence[says.Line]
) -> tuple[State, str, str]:
    """Quiet is said only where it is known: of traffic that was judged, by a service that is well."""
    is_open = [each for each in going_on if each["status"] in ("open", "reopened")]
    if going_on:
        names = f"{counted(len(is_open), 'incident')} open" if is_open else "no incident is open"
        rest = len(going_on) - len(is_open)
        more = f", {counted(rest, 'incident')} known and looked after or muted" if rest else ""
        todo = "Open the first one: it reached most people." if is_open else ""
        return "different", f"Something is different: {names}{more}.", todo
    if not status.get("judged"):
        said = coverage.get("not_judged") or "nothing was judged yet"
        return "unknown", f"Not known: {one_line(str(said), 300)}.", LEARN
    if any(each.name == "failing" and each.warn for each in well) or status.get("service_died"):
        return (
            "unknown",
            "Not known: unquiet itself is not well, so it may have missed something.",
            "See below what failed.",
        )
    until = moment(status["last"]) if status.get("last") else "an unknown moment"
    return "quiet", f"Nothing is different in the traffic up to {until}.", ""


def _looked(status: Document, coverage: Document) -> list[says.Line]:
    """The evidence that it looked, and at what."""
    if "folder" not in status:
        return [says.Line(name="folder", text="unknown: it is being opened; ask again in a while", warn=True)]
    found = [line(each) for each in folder_lines(status, coverage) if each[0] in EVIDENCE]
    smallest = visible_line(coverage)
    if smallest:
        found.append(says.Line(name="would be seen", text=smallest, warn=False))
    return found


def _well(status: Document) -> list[says.Line]:
    lines = [line(each) for each in running_lines(status)]
    return lines or [says.Line(name="service", text=NO_SERVICE, warn=False)]


def _blind(coverage: Document) -> list[says.Line]:
    if not coverage:
        return [says.Line(name="everything", text="unknown: no scan has come to its end in this folder", warn=True)]
    return [line(each) for each in blind_lines(coverage)]


def _gap(gap: Document) -> says.Gap:
    return says.Gap(
        first=gap["first"],
        last=gap["last"],
        wrong=gap["wrong"],
        seen=gap["seen"],
        unseen=Amount(**gap["unseen"]),
        seen_by=[Row(name=name, text=f"{value:.0f}") for name, value in gap["seen_by"].items()],
        left_out=[Row(name=each["incident"], text=one_line(each["why"], 300)) for each in gap["left_out"]],
        days=[
            says.GapDay(day=each["day"], wrong=each["wrong"], seen=each["seen"], unseen=Amount(**each["unseen"]))
            for each in gap["days"]
        ],
    )
