"""Turns and sessions that each signal must flag, and near misses that it must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from signal_cases import FLAGGED, KNOWN_IN_SPITE, SESSIONS, UNFLAGGED, UNKNOWN_SESSIONS
from signal_samples import call, reading, session_reading, turns
from unquiet import signals
from unquiet.model.signals import FloatArray, SessionBatch, SignalInfo, TurnBatch
from unquiet.pipeline.measuring import measure_visits
from unquiet.signals import capture
from unquiet.signals.measuring import measure_turns_with
from unquiet.signals.parts import SessionLabelled, Sessionwise, Turnwise
from unquiet.signals.surprisal import ToolPaths, count_folds, count_paths, steps, tool_surprisal
from unquiet.signals.wording import WORDING_VERSION


@pytest.mark.parametrize(("name", "row"), FLAGGED)
def test_flagged(name: str, row: dict[str, Any]) -> None:
    assert reading(name, **row) >= 0.5


@pytest.mark.parametrize(("name", "row"), UNFLAGGED)
def test_not_flagged(name: str, row: dict[str, Any]) -> None:
    assert reading(name, **row) < 0.5


def test_every_flag_and_score_has_both_samples() -> None:
    judged = {each.info.name for each in signals.TURN_SIGNALS if each.info.kind in {"flag", "score"}}
    assert judged == {name for name, _ in UNFLAGGED}
    assert judged - {"measurement_failure"} == {name for name, _ in FLAGGED}


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("output_chars", {"output": "añb"}, 3),
        ("output_words", {"output": " one  two\nthree "}, 3),
        ("output_words", {"output": ""}, 0),
        ("output_tokens", {"output_tokens": 7}, 7),
        ("output_words", {"output": "全部で八文字です"}, 4),
        ("input_tokens", {"input_tokens": 9}, 9),
        ("reasoning_tokens", {"reasoning_tokens": 5}, 5),
        ("cost_usd", {"cost_usd": 0.125}, 0.125),
        ("apology_rate", {"output": "Sorry, so sorry: no. " + "word " * 16}, 10),
        ("hedging_rate", {"output": "The train leaves at noon."}, 0),
        ("latency_ms", {"latency_ms": 2.5}, 2.5),
        ("tool_error_share", {"tool_calls": [call("a"), call("a", error="x")]}, 0.5),
        (
            "tool_empty_share",
            {"tool_calls": [call("a", result="[]"), call("a"), call("a", result="{}"), call("a")]},
            0.5,
        ),
    ],
)
def test_numbers(name: str, row: dict[str, Any], value: float) -> None:
    assert reading(name, **row) == value


def test_shares_are_unknown_without_a_call() -> None:
    assert np.isnan(reading("tool_error_share", tool_calls=[]))
    assert np.isnan(reading("tool_empty_share", tool_calls=[]))


def test_unread_languages_are_unknown_not_zero() -> None:
    finnish = "Valitettavasti en voi auttaa tämän pyynnön kanssa, koska se on vastoin sääntöjämme."
    assert np.isnan(reading("refusal", output=finnish))
    assert np.isnan(reading("apology", output=finnish))
    assert reading("asks_back", output=finnish) == 0


@pytest.mark.parametrize(
    "text",
    [
        "Helaas kan ik u met dit verzoek niet helpen, omdat het in strijd is met onze regels.",
        "К сожалению, я не могу помочь вам с этим запросом, потому что он противоречит правилам.",
    ],
)
def test_what_hangs_on_unread_wording_is_unknown_not_zero(text: str) -> None:
    assert np.isnan(reading("unfinished", output=text))
    assert np.isnan(session_reading("abandonment", {"output": text}))
    assert session_reading("abandonment", {"output": text + " Hoe heet u?"}) == 1
    assert session_reading("abandonment", {"output": text, "finish_reason": "content_filter"}) == 1


def test_every_signal_that_reads_wording_is_unknown_in_a_language_without_families() -> None:
    dutch = "Het pakket is vanmorgen aangekomen en ligt voor u klaar in de winkel om de hoek."
    batch = TurnBatch(turns([{"input": dutch, "output": dutch, "tool_calls": []}]))
    readings, _, _ = signals.measure_turns(batch)
    values, _ = signals.measure_sessions(SessionBatch(batch, np.array([0, 1]), readings))
    reads = {
        each.info.name
        for each in (*signals.TURN_SIGNALS, *signals.SESSION_SIGNALS)
        if each.info.version >= WORDING_VERSION
    }
    known = {name for name, value in (readings | values).items() if not np.isnan(value).any()}
    assert reads & known == set()


def test_labels() -> None:
    batch = TurnBatch(
        turns(
            [
                {
                    "output": "I can't help with that, I'm sorry to say so.",
                    "tool_calls": [],
                    "finish_reason": "END_TURN",
                },
                {
                    "output": "你好，我今天可以为您做些什么呢？",
                    "tool_calls": [call("a"), call("b"), call("a")],
                },
                {"tool_calls": None},
            ]
        )
    )
    labels = {name: column.to_pylist() for name, column in signals.measure_turns(batch)[1].items()}
    assert labels["tools"] == [["(none)"], ["a", "b", "a"], None]
    assert labels["language"] == [["en"], ["zh"], None]
    assert labels["finish_reason"] == [["end_turn"], None, None]
    assert {"safety_refusal", "apology"} <= set(labels["wording"][0])
    assert labels["refusal_level"] == [["full"], ["none"], None]


def test_the_order_of_tools_is_labelled() -> None:
    batch = TurnBatch(
        turns([{"tool_calls": [call("a")]}, {"tool_calls": [call("b"), call("a")]}, {"tool_calls": []}, {}])
    )
    labels, failures = signals.label_sessions(SessionBatch(batch, np.array([0, 2, 3, 4]), {}))
    assert failures == {}
    assert labels["tool_mix"].to_pylist() == [["START > a", "a > END", "a > b", "b > a"], [], None]


def test_the_wording_of_each_turn_is_kept() -> None:
    batch = TurnBatch(turns([{"output": "I'm sorry, I can't help with that."}, {"output": "It ships on Monday."}, {}]))
    kept = signals.label_sessions(SessionBatch(batch, np.array([0, 2, 3]), {}))[0]["wording_by_turn"].to_pylist()
    assert {"apology", "safety_refusal"} <= set(kept[0][0].split())
    assert kept[0][1:] == [""]
    assert kept[1] == ["?"]


def test_surprisal_is_high_for_paths_that_were_never_taken() -> None:
    def sessions(*paths: str) -> SessionBatch:
        batch = TurnBatch(turns([{"tool_calls": [call(tool) for tool in path]} for path in paths]))
        return SessionBatch(batch, np.arange(len(paths) + 1), {})

    reference = count_paths(steps(sessions(*["ab"] * 99)))
    usual, reverse, new, none = tool_surprisal(steps(sessions("ab", "ba", "axb", "")), [reference])
    assert usual < 0.1
    assert reverse > 2
    assert new > 2
    assert np.isnan(none)
    batch = TurnBatch(turns([{"tool_calls": [call("a")]}, {}]))
    assert np.isnan(tool_surprisal(steps(SessionBatch(batch, np.array([0, 2]), {})), [reference])).all()


def test_surprisal_follows_krichevsky_and_trofimov() -> None:
    """After START came a 3 times, of two tools, the end and any other: K = 4 (a, b, END, what was never met)."""
    reference = ToolPaths({("START", "a"): 3, ("a", "b"): 3, ("b", "END"): 3})
    first = (3 + 0.5) / (3 + 4 / 2)
    (bits,) = tool_surprisal(pa.array([["START\x00a", "a\x00b", "b\x00END"]], pa.list_(pa.string())), [reference])
    assert bits == pytest.approx(-np.log2(first))


def test_a_path_that_is_always_taken_is_as_usual_later() -> None:
    """A reference of all folds would find it less surprising than any fold did, by a hair, and every number event would move."""
    always = pa.array([["START\x00a", "a\x00END"]] * 103, pa.list_(pa.string()))
    folds = count_folds(always)
    assert set(tool_surprisal(always, folds).tolist()) == set(tool_surprisal(always, folds, first=103).tolist())


def test_surprisal_of_the_reference_itself_is_that_of_what_comes_after() -> None:
    """Cross-fitting: 4000 sessions against the others among them, and 4000 fresh ones against those; in-sample is too small.

    A session's surprise has a standard deviation of 2.1 bits in simulation, so the difference of two means of 4000 has 0.048,
    and 0.15 is three of them. In-sample the mean is lower by about 0.29.
    """
    rng = np.random.default_rng(4)
    drawn = [
        ["START\x00" + str(a), f"{a}\x00{b}", f"{b}\x00END"]
        for a, b in rng.zipf(1.4, (8000, 2)).clip(max=3000).tolist()
    ]
    taken = pa.array(drawn, pa.list_(pa.string()))
    learned, later = taken.slice(0, 4000), taken.slice(4000)
    folds = count_folds(learned)
    fresh = float(tool_surprisal(later, folds).mean())
    assert float(tool_surprisal(learned, folds).mean()) == pytest.approx(fresh, abs=0.15)
    assert float(tool_surprisal(learned, [count_paths(learned)]).mean()) < fresh - 0.15


def test_a_broken_signal_marks_the_turns_of_its_batch() -> None:
    def burst(_: TurnBatch) -> FloatArray:
        raise RuntimeError("no")

    broken = Turnwise(SignalInfo("broken", 1, "flag", "turn", "any", "Breaks.", "breaks", "mends", ()), burst)
    batch = TurnBatch(turns([{"output": "Done."}, {}]))
    readings, _, _ = measure_turns_with(batch, (broken, *capture.SIGNALS), ())
    assert readings["measurement_failure"].tolist()[0] == 1
    assert np.isnan(readings["measurement_failure"][1])


@pytest.mark.parametrize("kind", ["SESSION_SIGNALS", "SESSION_CATEGORY_SIGNALS"])
def test_a_broken_signal_of_sessions_marks_them_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(_: SessionBatch) -> Any:
        raise RuntimeError("no")

    card = SignalInfo("broken", 1, "number", "session", "none", "Breaks.", "breaks", "mends", ())
    broken = (
        Sessionwise(card, burst)
        if kind == "SESSION_SIGNALS"
        else SessionLabelled(replace(card, kind="category"), burst)
    )
    table = turns([{"session_id": "one", "output": "Done."}, {"session_id": "one", "output": "Well."}])
    assert measure_visits(table).column("s:measurement_failure").to_pylist() == [0.0]
    monkeypatch.setattr(signals, kind, (broken, *getattr(signals, kind)))
    assert measure_visits(table).column("s:measurement_failure").to_pylist() == [1.0]


@pytest.mark.parametrize(("name", "rows", "value"), SESSIONS)
def test_sessions(name: str, rows: list[dict[str, Any]], value: float) -> None:
    assert session_reading(name, *rows) == value


@pytest.mark.parametrize(("name", "rows"), UNKNOWN_SESSIONS)
def test_what_was_not_recorded_is_not_taken_for_nothing(name: str, rows: list[dict[str, Any]]) -> None:
    assert np.isnan(session_reading(name, *rows))


@pytest.mark.parametrize(("name", "rows", "value"), KNOWN_IN_SPITE)
def test_what_does_not_hang_on_the_unrecorded_is_known(name: str, rows: list[dict[str, Any]], value: float) -> None:
    assert session_reading(name, *rows) == value


def test_a_single_request_repeats_nothing_in_any_place() -> None:
    batch = TurnBatch(turns([{"input": "Where is it?"}, {"input": "And that?"}, {}]))
    values = signals.measure_sessions(SessionBatch(batch, np.array([0, 1, 2, 3]), {}))[0]["user_repeat"]
    np.testing.assert_array_equal(values, [0.0, 0.0, np.nan])


def test_the_order_of_tools_is_unknown_where_a_turn_is() -> None:
    rows = [{"tool_calls": [call("a")]}, {}, {"tool_calls": [call("b")]}, {"tool_calls": [call("c")]}]
    labels = signals.label_sessions(SessionBatch(TurnBatch(turns(rows)), np.array([0, 3, 4]), {}))[0]["tool_mix"]
    assert labels.to_pylist() == [None, ["START > c", "c > END"]]
    assert len(labels.flatten()) == len(pc.list_parent_indices(labels)), "nothing is kept under the null"


def test_every_session_signal_has_a_sample() -> None:
    assert {each.info.name for each in signals.SESSION_SIGNALS} == {name for name, _, _ in SESSIONS}
