"""The post-mortem: the same facts in Markdown and HTML, nothing from outside, and texts of others that stay texts."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from unquiet.app.reporting import gather, shown_sessions
from unquiet.cli.commands import unquiet
from unquiet.model.errors import UnquietError
from unquiet.model.evals import EVAL_RESULTS
from unquiet.model.turns import TURNS
from unquiet.report import Facts, headline, report_sections, to_html, to_markdown
from unquiet.report.pictures import NARROW, WIDE, days_picture, panel_picture
from unquiet.report.plain import cut, one_line, plain
from unquiet.report.rendering import escaped, fenced
from unquiet.report.words import span, subject
from unquiet.store import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
DAYS, ONSET = 14, 9.5

HOSTILE = (
    "</title></style></pre><script>alert(1)</script><img src=x onerror=alert(1)>\n"
    "````\n# Heading\n[link](https://evil.example) ![i](https://evil.example/i.png) www.evil.example <https://a.example>\n"
    "| a | b |\n\u202eright to left\u202c \u0000\u0007\u001b[31m {{ 7*7 }} {% raw %} &amp; @somebody \u05e9\u05dc\u05d5\u05dd "
    "z\u0334\u0335\u0336\u0337\u0338\u0334\u0335"
)


def iso(days: float) -> str:
    return (START + timedelta(days=days)).isoformat().replace("+00:00", "Z")


def document(**changes: Any) -> dict[str, Any]:
    days = [
        {"day": iso(i)[:10], "n": 40, "rate": 0.02 if i < 9 else 0.5, "expected": 0.02} if i != 3 else
        {"day": iso(i)[:10], "n": 0, "rate": None, "expected": None}
        for i in range(DAYS)
    ]  # fmt: skip
    told: dict[str, Any] = {
        "id": "20260311-abcdef",
        "title": "refuses refund requests in German (de-DE): 2 % -> 61 % since Wed 11 Mar 12:00 (11:00-13:00 UTC), 96 sessions",
        "status": "open",
        "signal": "refusal",
        "event": "refusal>=0.5",
        "direction": "up",
        "slice": {"intent": "refund", "locale": "de-DE"},
        "onset": {"at": iso(ONSET), "earliest": iso(ONSET - 0.04), "latest": iso(ONSET + 0.04)},
        "raised_at": iso(ONSET + 0.25),
        "resolved_at": None,
        "told_at": iso(DAYS - 0.01),
        "before": {"rate": 0.02, "n": 400, "rate_mix_adjusted": 0.021},
        "after": {"rate": 0.61, "n": 160},
        "excess_sessions": {"estimate": 96.1, "low": 83.0, "high": 108.4},
        "users_reached": 91,
        "by_day": days,
        "also_in": [],
        "also_moved": [],
        "moved": [],
        "answers": [
            {"what": "phrase", "said": 'says "leider nicht"', "change": "new", "before": {"rate": 0.0, "n": 4},
             "after": {"rate": 0.5, "n": 8}, "examples": []}
        ],
        "suspects": [{"kind": "prompt", "from": "v41", "to": "v42", "at": iso(ONSET - 0.01), "source": "deploys.jsonl:4"}],
        "provider_change": None,
        "evidence": {"before": ["b1"], "after": ["a1"], "note": None},
        "session_ids": ["a1", "a2"],
        "handled": [{"verb": "acknowledge", "who": "ann", "at": iso(ONSET + 0.5), "note": "mine"}],
    }  # fmt: skip
    return told | changes


def turn_rows(asked: str = "Where is my money?", answered: str = "It is on its way.") -> list[dict[str, Any]]:
    rows = [
        {"turn_id": f"t{i}", "session_id": f"s{i}", "time": START + timedelta(hours=2 * i + 1), "input": "hi", "output": "ho",
         "latency_ms": 900.0 + i % 7, "input_tokens": 10, "output_tokens": 5, "tool_calls": [{"name": "find"}]}
        for i in range(12 * DAYS)
        if i not in (24, 132)
    ]  # fmt: skip
    call = {"name": "refund_order", "error": "late"}
    rows.append(
        {"turn_id": "b", "session_id": "b1", "time": START + timedelta(days=2), "input": asked, "output": "Done."}
    )
    after = {"turn_id": "a", "session_id": "a1", "time": START + timedelta(days=11), "input": asked, "output": answered}
    return [*rows, after | {"tool_calls": [call]}]


def make_folder(folder: Path, told: dict[str, Any], rows: list[dict[str, Any]]) -> Path:
    with Store.open(folder) as store:
        store.append_turns(pa.Table.from_pylist(rows, schema=TURNS))
        store.put_setting("coverage", {"budget_per_30_days": 1.0})
        said = {"handling": "acknowledged", "mute": None, "log": told["handled"]}
        store.put_setting("handling", {told["id"]: said})
        raised = datetime.fromisoformat(told["raised_at"])
        store.upsert_incident(told["id"], told, raised_at=raised, status=told["status"])
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "db", document(), turn_rows())


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(unquiet, [str(word) for word in words])


def asked_for(folder: Path, *options: str) -> str:
    result = run("report", "20260311-abcdef", "--db", folder, *options)
    assert result.exit_code == 0, result.output
    return result.stdout


def facts_in(sections: Any) -> Iterator[str]:
    """Every text of blocks that both forms write down."""
    for section in sections:
        yield section["title"]
        for block in section["blocks"]:
            yield from [block["text"]] if block["kind"] == "text" else []
            yield from (text for row in block.get("rows", ()) for text in row)
            items = block.get("items", ())
            yield from (text for item in items for text in ([item] if isinstance(item, str) else item))
            for side in block.get("sides", ()):
                yield side["session"]
                parts = [turn[name] for turn in side["turns"] for name in ("asked", "answered")]
                yield from (part[name] for part in parts for name in ("head", "tail"))


def read_html(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def read_markdown(text: str) -> str:
    return " ".join(re.sub(r"\\([^\w\s])", r"\1", text).replace("&#64;", "@").split())


def assert_same_facts(sections: Any, title: str) -> None:
    forms = read_html(to_html(title, sections, "made")), read_markdown(to_markdown(title, sections, "made"))
    for fact in facts_in(sections):
        wanted = " ".join(fact.split())
        for form in forms:
            assert wanted in form or "\\" in wanted, wanted


class Page(HTMLParser):
    """The tags, attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def assert_alone(text: str) -> None:
    """Nothing that runs, and nothing that is fetched."""
    page = Page(text)
    assert not {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "a",
        "form",
        "base",
        "audio",
        "video",
        "use",
    } & set(page.tags)
    for name, value in page.attributes:
        assert name not in ("src", "href", "srcset", "style", "action", "xlink:href", "data")
        assert not name.startswith("on")
        assert not re.search(r"(?i)url\(|javascript:|^https?:", value or "")
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert not re.search(r"url\(|@import|expression\(", styles)


def test_the_report_of_a_folder(folder: Path) -> None:
    text = asked_for(folder)
    assert text.startswith("# The agent refuses refund requests in German (de-DE)\n")
    assert "Before, it did so in 2.1 % of such conversations; since then in 61 %." in text
    assert "96 conversations (83 to 108) more than was to be expected; about 91 users were affected" in text
    assert "prompt v41 -> v42" in text
    assert "acknowledged by ann: mine" in text
    assert "| eval pass rate | - | - | not looked at: no evals were added (unquiet evals PATH) |" in text.replace(
        "\\", ""
    )
    assert (
        "Not checked: automated tests and customer complaints; no data was connected: "
        "unquiet evals PATH, unquiet voices PATH." in text
    )
    assert "Why the evals did not see it" not in text
    assert "Who had already complained" not in text
    assert "| turns | 12 | 12 | nothing unusual since |" in text
    assert "`unquiet accept 20260311-abcdef --note WHY --db " in text
    assert "tools called: refund\\_order (failed)" in text


def test_facts_are_the_same_in_both_forms(folder: Path) -> None:
    told = json.loads(asked_for(folder, "--json"))
    assert told["schema"] == "unquiet.report/1"
    assert len(list(facts_in(told["sections"]))) > 80
    assert_same_facts(told["sections"], told["title"])


def test_the_html_is_one_file_without_scripts_or_addresses(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = run("report", "20260311-abcdef", "--html", "--out", out, "--db", folder)
    assert (result.exit_code, result.stdout) == (0, "")
    text = out.read_text(encoding="utf-8")
    assert_alone(text)
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src 'none'" in text
    assert text.count("<svg") == 2 + 6


def test_evals_in_the_folder_are_a_panel_and_in_the_timeline(folder: Path) -> None:
    rows = [
        {"result_id": f"{day}-{n}", "run": f"nightly {day}", "time": START + timedelta(days=day), "tool": "junit",
         "case_name": str(n), "status": "passed"}
        for day in (8, 10) for n in range(3)
    ]  # fmt: skip
    with Store.open(folder, create=False) as store:
        store.evals.append(pa.Table.from_pylist(rows, schema=EVAL_RESULTS))
    text = asked_for(folder)
    assert "| eval pass rate | 100 % | 100 % | nothing unusual since |" in text
    assert text.count("evals ran: 3 of 3 cases passed") == 2
    assert "Why the evals did not see it" in text
    assert "Not checked: customer complaints; no data was connected: unquiet voices PATH." in text


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    told = document(
        title=f"says {HOSTILE}: 2 % -> 61 % since Wed 11 Mar 12:00 (11:00-13:00 UTC), about 96 sessions",
        slice={HOSTILE: HOSTILE},
        suspects=[{"kind": HOSTILE, "from": HOSTILE, "to": HOSTILE, "at": iso(ONSET), "source": HOSTILE}],
        handled=[{"verb": "acknowledge", "who": HOSTILE, "at": iso(11), "note": HOSTILE}],
        answers=[{**document()["answers"][0], "said": f'says "{HOSTILE}"'}],
        also_in=[{"x": HOSTILE}],
    )
    folder = make_folder(tmp_path / "db", told, turn_rows(HOSTILE, HOSTILE + "\n" + "y" * 100_000 + HOSTILE))
    page, text = asked_for(folder, "--html"), asked_for(folder)
    assert_alone(page)
    for form in (page, text):
        assert len(form) < 120_000
        assert not re.search("[\u0000-\u0008\u000b-\u001f\u202a-\u202e\u2066-\u2069]", form)
        assert "characters not shown" in form
        assert "{{ 7*7 }} {% raw %}" in form
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", text)
    assert not re.search(r"(?<!\\)<\w", outside)
    assert not re.search(r"(?<!\\)\]\(", outside)
    assert "# Heading" not in [line.strip() for line in outside.splitlines()]
    assert_same_facts(json.loads(asked_for(folder, "--json"))["sections"], "x")


def test_why_green_and_voices_are_shown_where_they_are_given(folder: Path) -> None:
    green = {
        "causes": [
            {
                "cause": "topic absent",
                "says": "no case is near",
                "evidence": {"nearest_distance": 0.71, "case": HOSTILE},
            }
        ]
    }
    voices = {
        "count": 4, "joined_by": {"session": 3, "similarity": 1}, "first_at": iso(11), "alarm_at": iso(13),
        "days_won": {"first_voice": 1.25, "voice_alarm": 3.25}, "examples": ["my refund was refused", HOSTILE],
    }  # fmt: skip
    with Store.open(folder, create=False) as store:
        told = store.incidents()[0] | {"handled": []}
        turns = store.turns_of_sessions(shown_sessions(told)).to_pylist()
        facts = gather(store, told, turns, {}, why_green=green, voices=voices)
    sections = report_sections(facts)
    text = read_markdown(to_markdown(headline(told), sections, "made"))
    for said in ("topic absent: no case is near", "**nearest distance**: 0.71", "1.2 days", "session: 3; similarity: 1",
                 "the first complaint about it", "complaints alone would have raised an alarm", "if this were not so"):  # fmt: skip
        assert said in text
    assert "Not checked" not in text
    assert_same_facts(sections, headline(told))
    assert_alone(to_html(headline(told), sections, "made"))


def test_what_is_not_looked_at_is_said() -> None:
    facts = Facts(document(), [], budget=2.0, commands={"accept"})
    text = to_markdown("x", report_sections(facts), "made")
    assert "not looked at: the dashboards were not drawn" in text
    assert text.count(": the folder was not looked into") == 2
    held = to_markdown("x", report_sections(Facts(document(), [], eval_results=6, voice_count=0)), "made")
    assert (
        "Not checked: automated tests: the folder holds 6 eval results, which were not looked at; "
        "customer complaints: no data was connected: unquiet voices PATH." in held
    )
    assert "were added" not in text
    assert "at a budget of 2 false incidents per 30 days" in text
    assert "its turns are not in this folder" in text
    assert "unquiet drill" not in text


def test_an_incident_that_is_over_and_one_of_the_mix() -> None:
    over = report_sections(Facts(document(resolved_at=iso(12), status="resolved"), []))
    assert (
        "Most likely from Wed 11 Mar 2026, 12:00 UTC to Sat 14 Mar 2026, 00:00 UTC, the agent refuses"
        in over[0]["blocks"][0]["text"]
    )
    assert over[0]["blocks"][0]["text"].endswith("It is over.")
    mixed = document(
        signal="mix",
        title='users ask for something new ("esim"): 0 % -> 6 % of sessions since Mon 19 Jan 06:16 (a-b UTC), about 90 sessions',
        kinds=[{"label": "esim", "sessions": 9}],
        evidence={"before": [], "after": ["a1"], "note": None},
    )
    text = to_markdown(headline(mixed), report_sections(Facts(mixed, [])), "made")
    assert text.startswith('# Users ask for something new ("esim")\n')
    assert "of all conversations were of that kind" in text
    assert "esim: 9 sessions" in text
    assert "**asked now**: session a1" in text


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("refuses it: 2 % -> 61 % since x", ("refuses it", "")),
        ("is brief (as 9 % of answers): 7 % -> 31 % of sessions since x", ("is brief", "as 9 % of answers")),
        ('says "a: 1 % -> 2 %": 2 % -> 61 % since x', ('says "a: 1 % -> 2 %"', "")),
        ("refuses in German (de-DE): 0.5 % -> 61 % since x", ("refuses in German (de-DE)", "")),
        ("without any numbers", ("without any numbers", "")),
    ],
)  # fmt: skip
def test_the_sentence_in_a_title(title: str, expected: tuple[str, str]) -> None:
    assert subject(document(title=title)) == expected


def test_marks_of_a_picture_stay_inside() -> None:
    block = next(each for each in report_sections(Facts(document(), []))[0]["blocks"] if each["kind"] == "days")
    for width in (WIDE, NARROW):
        picture = days_picture(block, width)
        assert picture is not None
        assert len(picture["bars"]) == DAYS - 1
        assert all(0 <= mark["x"] <= width for mark in picture["marks"])
        assert [bar["since"] for bar in picture["bars"]] == [False] * 8 + [True] * 5
    assert days_picture(block | {"days": []}, WIDE) is None


def test_what_fired_before_the_start_is_told_apart() -> None:
    points = [
        {"until": iso(day), "value": 1.0, "low": None, "high": None, "fired": day != 9} for day in (8, 9, ONSET, 10)
    ]
    picture = panel_picture({"points": points}, iso(ONSET))
    assert [point["since"] for point in picture["fired"]] == [False, False, True]


def test_chance_is_drawn_behind_the_bars() -> None:
    page = to_html("x", report_sections(Facts(document(), [])), "made")
    assert 0 < page.index('<polygon class="band"') < page.index('<rect class="bar')


def test_texts_of_others() -> None:
    assert plain("a\r\nb\u2028c\u202ed\u00a0e\u0000") == "a\nb\nc[U+202E]d e[U+0000]"
    assert (
        plain("\u0e01\u0e33\u0e49 e\u0301 \U0001f469\u200d\U0001f4bb")
        == "\u0e01\u0e33\u0e49 e\u0301 \U0001f469\u200d\U0001f4bb"
    )
    assert len(plain("a" + "\u0334" * 50)) == 4
    assert one_line("x" * 1_000_000, 20) == "x" * 17 + "..."
    part = cut("a" * 100_000)
    assert len(str(part["head"])) + len(str(part["tail"])) + int(part["left_out"]) == 100_000
    assert fenced("````") == "`````text\n````\n`````"
    assert escaped("# x | <b> 1. [a](b)") == "\\# x \\| \\<b> 1. \\[a\\](b)"
    assert escaped("2. x") == "2\\. x"
    assert escaped("0.2 %") == "0.2 %"
    assert escaped("https://a.b www.c d@e") == "https\\://a.b www\\.c d&#64;e"


def test_spans() -> None:
    assert [span(iso(0), iso(days)) for days in (0.0, 0.01, 0.5, 3.25, -1.0)] == [
        "0 min",
        "14 min",
        "12 h",
        "3 days 6 h",
        "",
    ]


def test_numbers_without_an_interval_are_said_without_one() -> None:
    exact = document(excess_sessions={"estimate": 51.998, "low": 51.998, "high": 52.0}, users_reached=1)
    text = to_markdown("x", report_sections(Facts(exact, [])), "made")
    assert "That is 52 conversations more than was to be expected; 1 user was affected." in text
    assert "- **Reached**: 52 conversations, 1 user\n" in text
    assert "- **beyond expected**: 52 sessions\n" in text
    assert "(52 to 52)" not in text
    assert "**Reached**: about 96 conversations (83 to 108), about 91 users" in to_markdown(
        "x", report_sections(Facts(document(), [])), "made"
    )


def test_a_start_is_said_with_its_interval() -> None:
    wide = document(onset={"at": iso(8.5), "earliest": iso(6.25), "latest": iso(9.0)})
    text = to_markdown("x", report_sections(Facts(wide, [])), "made")
    assert "Most likely since Tue 10 Mar 2026, 12:00 UTC, the agent refuses" in text
    assert "most likely Tue 10 Mar 2026, 12:00 UTC (between Sun 08 Mar 06:00 and Wed 11 Mar 00:00)" in text
    assert "30 h after the most likely start" in text


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (6.0, "before the possible start time, 2 days 12 h before the most likely moment"),
        (6.25, "inside the possible start time, 2 days 6 h before the most likely moment"),
        (8.75, "inside the possible start time, 6 h 0 min after the most likely moment"),
        (9.25, "after the possible start time, 18 h after the most likely moment"),
    ],
)
def test_a_suspect_says_whether_it_fits_the_start(days: float, said: str) -> None:
    suspect = document()["suspects"][0] | {"at": iso(days)}
    wide = document(onset={"at": iso(8.5), "earliest": iso(6.25), "latest": iso(9.0)}, suspects=[suspect])
    text = to_markdown("x", report_sections(Facts(wide, [])), "made")
    assert said in text
    assert "does not prove that it is the cause; none is proven" in text
    assert ("the change that fits the start best" in text) is said.startswith("inside")


def test_the_next_steps_stand_under_the_lead() -> None:
    commands = {"incident", "export-evals", "accept"}
    steps = report_sections(Facts(document(), [], option=" --db x", commands=commands))[0]["blocks"][1]
    assert steps["kind"] == "steps"
    assert [command for _, command in steps["items"]] == [
        "",
        "unquiet incident 20260311-abcdef --sessions --db x",
        "unquiet export-evals 20260311-abcdef --db x",
        "unquiet accept 20260311-abcdef --note WHY --db x",
    ]
    assert "prompt v41 -> v42" in steps["items"][0][0]
    assert "not proven" in steps["items"][0][0]
    assert "2 conversations" in steps["items"][1][0]
    over = report_sections(Facts(document(resolved_at=iso(12), status="resolved"), [], commands=commands))
    assert not any("accept" in command for _, command in over[0]["blocks"][1]["items"])


def test_the_gap_of_the_same_folder(folder: Path) -> None:
    result = run("gap", "--db", folder)
    assert result.exit_code == 0
    assert "1 of them (1 to " in result.stdout
    assert "were seen by nothing else" in result.stdout
    told = json.loads(run("gap", "--json", "--days", "7", "--db", folder).stdout)
    assert told["schema"] == "unquiet.gap/1"
    assert [len(told["days"]), told["first"], told["last"]] == [7, "2026-03-09", "2026-03-15"]
    panels = {each["name"]: each["verdict"] for each in told["incidents"][0]["panels"]}
    assert panels["volume"] == "flat"
    assert panels["eval_pass_rate"].startswith("unknown")
    assert told["incidents"][0]["signal"]["rule"]["verdict"] == "fired"


def test_wrong_wishes_are_refused_with_what_to_do(folder: Path, tmp_path: Path) -> None:
    wrong = [("report", "nope", "--db", folder), ("report", "20260311-abcdef", "--html", "--json", "--db", folder),
             ("report", "20260311-abcdef", "--out", tmp_path / "no" / "x.md", "--db", folder)]  # fmt: skip
    for words in wrong:
        error = run(*words).exception
        assert isinstance(error, UnquietError)
        assert str(error).endswith(".")
