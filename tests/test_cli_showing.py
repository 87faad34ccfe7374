"""What is printed for people: counts and names in words, one style of times, and nothing eaten, cut or bent."""

from __future__ import annotations

from io import StringIO
from typing import Any, get_args

from unquiet.cli.behaviours import moved_with, readable
from unquiet.cli.moments import interval, moment
from unquiet.cli.showing import DEEDS, Output, deed_line, show_incidents, show_reports, show_steps
from unquiet.cli.status import show_status
from unquiet.model.handling import Verb
from unquiet.model.rejections import ReadReport
from unquiet.model.wording import counted, sized


def told(show: Any, *values: Any, width: int = 60, **options: Any) -> str:
    console = Output(file=StringIO(), width=width, color_system=None)
    show(console, *values, **options)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_counts() -> None:
    assert [counted(n, "session") for n in (0, 1, 2)] == ["0 sessions", "1 session", "2 sessions"]
    assert counted(1.0, "false incident") == "1 false incident"
    assert counted(0.5, "false incident") == "0.5 false incidents"
    assert counted(2, "story", "stories") == "2 stories"
    assert [sized(size) for size in (1, 1023, 12_300, 3_500_000)] == ["1 byte", "1023 bytes", "12 KiB", "3.3 MiB"]


def test_moments_say_their_zone_and_the_date_once() -> None:
    onset = {"at": "2026-03-10T14:09:00Z", "earliest": "2026-03-10T13:31:00Z", "latest": "2026-03-11T00:10:00Z"}
    assert moment(onset["at"]) == "Tue 10 Mar 14:09 UTC"
    assert interval(onset) == "Tue 10 Mar 14:09 UTC (13:31 to Wed 11 Mar 00:10)"


def test_names_of_behaviours() -> None:
    assert readable("policy_denial") == "policy denial"
    assert readable("refusal>=0.5") == "refusal"
    assert readable("refusal>=0.75") == "refusal (0.75 and more)"
    assert readable("tool_mix:refund > END") == "tool mix (refund > end)"
    assert readable("tool_calls<q0.1") == "tool calls (lowest 10 %)"
    assert readable("latency_ms>q0.9") == "latency ms (highest 10 %)"


def test_what_moved_with_it_is_not_the_incident_itself() -> None:
    moved = ["refusal>=0.5", "policy_denial", "refusal>=0.75", "tools:refund", "tools:search", "policy_denial>=0.5"]
    assert moved_with({"signal": "refusal", "moved": moved}) == ["policy denial", "tools (refund)", "tools (search)"]


def test_ids_titles_and_commands_are_whole_in_a_narrow_window() -> None:
    title = (
        "says [bold]no[/bold] :smile: [/x] where plan is [free]: 2 % -> 61 % since Tue 10 Mar 14:09, about 96 sessions"
    )
    document = {"id": "20260310-bce77e", "title": title, "raised_at": "2026-03-10T16:20:00Z", "status": "open"}
    assert told(show_incidents, [document], {}) == f"20260310-bce77e  open, raised Tue 10 Mar 16:20 UTC\n  {title}\n"
    long = f"incident 20260310-bce77e --sessions --db {'very' * 30}"
    assert f"{long}\n" in told(show_steps, [(long, "the ids of the sessions")])


def test_texts_of_others_are_printed_as_they_are() -> None:
    report = ReadReport()
    report.reject("[red]a.jsonl:3", "the time '[/]' is neither", "unreadable time")
    text = told(show_reports, [("[red]a.jsonl", report)])
    assert text == "[red]a.jsonl: 1 row not used\n  1 x unreadable time\n  [red]a.jsonl:3: the time '[/]' is neither\n"


def test_signals_without_input_are_one_line() -> None:
    why = "not recorded in the learning period, or of no use to it"
    coverage = {
        "learning_days": 7.0,
        "signals_without_input": ["cost_usd", "served_model_mismatch"],
        "signals_without_input_by_reason": {
            f"cost_usd: {why}": ["cost_usd"],
            f"model or served_model: {why}": ["served_model_mismatch"],
        },
    }
    known = {
        "folder": "h", "last": None, "files": [], "coverage": coverage, "unjudged_turns": 0, "labels": [], "judges": {},
        "drills": None, "open_incidents": [], "judged": True,
    }  # fmt: skip
    text = told(show_status, known, width=200, every_slice=False)
    (line,) = [line.strip() for line in text.splitlines() if "without input" in line]
    assert line == (
        "signals without input  cost_usd, served_model_mismatch (missing columns: cost_usd, model, served_model)"
    )


def test_what_people_did_is_said_with_why() -> None:
    entry = {"at": "2026-03-10T16:31:00Z", "who": "ann", "verb": "mute", "note": "see ticket", "reason": "a campaign"}
    assert deed_line(entry) == "muted by ann Tue 10 Mar 16:31 UTC: a campaign; see ticket"
    assert deed_line({"at": entry["at"], "who": "bo", "verb": "accept"}) == (
        "accepted as the new normal by bo Tue 10 Mar 16:31 UTC"
    )
    assert set(DEEDS) == set(get_args(Verb))
