"""The facts of an incident's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unquiet import __version__
from unquiet.model.handling import Verb
from unquiet.model.wording import counted
from unquiet.report import Facts, headline
from unquiet.report.happened import DEEDS
from unquiet.report.outside import MOST_EVIDENCE, NO_EVALS, NO_VOICES, said_value, unasked
from unquiet.report.plain import one_line, plain
from unquiet.report.sections import days_block, summary
from unquiet.report.words import fit, panel_value, panel_verdict, span, where
from unquiet.web.pages import documents as says
from unquiet.web.pages.acting import acts, commands
from unquiet.web.pages.marking import Change, phrases_of, pieces, tools_of
from unquiet.web.pages.numbers import days_of, iso, measured, moment_of

Document = Mapping[str, Any]

PAIRS, MOST_TURNS, MOST_CALLS = 2, 3, 12
MOST_MOVED = 40
NOT_DRAWN = "not looked at: the dashboards were not drawn"


def incident_path(incident_id: str) -> str:
    """The permanent link of an incident, as alerts have it."""
    return f"/incidents/{incident_id}"


def incident_page(facts: Facts, now_us: int, unable: Mapping[Verb, str]) -> says.IncidentPage:
    """The page of an incident. `unable` says of deeds that cannot be done here why not."""
    document = facts.document
    path = incident_path(str(document["id"]))
    return says.IncidentPage(
        title=headline(document),
        path=path,
        made_at=iso(now_us),
        version=__version__,
        **_told(document),
        **_measured(document),
        picture=picture(facts),
        pairs=_pairs(facts),
        suspects=[suspect(each, document["onset"]) for each in document["suspects"]],
        dashboards_note="" if facts.beside is not None else NOT_DRAWN,
        panels=_panels(facts),
        why_green=_why_green(facts),
        voices=_voices(facts),
        actions=acts(document, path, unable),
        commands=commands(str(document["id"]), facts),
        downloads=[
            says.Download(path=f"{path}/report.html", label="post-mortem, HTML"),
            says.Download(path=f"{path}/report.md", label="post-mortem, Markdown"),
        ],
    )


def _told(document: Document) -> dict[str, Any]:
    """What is said in words, and what people did."""
    mute = document.get("mute") or {}
    return {
        "id": str(document["id"]),
        "sentence": one_line(document["title"], 400),
        "status": str(document["status"]),
        "summary": summary(document),
        "where": where(document["slice"]),
        "kinds": [
            says.Row(name=one_line(each["label"]), text=counted(each["sessions"], "session"))
            for each in document.get("kinds") or ()
        ],
        "evidence_note": plain(document["evidence"].get("note")),
        "answers": [_answer(each) for each in document.get("answers") or ()],
        "also_in": [where(each) for each in document.get("also_in") or ()],
        "also_moved": [one_line(each) for each in (document.get("also_moved") or ())[:MOST_MOVED]],
        "provider": plain((document.get("provider_change") or {}).get("said")),
        "deeds": [_deed(each) for each in document.get("handled") or ()],
        "muted_until": mute.get("until"),
        "mute_reason": one_line(mute.get("reason"), 300),
    }


def _measured(document: Document) -> dict[str, Any]:
    """When it was, and how much."""
    excess, over = document["excess_sessions"], document.get("resolved_at")
    return {
        "onset": between(document["onset"]),
        "raised_at": moment_of(document["raised_at"]),
        "resolved_at": moment_of(over) if over else None,
        "told_at": moment_of(document.get("told_at") or document["raised_at"]),
        "late": span(document["onset"]["at"], document["raised_at"]),
        "before": measured(document["before"]),
        "usual": document["before"].get("rate_mix_adjusted"),
        "after": measured(document["after"]),
        "beyond": says.Amount(**{name: float(excess[name]) for name in ("estimate", "low", "high")}),
        "users": document.get("users_reached") or None,
        "claimed": len(document.get("session_ids") or ()),
    }


def between(onset: Document) -> says.Between:
    """An onset with its interval."""
    return says.Between(**{name: moment_of(onset[name]) for name in ("at", "earliest", "latest")})


def picture(facts: Facts) -> says.DaysPicture:
    """The rate a day in the slice, with what happened when."""
    block = days_block(facts.document)
    marks = list(block["marks"])
    if facts.voices is not None and facts.voices.get("first_at"):
        marks.append({"at": facts.voices["first_at"], "label": "first complaint", "kind": "voice"})
    told = [says.Mark(at=moment_of(each["at"]), kind=each["kind"], label=each["label"]) for each in marks]
    return says.DaysPicture(
        caption=block["caption"],
        days=days_of(block["days"]),
        onset=between(block["onset"]),
        marks=sorted(told, key=lambda mark: mark.at),
    )


def _pairs(facts: Facts) -> list[says.Pair]:
    document, found = facts.document, dict[str, list[Document]]()
    for turn in facts.turns:
        found.setdefault(str(turn["session_id"]), []).append(turn)
    answers = document.get("answers") or ()
    evidence = document["evidence"]

    def side(name: str, change: Change, session: str) -> says.Side:
        turns = found.get(session, [])
        shown = turns if len(turns) <= MOST_TURNS else [*turns[: MOST_TURNS - 1], turns[-1]]
        marked, tools = phrases_of(answers, change), tools_of(answers, change)
        return says.Side(
            name="before" if name == "before" else "since",
            session=one_line(session, 80),
            turns=[
                says.SaidTurn(
                    at=moment_of(_iso(turn["time"])),
                    asked=pieces(turn.get("input"), None, change),
                    called=_called(turn.get("tool_calls"), tools, change),
                    answered=pieces(turn.get("output"), marked, change),
                )
                for turn in shown
            ],
            left_out=len(turns) - len(shown),
        )

    now = [side("since", "new", each) for each in evidence["after"][:PAIRS]]
    then = [side("before", "gone", each) for each in evidence["before"][:PAIRS]]
    return [says.Pair(before=then[i] if i < len(then) else None, since=each) for i, each in enumerate(now)]


def _called(calls: Sequence[Document] | None, moved: frozenset[str], change: Change) -> list[says.Call] | None:
    if calls is None:
        return None
    return [
        says.Call(
            name=one_line(each["name"], 60),
            failed=bool(each.get("error")),
            mark=change if each["name"] in moved else "",
        )
        for each in calls[:MOST_CALLS]
    ]


def _answer(each: Document) -> says.Answer:
    return says.Answer(
        change=each["change"],
        said=one_line(each["said"]),
        before=measured(each["before"]),
        after=measured(each["after"]),
    )


def suspect(each: Document, onset: Document) -> says.SuspectedChange:
    """A change near an onset."""
    return says.SuspectedChange(
        change=change_name(each),
        at=moment_of(each["at"]),
        near=fit(each["at"], onset),
        source=one_line(each.get("source"), 80),
        likely=bool(each.get("likely")),
        why=[one_line(why, 300) for why in each.get("why") or ()],
    )


def change_name(each: Document) -> str:
    """`prompt v41 -> v42`; what is not known is left out."""
    values = [str(value) for value in (each.get("from"), each.get("to")) if value is not None]
    return one_line(f"{each['kind']} {' -> '.join(values)}")


def _panels(facts: Facts) -> list[says.Panel]:
    if facts.beside is None:
        return []
    return [
        says.Panel(
            title=each["title"],
            verdict=each["verdict"],
            said=panel_verdict(each),
            before=panel_value(each.get("before"), each["unit"]),
            since=panel_value(each.get("since"), each["unit"]),
            points=[says.Point(**point) for point in each.get("points") or ()],
        )
        for each in facts.beside["panels"]
    ]


def _why_green(facts: Facts) -> says.WhyGreen:
    known = facts.why_green
    if known is None:
        return says.WhyGreen(note=plain(unasked(facts.eval_results, "eval result", NO_EVALS)), causes=[])
    causes = [
        says.Cause(
            cause=one_line(str(each["cause"])),
            says=plain(str(each["says"])),
            evidence=[
                says.Row(name=one_line(name.replace("_", " "), 60), text=said_value(value))
                for name, value in list(each.get("evidence", {}).items())[:MOST_EVIDENCE]
            ],
        )
        for each in known["causes"]
    ]
    return says.WhyGreen(note="" if causes else "unknown: the data do not say", causes=causes)


def _voices(facts: Facts) -> says.VoicesHeard:
    known = facts.voices
    if known is None:
        note = plain(unasked(facts.voice_count, "voice", NO_VOICES))
        return says.VoicesHeard(note=note, count=None, first_at=None, alarm_at=None, days_won=None, examples=[])
    examples = [
        says.Voice(
            at=moment_of(each["at"]),
            joined_by=each["joined_by"],
            text=one_line(each["text"], 260) if each["text"] else f"rating {each['rating']:g}",
        )
        for each in known.get("examples") or ()
    ]
    return says.VoicesHeard(
        note="",
        count=known["count"],
        first_at=known.get("first_at"),
        alarm_at=known.get("alarm_at"),
        days_won=(known.get("days_won") or {}).get("first_voice"),
        examples=examples,
    )


def _deed(each: Document) -> says.Deed:
    return says.Deed(
        at=moment_of(each["at"]),
        what=DEEDS.get(each["verb"], str(each["verb"])),
        who=one_line(each["who"], 60),
        note="; ".join(one_line(each[name], 300) for name in ("reason", "note") if each.get(name)),
    )


def _iso(at: Any) -> str:
    return at if isinstance(at, str) else at.isoformat()
