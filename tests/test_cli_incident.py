"""One incident for people: the picture of its days, and sessions shown so that a change in them can be seen."""

from __future__ import annotations

from typing import Any

from inline_snapshot import snapshot

from unquiet.cli.evidence import session_lines
from unquiet.cli.picture import picture

RATES = [0.0, 0.02, None, 0.03, 0.02, 0.35, 0.61, 0.58]


def document(**changes: Any) -> dict[str, Any]:
    days = [
        {"day": f"2026-03-{9 + i:02}", "n": 0 if rate is None else 40, "rate": rate, "expected": rate and 0.02}
        for i, rate in enumerate(RATES)
    ]
    onset = {"at": "2026-03-14T14:10:00Z", "earliest": "2026-03-14T13:50:00Z", "latest": "2026-03-14T14:35:00Z"}
    return {"by_day": days, "onset": onset, "raised_at": "2026-03-15T02:25:00Z", "resolved_at": None, **changes}


def test_the_days_as_text() -> None:
    assert "\n".join(picture(document())) == snapshot("""\
per day   ▁▁ ▁▁▅██  0 to 61 % of sessions
expected  ▁▁ ▁▁▁▁▁  Mon 09 Mar to Mon 16 Mar
               ^!   ^ onset Sat 14 Mar, ! raised Sun 15 Mar\
""")


def test_the_days_where_the_output_knows_no_blocks() -> None:
    over = document(raised_at="2026-03-14T19:00:00Z", resolved_at="2026-03-16T08:00:00Z")
    lines = picture(over, plain=True)
    assert "\n".join(lines).isascii()
    assert lines[-1] == "               ^ =  ^ onset and raised Sat 14 Mar, = back to before Mon 16 Mar"


def test_marks_outside_of_the_days_are_left_out() -> None:
    assert "onset" not in picture(document(onset={"at": "2026-02-01T00:00:00Z"}))[-1]


def test_no_days_no_picture() -> None:
    assert picture({}) == []
    flat = [{"day": "2026-03-09", "n": 3, "rate": 0.0, "expected": 0.0}]
    assert picture(document(by_day=flat))[0].startswith("per day   ▁  0 to 0 %")


def turn(asked: str | None, answered: str | None, calls: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"input": asked, "output": answered, "tool_calls": calls}


def test_a_long_answer_shows_its_beginning_and_its_end() -> None:
    answer = "Gladly. " + "word " * 400 + "But I cannot do that for you."
    (_, line) = session_lines([turn("please", answer)], tools=False)
    assert line.startswith("answered: Gladly. word")
    assert line.endswith("But I cannot do that for you.")
    head, _, rest = line.removeprefix("answered: ").partition(" [... ")
    count, _, tail = rest.partition(" characters ...] ")
    assert len(head) + int(count) + len(tail) == len(" ".join(answer.split()))


def test_an_answer_of_some_length_is_shown_whole() -> None:
    answer = "x " * 300
    assert list(session_lines([turn("a", answer)], tools=False))[-1] == f"answered: {answer.strip()}"


def test_tools_and_turns_of_a_session() -> None:
    call = {"name": "find_order", "error": None}
    turns = [
        turn("first\nline", "one", [call, {"name": "refund", "error": "timeout"}]),
        turn("second", "two", []),
        turn("third", "three", []),
        turn("fourth", None),
    ]
    assert list(session_lines(turns, tools=True)) == snapshot(
        [
            "asked:    first line",
            "called:   find_order, refund (failed)",
            "answered: one",
            "asked:    second",
            "called:   no tool",
            "answered: two",
            "(1 turn not shown)",
            "asked:    fourth",
            "answered: (content was not captured)",
        ]
    )
    assert "called:   no tool" not in list(session_lines(turns, tools=False))
    assert list(session_lines([], tools=True)) == ["(its turns are not in this folder)"]


def test_many_calls_are_counted() -> None:
    lines = list(session_lines([turn("a", "b", [{"name": f"t{i}", "error": None} for i in range(9)])], tools=True))
    assert lines[1] == "called:   t0, t1, t2, t3, t4, t5 and 3 more"
