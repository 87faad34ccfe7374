"""What cannot be seen is said: the smallest visible changes, the languages nothing reads, and what was not judged."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inline_snapshot import snapshot

from unquiet.app.describing import coverage
from unquiet.app.scanning import scan
from unquiet.app.status import status
from unquiet.app.status_lines import visible_line
from unquiet.cli import main
from unquiet.cli.showing import Output
from unquiet.cli.status import show_status
from unquiet.model.settings import Settings
from unquiet.pipeline.judging import Judge
from unquiet.stats.detectable import smallest_detectable
from unquiet.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
GOOD = {
    "en": "Your parcel is on its way and it will be with you within three days from now.",
    "nl": "Uw pakket is onderweg en zal binnen drie dagen vanaf vandaag bij u worden bezorgd.",
    "fi": "Paketti on matkalla ja se saapuu perille kolmen päivän kuluessa tästä hetkestä.",
}
BAD = "I'm sorry, but I can't help with that request. Please contact support for further assistance."


def write(
    path: Path, days: int, *, answers: bool = True, per_day: int = 60, well: float = 1e9, dutch_from: float = 99.0
) -> str:
    """Sessions of one turn: a tenth of them in Finnish, a third from the app, one in forty of the English refused.

    After `well` days six in ten of them are refused. From day `dutch_from` on every fifth is in Dutch.
    """
    rng = np.random.default_rng(5)
    rows: list[dict[str, Any]] = []
    for i, at in enumerate(np.sort(rng.random(days * per_day)) * days):
        language = "fi" if rng.random() < 0.1 else "en"
        language = "nl" if at >= dutch_from and i % 5 == 0 else language
        answer = BAD if language == "en" and rng.random() < (0.025 if at < well else 0.6) else GOOD[language]
        rows.append(
            {
                "time": (START + timedelta(days=float(at))).isoformat(),
                "session_id": f"s{i}",
                "input": f"where is my parcel number {i}",
                "output": answer if answers else None,
                "locale": "fi-FI" if language == "fi" else "en-GB",
                "channel": "app" if rng.random() < 0.33 else "web",
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def scanned(folder: Path, days: int, **how: Any) -> dict[str, Any]:
    """The document of a scan into `folder`/store."""
    path = write(folder / "turns.jsonl", days, **how)
    return scan([path], folder / "store", Settings(), mapping={}, changes=[], progress=lambda *_: None).document


def standing(folder: Path, now: datetime = START + timedelta(days=20)) -> dict[str, Any]:
    with Store.open(folder / "store", create=False) as store:
        return status(store, Path("history"), now)


def shown(known: dict[str, Any], *, every_slice: bool = False) -> str:
    console = Output(file=StringIO(), width=120, color_system=None)
    show_status(console, known, every_slice=every_slice)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with two weeks of traffic, scanned to its end, and the document of that scan."""
    folder = tmp_path_factory.mktemp("judged")
    return folder, scanned(folder, 14)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with less traffic than the learning period needs."""
    folder = tmp_path_factory.mktemp("short")
    scanned(folder, 3)
    return folder


def test_every_slice_has_its_smallest_visible_change(judged: tuple[Path, dict[str, Any]]) -> None:
    told = judged[1]["coverage"]
    rows = told["smallest_detectable"]
    slices = [row["slice"] for row in rows]
    assert slices[0] == {}
    assert {"channel": "app"} in slices
    assert len(rows) == 1 + told["slices"]["singles"] + told["slices"]["pairs"]
    by_slice = {json.dumps(row["slice"]): row for row in rows}
    assert by_slice["{}"]["event"] == "refusal>=0.5"
    assert by_slice["{}"]["sessions_per_day"] == pytest.approx(60, rel=0.1)
    assert by_slice['{"locale": "fi-FI"}']["event"] is None, "refusals are not read in Finnish"
    assert by_slice['{"locale": "fi-FI"}']["rate"] == 0.02
    for row in rows:
        rates = [1.0 if row[f"days_{n}"] is None else row[f"days_{n}"] for n in (1, 7, 28)]
        assert row["rate"] < rates[2] <= rates[1] <= rates[0]
    assert by_slice["{}"]["days_7"] < by_slice['{"channel": "app"}']["days_7"]


def test_the_usual_rate_is_that_of_the_learning_period(tmp_path: Path) -> None:
    """A failure that has come since is not what is usual."""
    told = scanned(tmp_path, 14, well=9.0)
    assert told["incidents"]
    rows = {json.dumps(row["slice"]): row["rate"] for row in told["coverage"]["smallest_detectable"]}
    assert rows["{}"] < 0.06
    assert rows['{"channel": "app"}'] < 0.08


def test_too_little_traffic_says_what_is_missing(short: Path, tmp_path: Path) -> None:
    told = standing(short)["coverage"]["not_judged"]
    assert told == (
        "nothing was judged: the files cover 3 days and 179 finished sessions; learning needs 7 days and 200 sessions. "
        "Add older files."
    )
    enough = scanned(tmp_path, 5)["coverage"]["not_judged"]
    assert enough.endswith("Add older files, or shorten it with --learn-days 3.")


def test_the_rare_event_follows_from_the_formula(judged: tuple[Path, dict[str, Any]]) -> None:
    told = judged[1]["coverage"]
    rare = told["smallest_detectable_of_rare"]
    single = 1 + told["slices"]["singles"]
    streams = told["streams"] / (single + told["slices"]["pairs"])
    share = (0.5 if told["slices"]["pairs"] else 1.0) / 30 / single / streams
    sessions = np.array([float(judged[1]["sessions"])])
    expected = smallest_detectable(sessions, np.array([0.02]), np.array([60.0]), 7, np.array([share]), Settings().delta)
    assert rare["days_7"] == pytest.approx(expected[0], rel=0.05)


def test_the_shares_of_named_streams_are_those_that_they_watch_with(judged: tuple[Path, dict[str, Any]]) -> None:
    told = judged[1]["coverage"]
    shares, budget = told["alarm_shares"], told["budget_per_30_days"] / 30.0
    assert set(shares["slices"]) >= {"all traffic", "channel=app"}
    weights = shares["signals"]
    assert weights["empty"] == pytest.approx(3 * weights["refusal"], rel=1e-4), "three levels share what one flag has"
    assert "turns" not in weights
    named = shares["slices"]["all traffic"] * weights["empty"]
    assert budget / told["streams"] < named < 0.68 * budget / len(weights)


def test_the_share_of_languages_without_families(judged: tuple[Path, dict[str, Any]]) -> None:
    told = judged[1]["coverage"]["languages"]
    assert told["without_wording_families"] == pytest.approx(0.1, abs=0.03)
    assert list(told["largest"]) == ["fi"]
    assert "en" in told["with_wording_families"]


def test_a_language_that_came_after_the_learning_period_has_its_name(tmp_path: Path) -> None:
    told = scanned(tmp_path, 14, dutch_from=10.0)["coverage"]["languages"]
    assert set(told["largest"]) == {"fi", "nl"}
    assert told["largest"]["nl"] == pytest.approx(0.2 * 4 / 14, abs=0.01)


def test_languages_are_counted_before_anything_is_judged(short: Path) -> None:
    told = standing(short)["coverage"]
    assert told["languages"]["without_wording_families"] == pytest.approx(0.1, abs=0.05)
    assert "smallest_detectable" not in told


def test_without_answers_a_rare_event_stands_in(tmp_path: Path) -> None:
    told = scanned(tmp_path, 10, answers=False)["coverage"]
    assert told["languages"] is None
    assert {row["event"] for row in told["smallest_detectable"]} == {None}
    assert "refusal" in told["signals_without_input"]
    assert "unknown: no answer was there to read" in shown(standing(tmp_path))
    assert "of any rare behaviour in all traffic: 2 % ->" in (visible_line(told) or "")


def row(
    where: dict[str, str], per_day: float, rate: float, *days: float | None, event: str | None = "refusal>=0.5"
) -> Any:
    numbers = {"days_1": days[0], "days_7": days[1], "days_28": days[2]}
    return {"slice": where, "event": event, "sessions_per_day": per_day, "rate": rate, **numbers}


KNOWN: dict[str, Any] = {
    "folder": "history",
    "turns": 1204,
    "first": "2026-03-02T00:13:22+00:00",
    "last": "2026-03-15T23:55:44+00:00",
    "data_age_days": 4.02,
    "files": [
        {"path": "monday.jsonl", "rows": 1000, "turns": 1000, "rejected": {}},
        {"path": "rest.jsonl", "rows": 207, "turns": 204, "rejected": {"missing time": 2, "duplicate turn": 1}},
    ],
    "judged": True,
    "unjudged_turns": 0,
    "open_incidents": ["20260312-a50e8c"],
    "labels": [],
    "judges": {},
    "drills": None,
    "coverage": {
        "learning_days": 7.0,
        "open_sessions": 3,
        "measurement_failures": {"repetition": 4},
        "streams": 1510,
        "budget_per_30_days": 1.0,
        "slices": {"singles": 3, "pairs": 2},
        "strata": ["channel"],
        "facets": {"channel": "slice: 2 of 2 values have 30 sessions or more", "model": "constant: only one value: m"},
        "languages": {
            "sessions": 900,
            "without_wording_families": 0.1034,
            "largest": {"fi": 0.1, "sv": 0.004},
            "with_wording_families": ["de", "en"],
        },
        "signals_without_input": ["tool_error"],
        "smallest_detectable": [
            row({}, 60.2, 0.0241, 0.325, 0.126, 0.091),
            row({"channel": "app"}, 19.9, 0.0203, 0.63, 0.228, 0.151),
            row({"channel": "web"}, 40.3, 0.026, 0.42, 0.161, 0.114),
            row({"locale": "fi-FI"}, 5.8, 0.02, None, 0.48, 0.31, event=None),
            row({"channel": "app", "locale": "en-GB"}, 18.1, 0.0201, 0.68, 0.24, 0.16),
            row({"channel": "app", "locale": "fi-FI"}, 1.8, 0.02, None, None, 0.6, event=None),
        ],
        "smallest_detectable_of_rare": row({}, 60.2, 0.02, 0.31, 0.12, 0.085, event=None),
    },
}


def test_status_for_people() -> None:
    assert shown(KNOWN) == snapshot("""\
folder                 history
turns                  1204, Mon 02 Mar 00:13 UTC to Sun 15 Mar 23:55 UTC; the last is 4 days old
file                   monday.jsonl: 1000 rows, 1000 turns
file                   rest.jsonl: 207 rows, 204 turns, 1 turn known already, 2 not used (2 x missing time)
judged                 yes
learning               7 days, in which nothing is judged
open sessions          3, judged when they are over
watched                1510 streams in all traffic, 3 facet values and 2 pairs; alarm budget 1 per 30 days
compared within        channel
facets used            channel
facet not used         model: only one value: m
languages              10 % of sessions are in languages without wording families (fi 10 %, sv 0.4 %); de, en have them
signals without input  tool_error
measuring failed       repetition: 4 times
incidents              1 open: 20260312-a50e8c

the smallest rate of refusals that would be seen (about every second time)
slice         sessions a day  usual rate  1 day  7 days  28 days
all traffic             60.2       2.4 %   32 %    13 %    9.1 %
channel=web             40.3       2.6 %   42 %    16 %     11 %
channel=app             19.9         2 %   63 %    23 %     15 %
locale=fi-FI             5.8        2 %*   none    48 %     31 %
none: no change at all would be seen in that time, by any method inside the budget
*: refusals are not measured there; the rates are those of any rare behaviour
and 2 pairs of facet values with 1.8 to 18.1 sessions a day: within 7 days 24 % in the best of them, none in the middle
one, none in the worst; --all shows them
any behaviour of 2 % in all traffic: 31 % in 1 day, 12 % in 7 days, 8.5 % in 28 days\
""")


def test_all_slices_on_request() -> None:
    assert "channel=app, locale=en-GB" not in shown(KNOWN)
    assert "channel=app, locale=en-GB" in shown(KNOWN, every_slice=True)


def test_the_line_of_a_scan() -> None:
    assert (visible_line(KNOWN["coverage"]) or "").split("; ") == snapshot(
        [
            "smallest visible change of refusals in all traffic: 2.4 % -> 13 % within 7 days",
            "in the smallest slice (channel=app, locale=en-GB, 18.1 sessions a day): 2 % -> 24 % within 7 days",
        ]
    )
    assert visible_line({}) is None


def test_nothing_judged_is_not_fine(short: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    known = standing(short)
    assert known["judged"] is False
    text = shown(known)
    assert "nothing was judged: " in text
    assert "unknown: nothing was judged" in text
    assert "none open" not in text
    assert "how small a change could be seen: unknown" in text
    for options in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["unquiet", "incidents", "--db", str(short / "store"), *options])
        with pytest.raises(SystemExit):
            main()
        said = capsys.readouterr()
        assert (said.err if options else said.out).startswith("nothing was judged: ")
        assert "no incident" not in said.out


def test_a_folder_without_a_finished_scan_is_unknown(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store"):
        pass
    known = standing(tmp_path)
    assert known["judged"] is None
    text = shown(known)
    assert "unknown: no scan has come to its end" in text
    assert "none open" not in text


def test_turns_that_came_after_the_scan_are_told(judged: tuple[Path, dict[str, Any]]) -> None:
    known = standing(judged[0])
    assert known["unjudged_turns"] == 0
    text = shown({**known, "unjudged_turns": 12})
    assert "12 turns came after the last scan that ended and are not judged: scan again" in text


def test_the_age_of_the_data_is_that_of_its_last_turn(judged: tuple[Path, dict[str, Any]]) -> None:
    assert standing(judged[0])["data_age_days"] == pytest.approx(6, abs=0.1)
    assert "in the future" in shown(standing(judged[0], START))


def test_a_judgement_without_sessions_has_nothing_to_say(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        told = coverage(Judge(Settings()), store)
    assert told["languages"] is None
    assert told["streams"] == 0
