"""The sentence that a tired person understands, for facets and events of every sort."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from inline_snapshot import snapshot

from unquiet.app.phrasing import event_phrase, measure_phrase
from unquiet.app.saying import weight_of
from unquiet.counts import Event
from unquiet.incidents import Exposure, title
from unquiet.incidents.places import place
from unquiet.incidents.tongues import language_name
from unquiet.model.incidents import Onset
from unquiet.model.slices import Slice
from unquiet.pipeline.measuring import signal_infos
from unquiet.pipeline.plan import REQUEST
from unquiet.shift import kinds

INFOS = {info.name: info for info in signal_infos()}


def us(day: int, hour: int, minute: int = 0) -> int:
    return round(datetime(2026, 3, day, hour, minute, tzinfo=UTC).timestamp() * 1e6)


SHARP = Onset(us(17, 14, 10), us(17, 13, 50), us(17, 14, 35))
WIDE = Onset(us(17, 14, 10), us(16, 20), us(18, 9))


def exposed(before: float, after: float, excess: float) -> Exposure:
    return Exposure(before, 900, before, after, 160, excess, 0.8 * excess, 1.2 * excess, 50.0)


def told(event: Event, direction: str, onset: Onset, rates: tuple[float, float, float], **where: str) -> str:
    info = INFOS[event.signal]
    phrase, measure = event_phrase(info, event, direction), measure_phrase(info, event, direction)
    return title(phrase, Slice(tuple(sorted(where.items()))), onset, exposed(*rates), measure)


def test_titles() -> None:
    refusal = Event("refusal", "level", 0.5)
    assert [
        told(refusal, "up", SHARP, (0.02, 0.61, 96.1), intent="refund", locale="de-DE"),
        told(refusal, "up", WIDE, (0.024, 0.03, 1.2)),
    ] == snapshot(
        [
            "refuses refund requests in German (de-DE): 2 % -> 61 % since Tue 17 Mar 14:10 (13:50-14:35 UTC), about 96 sessions",
            "refuses in all traffic: 2.4 % -> 3 % since Tue 17 Mar 14:10 (16 Mar 20:00 - 18 Mar 09:00 UTC), about 1 session",
        ]
    )


def test_what_changed_where_and_by_how_much() -> None:
    chars, latency = Event("output_chars", "below", 0.1), Event("latency_ms", "above", 0.5)
    no_tool, route = Event("tools", "label", label="(none)"), Event("tools", "label", label="route")
    titles = [
        told(chars, "up", SHARP, (0.072, 0.31, 96.1), intent="essay"),
        told(latency, "down", SHARP, (0.5, 0.22, -44.0), language="zh"),
        told(no_tool, "up", SHARP, (0.1, 0.4, 30.0), topic="workplace"),
        told(route, "down", SHARP, (0.9, 0.4, -30.0), channel="web", tenant="harbor"),
    ]
    assert [text.partition(" since ")[0] for text in titles] == snapshot(
        [
            "answers more briefly on essay requests (shorter than 90 % of usual answers): 7.2 % -> 31 % of sessions",
            "answers faster on requests in Chinese (as slow as the upper half of usual answers): 50 % -> 22 % of sessions",
            "calls no tool on workplace requests: 10 % -> 40 %",
            "uses route less for tenant harbor where channel is web: 90 % -> 40 %",
        ]
    )


def places(phrase: str, *facets: dict[str, str]) -> list[str]:
    return [place(phrase, Slice(tuple(sorted(where.items())))) for where in facets]


def test_places_of_a_verb_that_takes_the_requests() -> None:
    assert places(
        "refuses",
        {},
        {"intent": "refund"},
        {"intent": "refund_request", "locale": "de-DE"},
        {"locale": "pt_BR", "tenant": "harbor"},
        {"tenant": "harbor"},
        {"customer_id": "t-17", "user_intent": "cancel.order"},
        {REQUEST: "money / back / refund (3)", "channel": "web"},
        {REQUEST: "(new kind)"},
    ) == snapshot(
        [
            "refuses in all traffic",
            "refuses refund requests",
            "refuses refund requests in German (de-DE)",
            "refuses requests in Portuguese (pt_BR) for tenant harbor",
            "refuses for tenant harbor",
            "refuses cancel order requests for customer t-17",
            'refuses requests like "money / back / refund" where channel is web',
            "refuses requests of a new kind",
        ]
    )


def test_places_of_other_phrases() -> None:
    assert places(
        "answers more briefly",
        {"topic": "general"},
        {"intent": "essay", "topic": "general"},
        {"language": "en", "locale": "en-GB"},
        {"language": "en", "locale": "de-DE"},
        {"channel": "web", "plan": "free"},
    ) == snapshot(
        [
            "answers more briefly on general requests",
            "answers more briefly on essay requests where topic is general",
            "answers more briefly on requests in English (en-GB)",
            "answers more briefly on requests in English where locale is de-DE",
            "answers more briefly where channel is web and plan is free",
        ]
    )


@pytest.mark.parametrize(
    ("facet", "value"),
    [
        ("intent", "17"),
        ("intent", "I-0042"),
        ("intent", "x" * 60),
        ("locale", "xx-YY"),
        ("locale", "unknown"),
        ("programming_language", "go"),
        ("answer_language", "de"),
        ("intention", "refund"),
        ("tenant_plan", "free"),
    ],
)
def test_what_no_rule_knows_is_said_as_it_is(facet: str, value: str) -> None:
    assert place("refuses", Slice(((facet, value),))) == f"refuses where {facet} is {value}"


def test_languages_have_english_names() -> None:
    assert [
        language_name(value) for value in ("de", "DE", "de-DE", "zh_Hans_CN", "German", "german", "xx", "")
    ] == snapshot(["German", "German", "German (de-DE)", "Chinese (zh_Hans_CN)", "German", "German", None, None])


def test_labels_in_words() -> None:
    events = [
        ("tools", "(none)"),
        ("tools", "route"),
        ("finish_reason", "length"),
        ("language", "fr"),
        ("language", "und"),
        ("language", "xx"),
    ]
    assert [
        event_phrase(INFOS[signal], Event(signal, "label", label=label), direction)
        for signal, label in events
        for direction in ("up", "down")
    ] == snapshot(
        [
            "calls no tool",
            "calls no tool less often",
            "uses route more",
            "uses route less",
            "ends more answers with length",
            "ends fewer answers with length",
            "answers in French",
            "answers less often in French",
            "answers in a language that cannot be told",
            "answers less often in a language that cannot be told",
            "answers in xx",
            "answers less often in xx",
        ]
    )


def test_what_the_rate_of_a_number_counts() -> None:
    tests = [("below", 0.1), ("above", 0.5), ("above", 0.9), ("above", 0.99)]
    assert {
        name: [
            measure_phrase(INFOS[name], Event(name, test, level), direction)
            for test, level in tests
            for direction in ("up", "down")
        ]
        for name in ("output_chars", "latency_ms", "tool_calls", "tool_error_share")
    } == snapshot(
        {
            "output_chars": [
                "shorter than 90 % of usual answers",
                "as short as the lower 10 % of usual answers",
                "longer than half of usual answers",
                "as long as the upper half of usual answers",
                "longer than 90 % of usual answers",
                "as long as the upper 10 % of usual answers",
                "longer than 99 % of usual answers",
                "as long as the upper 1 % of usual answers",
            ],
            "latency_ms": [
                "faster than 90 % of usual answers",
                "as fast as the lower 10 % of usual answers",
                "slower than half of usual answers",
                "as slow as the upper half of usual answers",
                "slower than 90 % of usual answers",
                "as slow as the upper 10 % of usual answers",
                "slower than 99 % of usual answers",
                "as slow as the upper 1 % of usual answers",
            ],
            "tool_calls": [
                "fewer than in 90 % of usual sessions",
                "as few as in the lower 10 % of usual sessions",
                "more than in half of usual sessions",
                "as many as in the upper half of usual sessions",
                "more than in 90 % of usual sessions",
                "as many as in the upper 10 % of usual sessions",
                "more than in 99 % of usual sessions",
                "as many as in the upper 1 % of usual sessions",
            ],
            "tool_error_share": [
                "lower than in 90 % of usual sessions",
                "as low as in the lower 10 % of usual sessions",
                "higher than in half of usual sessions",
                "as high as in the upper half of usual sessions",
                "higher than in 90 % of usual sessions",
                "as high as in the upper 10 % of usual sessions",
                "higher than in 99 % of usual sessions",
                "as high as in the upper 1 % of usual sessions",
            ],
        }
    )
    assert measure_phrase(INFOS["refusal"], Event("refusal", "level", 0.5), "up") == ""


def test_every_signal_reads_as_a_sentence() -> None:
    """No phrase leaves a gap to be filled, whatever its signal."""
    for info in INFOS.values():
        for direction in ("up", "down"):
            event = Event(info.name, "label", label="x") if info.kind == "category" else Event(info.name, "flag")
            assert "{" not in event_phrase(info, event, direction)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ((kinds.RUN, "contact support for"), (kinds.RUN, "contact")),
        ((kinds.RUN, "sorry"), (kinds.RUN, "im")),
        ((kinds.RUN, "很抱歉"), (kinds.RUN, "an")),
        ((kinds.OPENING, "i can not help with that"), (kinds.LENGTH, "91 to 128 characters")),
        ((kinds.STEP, "search > refund"), (kinds.LENGTH, "91 to 128 characters")),
        ((kinds.LENGTH, "91 to 128 characters"), (kinds.RUN, "0")),
    ],
)
def test_of_features_that_say_the_same_the_telling_one_is_shown(
    better: tuple[int, str], worse: tuple[int, str]
) -> None:
    assert weight_of(*better) > weight_of(*worse)
