"""Regression cases of an incident: what is expected is learned, measured, and told apart from what is not the agent's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from regression_worlds import AWAY, HELPS, THINGS, answers, suite
from unquiet.regression import BUILT_IN, NothingSeparates, Suite
from unquiet.regression.checking import PARTS, failed, script, words
from unquiet.regression.choosing import representatives
from unquiet.regression.learned import Said, learn


def kinds(made: Suite) -> set[str]:
    return {rule.assertion["kind"] for rule in made.rules}


def separates(made: Suite) -> None:
    """Run on the recorded answers, every case passes before and fails after, as it says."""
    assert made.cases
    for case in made.cases:
        counts = {}
        for side, given in case.given.items():
            wrong = [
                any(failed(each, case.requests[-1], answer.output, answer.calls) for each in case.assertions)
                for answer in given
            ]
            counts[side] = sum(wrong)
        assert counts["before"] == 0
        assert case.before.count == case.before.n == len(case.given["before"])
        assert counts["after"] == case.after.count > case.after.n / 2


def test_new_words_are_told_as_terms_and_separate() -> None:
    made = suite()
    separates(made)
    assert "terms" in kinds(made)
    assert made.after.rate > 0.95
    assert made.before.rate < 0.02


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("length", lambda _, text: ("Ok.", ["find_order"])),
        ("holds", lambda _, text: (f"```\n{text}\n```", ["find_order"])),
        ("calls", lambda _, text: (text, [])),
        (
            "script",
            lambda i, text: ("Ваш заказ уже в пути и скоро будет у вас, спасибо" + "!" * (i % 3), ["find_order"]),
        ),
    ],
)
def test_each_kind_of_change_is_told_by_its_assertion(kind: str, change: object) -> None:
    made = suite(change)  # type: ignore[arg-type]
    separates(made)
    assert made.after.rate > 0.95
    told = {each["kind"] for case in made.cases for each in case.assertions}
    # Words of another script are new words too: either tells it.
    assert told & ({kind, "terms"} if kind == "script" else {kind})


def test_a_signal_tells_what_no_expression_does_and_is_said_to_need_unquiet() -> None:
    made = suite(lambda _, text: (text, ["find_order"]), phrases={"refusal": "refuses"})
    assert [rule.needs_unquiet for rule in made.rules] == [True]
    assert made.needs_unquiet
    assert not suite(phrases={"refusal": "refuses"}, readings=(np.zeros(200), np.zeros(60))).needs_unquiet


def test_an_expression_is_preferred_to_a_signal() -> None:
    assert not suite(phrases={"refusal": "refuses"}).needs_unquiet


def test_no_difference_is_an_error_that_says_so() -> None:
    with pytest.raises(NothingSeparates, match=r"none of .* assertions tells the 60 sessions"):
        suite(lambda _, text: (text, ["find_order"]))


def test_too_few_answers_are_an_error() -> None:
    with pytest.raises(NothingSeparates, match="3 recorded answers before"):
        suite(before=answers(3, 0))


def test_words_of_the_request_are_no_terms() -> None:
    """An answer that repeats what was asked says nothing of the agent."""
    outputs = [f"About marzipan number {i}: gladly" for i in range(40)]
    other = Said(["Here you are"] * 40, ["?"] * 40, np.arange(40, 80))
    assert learn(Said(outputs, ["Tell me about marzipan"] * 40, np.arange(40)), other) == ("gladly",)
    assert learn(Said(outputs, ["Tell me"] * 40, np.arange(40)), other) == ("about marzipan number",)


def test_no_answer_is_written_and_a_term_of_few_sessions_is_none() -> None:
    made = suite(lambda i, text: (AWAY.format(THINGS[i % 10]) + (f" says quirin-{i}" if i < 3 else ""), ["find_order"]))
    for form in BUILT_IN:
        for text in form.files(made).values():
            assert "quirin" not in text
            assert not any(
                each.split("{}")[0].strip() in text for each in (*HELPS, AWAY) if len(each.split("{}")[0]) > 12
            )
            assert "session-" not in text


def test_requests_are_cleaned_and_deduplicated() -> None:
    made = suite(clean=lambda text, session: text.replace("lamp", "[thing]"), count=50)
    texts = [case.requests[-1] for case in made.cases]
    assert len(texts) == len(set(texts)) <= 50
    assert not any("lamp" in text for text in texts)


def test_a_conversation_is_kept() -> None:
    made = suite(earlier=("Hello there",))
    assert {case.requests[0] for case in made.cases} == {"Hello there"}
    assert all(len(case.requests) == 2 for case in made.cases)


def test_the_same_answers_give_the_same_files() -> None:
    one, two = suite(), suite()
    assert [dict(form.files(one)) for form in BUILT_IN] == [dict(form.files(two)) for form in BUILT_IN]


def test_every_case_says_how_many_answers_passed_and_failed() -> None:
    made = suite()
    rows = [json.loads(line) for line in next(iter(BUILT_IN[-1].files(made).values())).splitlines()]
    assert [row["id"] for row in rows] == [case.id for case in made.cases]
    assert all(row["recorded"]["before_passed"] == row["recorded"]["before_answers"] == 8 for row in rows)
    assert all(row["recorded"]["after_failed"] <= row["recorded"]["after_answers"] for row in rows)


def test_representatives_cover_every_group_before_any_twice() -> None:
    groups = np.repeat(np.eye(4, dtype=np.float32), [10, 5, 3, 1], axis=0)
    assert [int(np.argmax(groups[i])) for i in representatives(groups, 4)] == [0, 1, 2, 3]
    assert len(representatives(groups, 19)) == 4


def test_words_and_scripts() -> None:
    assert words("As an AI, I can’t...") == " as an ai i cant "
    assert words("我不能") == " 我 不 能 "
    assert script("Привет, world of ours и многое другое") == "Cyrillic"
    assert script("123 !") is None


def test_what_is_not_known_fails() -> None:
    calls = {"kind": "calls", "tool": "x", "want": False, "said": "does not call x"}
    assert "does not tell" in (failed(calls, "q", "a", None) or "")
    measured = {"kind": "signal", "signal": "refusal", "want": False, "said": "not: refuses"}
    assert "cannot tell" in (failed(measured, "q", "a", None, lambda *_: None) or "")


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("a code fence", "x\n```py\n"),
        ("a list", "a\n- b"),
        ("a heading", "## Now"),
        ("a table", "a\n| b | c |"),
        ("bold text", "**b**"),
        ("a link", "see https://example.org"),
        ("a question at its end", "Shall I? "),
        ("any text", "x"),
        ("json", '```json\n{"a": 1}\n```'),
    ],
)
def test_parts_are_seen(part: str, text: str) -> None:
    holds = {"kind": "holds", "part": part, "want": True, "said": part}
    assert failed(holds, "", text, None) is None
    assert failed(holds, "", " ", None) is not None
    assert part in PARTS or part == "json"
