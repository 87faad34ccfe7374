"""The report of drills: the same facts in Markdown and HTML, misses with a reason, and nothing from outside."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from unquiet.report import drill_sections, drill_title, to_html, to_markdown
from unquiet.report.delays import MOST_H, delays_picture
from unquiet.report.drills import assumed, dose, hours, why_missed
from unquiet.report.pictures import NARROW, WIDE

HOUR_US = 3_600_000_000
HOSTILE = '<script>alert(1)</script> | [x](https://evil.example) "'


def drill(name: str, **changes: Any) -> dict[str, Any]:
    dose = {
        "share": 0.4,
        "shape": "step",
        "ramp_days": 0.0,
        "slice_share": None,
        "condition": None,
        "sticky": False,
        "lasts_hours": None,
    }
    own = {
        "name": name,
        "title": f"title of {name}",
        "says": "fails",
        "control": False,
        "signals": ["refusal"],
        "dose": dose,
        "condition": None,
    }
    return own | changes


def scored(preset: str, found: int, **changes: Any) -> dict[str, Any]:
    heard: dict[str, Any] = {"hours": [1.0, 2.0, 30.0], "met": 12.0, "users": 11.0, "ratio": 1.5} if found else {}
    empty = {"hours": None, "met": None, "users": None, "ratio": None}
    right = {"slice_right": 1.0 if found else None, "onset_right": 0.5 if found else None}
    own = {"preset": preset, "control": False, "rehearsals": 2, "found": found, "affected": 300.0}
    return own | empty | heard | right | changes


def rehearsed(preset: str, raised: bool, **changes: Any) -> dict[str, Any]:
    own: dict[str, Any] = {
        "preset": preset,
        "onset_us": 0,
        "horizon_us": 7 * 24 * HOUR_US,
        "slice": {},
        "affected": 300,
        "raised_us": 2 * HOUR_US if raised else None,
        "incident": {"signal": "refusal", "direction": "up", "slice": {}} if raised else None,
        "oracle_us": 1.5 * HOUR_US,
        "watchers": {"errors": {"at_us": HOUR_US if preset == "loud" else None}},
    }
    return own | changes


@pytest.fixture
def document() -> dict[str, Any]:
    dead = rehearsed("D19-door", True) | {"incident": {"condition": "door-dead"}, "watchers": {}}
    return {
        "schema": "unquiet.drill/1",
        "budget_per_30_days": 1.0,
        "seeds": 2,
        "learn_days": 7.0,
        "traffic": {
            "first": "2026-03-02T00:00:00+00:00",
            "last": "2026-03-16T00:00:00+00:00",
            "turns": 900,
            "sessions": 400,
        },
        "drills": [
            drill("loud"),
            drill("deaf", title=HOSTILE),
            drill("calm", control=True),
            drill("D19-door", condition="door-dead"),
        ],
        "scores": [
            scored("loud", 2),
            scored("deaf", 0),
            scored("D19-door", 1, slice_right=None, onset_right=None, ratio=None, rehearsals=1),
            scored("calm", 1, control=True),
        ],
        "rehearsals": [
            rehearsed("loud", True),
            rehearsed("loud", True),
            rehearsed("deaf", False),
            rehearsed("deaf", False),
            dead,
            rehearsed("calm", True),
            rehearsed("calm", False),
        ],
    }


def section(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in drill_sections(document) if each["id"] == name)


def test_what_it_says(document: dict[str, Any]) -> None:
    assert drill_title(document) == "2 of 3 known failures would be heard every time"
    assert [each["id"] for each in drill_sections(document)] == [
        "summary",
        "scorecard",
        "misses",
        "controls",
        "assumed",
    ]
    said = section(document, "summary")["blocks"][0]["text"]
    assert "2 were heard every time, 0 sometimes, 1 never." in said
    assert "Harmless changes raised 1 false alarm in 2 rehearsals." in said
    rows = section(document, "scorecard")["blocks"][1]["rows"]
    assert rows[0] == [
        "loud: title of loud",
        "40 % of all sessions",
        "2 of 2",
        "2.0 h (1.0 h to 30.0 h)",
        "12 sessions, 11 users",
        "300",
        "1.5",
        "100 %, 50 %",
    ]
    assert rows[1][2:] == ["0 of 2", "-", "-", "300", "-", "-"]
    assert rows[2][1] == "told by door-dead"
    assert rows[2][-2:] == ["-", "-"]
    assert section(document, "controls")["blocks"][0]["rows"] == [["calm: title of calm", "2", "1", "refusal up"]]
    assert any("at least 22 % of such failures" in each for each in assumed(document))


def test_the_stack_is_shown_where_it_was_asked(document: dict[str, Any]) -> None:
    standing = {
        "watcher": "errors",
        "says": "an error-rate rule",
        "is_unknown": False,
        "failures": ["loud"],
        "noticed": 2,
        "rehearsals": 4,
        "controls": 2,
        "on_controls": 0,
        "false_alarms": 1,
        "unknown": {"errors_total": "no such metric"},
    }
    silent = standing | {"watcher": "tickets", "is_unknown": True, "unknown": {}}
    stack = {
        "answer": "of 3 failures your present stack would notice 1",
        "failures": ["loud", "deaf", "more"],
        "watchers": [standing, silent],
    }
    told = section(document | {"stack": stack}, "stack")["blocks"]
    assert told[0]["rows"] == [
        ["errors: an error-rate rule", "1 of 3 (in 2 of 4 rehearsals)", "1 of 6", "0 of 2"],
        ["tickets: an error-rate rule", "unknown", "unknown", "unknown"],
    ]
    assert told[1]["head"] == ["drill", "unquiet", "errors", "tickets"]
    assert told[1]["rows"][:2] == [["loud", "2 of 2", "2 of 2", "unknown"], ["deaf", "0 of 2", "0 of 2", "unknown"]]
    assert told[2]["items"] == ["Not evaluated: errors, errors_total: no such metric"]
    text = section(document | {"stack": stack}, "summary")["blocks"][1]["text"]
    assert text == "Of 3 failures your present stack would notice 1."


@pytest.mark.parametrize(
    ("rehearsal", "own", "text"),
    [
        ({"affected": 0}, {}, "it met nobody"),
        ({"oracle_us": None}, {}, "too small for anybody: it met 300 sessions in 7.0 days"),
        (
            {},
            {},
            "it met 300 sessions in 7.0 days and could be heard: a watch that is told whom it meets would take 1.5 h",
        ),
        (
            {},
            {"shape": "ramp", "ramp_days": 26.0},
            "it grows for 26 days, of which a rehearsal saw 7.0; it met 300 sessions",
        ),
    ],
)
def test_a_miss_has_a_reason(rehearsal: dict[str, Any], own: dict[str, Any], text: str) -> None:
    put_in = drill("deaf")
    put_in["dose"] |= own
    missed = [rehearsed("deaf", False, **rehearsal), rehearsed("deaf", True, affected=9999)]
    assert text in why_missed(scored("deaf", 0), put_in, missed)


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ({"share": 1.0}, "all sessions"),
        ({"share": 0.003, "sticky": True}, "0.3 % of all sessions, always the same users"),
        ({"slice_share": 0.1, "condition": "long input"}, "40 % of a slice of about 10 %, long input"),
        ({"lasts_hours": 16.0, "shape": "flicker"}, "40 % of all sessions, every second hour, over after 16 h"),
    ],
)
def test_doses_in_words(own: dict[str, Any], text: str) -> None:
    assert dose(drill("x")["dose"] | own) == text


def test_lengths_of_time_in_words() -> None:
    assert [hours(each) for each in (0.02, 0.04, 0.5, 1.0, 47.9, 48.0)] == [
        "72 s",
        "2 min",
        "30 min",
        "1.0 h",
        "47.9 h",
        "2.0 days",
    ]


MAP = {
    "schema": "unquiet.map/1",
    "chance": 0.9,
    "within_days": [1, 7],
    "slices": [{"slice": {}, "sessions_per_day": 200.4}, {"slice": {"locale": "de"}, "sessions_per_day": 40.0}],
    "points": [
        {"slice": {}, "signal": "refusal", "direction": "up", "smallest": {"days_1": 0.5, "days_7": 0.45}},
        {"slice": {}, "signal": "refusal", "direction": "down", "smallest": {"days_1": 0.1, "days_7": 0.1}},
        {
            "slice": {"locale": "de"},
            "signal": "refusal",
            "direction": "up",
            "smallest": {"days_1": None, "days_7": None},
        },
        {"slice": {}, "signal": "loop", "direction": "up", "unknown": "never read"},
    ],
}


def test_the_map_is_shown_and_explains_misses(document: dict[str, Any]) -> None:
    told = section(document | {"map": MAP}, "map")["blocks"]
    assert "in 90 % of the cases within 1, 7 days" in told[0]["text"]
    assert told[1]["head"] == ["slice", "sessions a day", "refusal"]
    assert told[1]["rows"] == [["all traffic", "200", "50 % / 45 %"], ["locale=de", "40", "none / none"]]
    says = ["met 40 % of all sessions; within 7 days the smallest is 45 %", "met 3 % of the sessions of locale=de"]
    why = section(document | {"map": MAP, "map_says": {"deaf": says}}, "misses")["blocks"][0]["rows"][0][-1]
    assert why.endswith(f" By the map: it {says[0]}. It {says[1]}.")
    small = why_missed(scored("deaf", 0), drill("deaf"), [rehearsed("deaf", False, oracle_us=None)], says[:1])
    assert small.endswith(f"within the budget. By the map: it {says[0]}.")
    assert "map" not in why_missed(scored("deaf", 0), drill("deaf"), [rehearsed("deaf", False)])


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href") and value]


def test_html_needs_nothing_else_and_runs_nothing(document: dict[str, Any]) -> None:
    text = to_html(drill_title(document), drill_sections(document), "made")
    page = Tags()
    page.feed(text)
    assert "script" not in page.tags
    assert page.outside == []
    assert "&lt;script&gt;" in text
    assert page.tags.count("svg") == 2
    assert text == to_html(drill_title(document), drill_sections(document), "made")


def test_markdown_has_the_same_tables(document: dict[str, Any]) -> None:
    text = to_markdown(drill_title(document), drill_sections(document), "made")
    assert text.startswith("# 2 of 3 known failures would be heard every time\n")
    assert re.search(r"^\| loud: title of loud \| 40 % of all sessions \| 2 of 2 \|", text, re.MULTILINE)
    assert r"\<script>" in text
    assert "\\](https\\:" in text


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_picture_stays_inside(width: int) -> None:
    rows = [
        {"name": name, "hours": each, "found": 20, "rehearsals": 20}
        for name, each in (("D19-judge", [0.001, 0.01, 0.03]), ("tools_promised", [0.5, 2.0, 400.0]))
    ]
    picture = delays_picture(rows, width)
    drawn = [each[name] for each in picture["rows"] for name in ("low", "middle", "high")]
    assert all(picture["left"] <= x <= picture["right"] for x in drawn)
    assert picture["rows"][1]["high"] == pytest.approx(picture["right"], abs=0.1)
    places = [tick["x"] for tick in picture["ticks"]]
    assert all(later - earlier >= 40 for earlier, later in itertools.pairwise(places))
    assert MOST_H == 168.0
