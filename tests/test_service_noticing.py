"""What is told: one opening, few updates, one resolution an incident; nothing while it is muted."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_receivers import DAY, DOCUMENT, T0, notice
from unquiet.model.alerts import Notice
from unquiet.model.conditions import Condition
from unquiet.service.noticing import CONDITION_EVERY_US, UPDATE_EVERY_US, condition_notices, notices_for
from unquiet.store import Told

MINUTE, HOUR = 60_000_000, 3_600_000_000


def iso(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat().replace("+00:00", "Z")


def document(**changes: Any) -> dict[str, Any]:
    return DOCUMENT | {"id": "A"} | changes


def excess(estimate: float) -> dict[str, Any]:
    return {"excess_sessions": {"estimate": estimate, "low": estimate - 1, "high": estimate + 1}}


class Watching:
    """Steps with documents, and what was told of them."""

    def __init__(self) -> None:
        self.before: dict[str, dict[str, Any]] = {}
        self.already: dict[str, Told] = {}
        self.all: list[Notice] = []

    def step(self, now_us: int, *documents: dict[str, Any]) -> list[str]:
        found = notices_for(self.before, documents, self.already, now_us, "https://u.example/")
        for each in found:
            updated = now_us if each.phase == "updated" else None
            earlier = self.already.get(each.key)
            # As the outbox keeps it: through JSON.
            kept = Notice(**{**_fields(each), "document": orjson.loads(orjson.dumps(dict(each.document)))})
            self.already[each.key] = Told(kept, updated or (earlier.updated_us if earlier else None))
        self.before = {d["id"]: d for d in documents}
        self.all += found
        return [each.phase for each in found]


def _fields(each: Notice) -> dict[str, Any]:
    return {name: getattr(each, name) for name in Notice.__slots__}


def test_one_opening_and_one_resolution() -> None:
    watch = Watching()
    assert watch.step(T0, document()) == ["opened"]
    assert watch.step(T0 + HOUR, document()) == []
    assert watch.step(T0 + DAY, document(status="resolved", resolved_at=iso(T0 + DAY))) == ["resolved"]
    assert watch.step(T0 + 2 * DAY, document(status="resolved", resolved_at=iso(T0 + DAY))) == []
    first, last = watch.all
    assert first.id == "incident/A/opened"
    assert (first.labels, first.severity, first.key, first.title) == (last.labels, last.severity, last.key, last.title)
    assert first.url == "https://u.example/incidents/A"
    assert first.labels == {"signal": "refusal", "direction": "up", "slice": "intent=refund, locale=de-DE"}


def test_the_lines_say_what_a_person_needs() -> None:
    (opened,) = notices_for({}, [document()], {}, T0, None)
    assert list(opened.lines) == [
        "since: Tue 10 Mar 12:09 UTC (between Tue 10 Mar 11:37 UTC and Tue 10 Mar 12:23 UTC)",
        "reached: 121 sessions beyond expected (114 to 125), about 117 users",
        "rate: 2 % of 297 sessions before, 66 % of 190 sessions since",
        "first of 1 change near the onset (not proof of a cause): prompt v41 -> v42 at Tue 10 Mar 12:07 UTC",
        "sessions before: b8611721d2, 0c1e2172c3",
        "sessions after: 7b34a1149a, 8405cf800d",
        "read on: unquiet incident A",
    ]
    assert opened.url is None
    bare = document(suspects=[], users_reached=0, evidence={"before": [], "after": []}, slice={})
    (opened,) = notices_for({}, [bare], {}, T0, None)
    assert opened.lines[1].endswith("users unknown")
    assert len(opened.lines) == 4
    assert opened.labels["slice"] == "all traffic"


def test_no_text_of_traffic_is_in_the_document() -> None:
    (opened,) = notices_for({}, [document()], {}, T0, None)
    assert "answers" not in opened.document
    assert "session_ids" not in opened.document
    assert opened.document["evidence"] == DOCUMENT["evidence"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (excess(243), "It has grown: 243 sessions beyond expected, 121 when it was last told."),
        ({"also_in": [{"locale": "fr-FR"}]}, "It is seen in more of the traffic."),
        ({"status": "reopened"}, "It is back after it was resolved."),
    ],
)
def test_an_update_when_it_is_materially_different(change: dict[str, Any], said: str) -> None:
    watch = Watching()
    watch.step(T0, document())
    assert watch.step(T0 + 1, document(**excess(240))) == []
    assert watch.step(T0 + 2, document(**change)) == ["updated"]
    assert watch.all[-1].lines[0] == said
    assert watch.step(T0 + 2 * DAY, document(**change)) == []


def test_updates_are_six_hours_apart() -> None:
    watch = Watching()
    watch.step(T0, document(**excess(10)))
    assert watch.step(T0 + 1, document(**excess(20))) == ["updated"]
    assert watch.step(T0 + UPDATE_EVERY_US, document(**excess(80))) == []
    assert watch.step(T0 + UPDATE_EVERY_US + 1, document(**excess(80))) == ["updated"]


def test_flapping_is_told_at_the_pace_of_updates() -> None:
    watch = Watching()
    told = []
    for i in range(48):
        told += watch.step(T0 + i * HOUR // 2, document(status="resolved" if i % 2 else "reopened" if i else "open"))
    assert told.count("opened") == 1
    assert told.count("updated") <= 4
    assert abs(told.count("resolved") - told.count("updated") - 1) <= 1


def test_a_muted_incident_is_quiet_and_told_once_after() -> None:
    watch = Watching()
    muted = document(mute={"until": iso(T0 + 8 * HOUR), "reason": "known"}, **excess(9000))
    watch.step(T0, document())
    assert watch.step(T0 + HOUR, muted) == []
    assert watch.step(T0 + 8 * HOUR - 1, muted | {"status": "resolved"}) == []
    assert watch.step(T0 + 8 * HOUR, muted) == ["updated"]
    assert watch.all[-1].lines[0] == "Still open after its mute ended."
    assert watch.step(T0 + 9 * HOUR, muted) == []
    assert watch.step(T0 + 20 * HOUR, muted | {"status": "resolved"}) == ["resolved"]


def test_muted_from_the_start_is_opened_after() -> None:
    watch = Watching()
    muted = document(mute={"until": iso(T0 + HOUR), "reason": "known"})
    assert watch.step(T0, muted) == []
    assert watch.step(T0 + HOUR, muted) == ["opened"]
    assert watch.step(T0 + 2 * HOUR, muted) == []


def test_a_mute_that_is_lifted_is_told_once() -> None:
    watch = Watching()
    watch.step(T0, document())
    watch.step(T0 + 1, document(mute={"until": iso(T0 + DAY), "reason": "x"}))
    assert watch.step(T0 + 2, document(mute=None)) == ["updated"]
    assert watch.step(T0 + 3, document(mute=None)) == []


@pytest.mark.parametrize("until", ["never", None, 7])
def test_a_mute_without_an_end_does_not_mute(until: object) -> None:
    assert Watching().step(T0, document(mute={"until": until, "reason": "x"})) == ["opened"]


def test_handled_incidents_get_no_updates() -> None:
    watch = Watching()
    watch.step(T0, document())
    seen = {"handling": "acknowledged"}
    assert watch.step(T0 + 1, document(**excess(9999), **seen)) == []
    assert watch.step(T0 + 2, document(status="resolved", **seen)) == ["resolved"]
    assert watch.step(T0 + 3, document(status="reopened", **seen)) == []


def test_an_accepted_incident_is_over_for_the_receivers() -> None:
    watch = Watching()
    watch.step(T0, document())
    assert watch.step(T0 + 1, document(handling="accepted")) == ["resolved"]
    assert watch.all[-1].lines[0] == "Accepted as the new normal."
    assert watch.step(T0 + 2, document(handling="accepted", **excess(9999))) == []
    assert Watching().step(T0, document(handling="accepted")) == []


def test_history_is_not_told() -> None:
    watch = Watching()
    over = document(status="resolved")
    watch.before = {"A": over}
    assert watch.step(T0, over) == []
    assert watch.step(T0 + 1, document(status="reopened")) == ["opened"]


def test_what_came_and_went_between_two_looks_is_told_once() -> None:
    over = document(status="resolved", resolved_at=iso(T0))
    watch = Watching()
    assert watch.step(T0, over) == ["resolved"]
    assert watch.step(T0 + 1, over) == []
    assert Watching().step(T0 + 4 * DAY, over) == []


def test_an_incident_that_is_gone_is_withdrawn() -> None:
    watch = Watching()
    watch.step(T0, document())
    assert watch.step(T0 + 1) == ["resolved"]
    assert "Withdrawn" in watch.all[-1].lines[0]
    assert watch.step(T0 + 2) == []


@given(
    st.lists(
        st.tuples(
            st.integers(1, 12),
            st.sampled_from(["open", "resolved", "reopened"]),
            st.sampled_from([None, None, "acknowledged", "accepted"]),
            st.one_of(st.none(), st.integers(0, 20)),
            st.integers(1, 500),
        ),
        max_size=40,
    )
)
def test_whatever_happens_the_sequence_makes_sense(steps: list[tuple[int, str, str | None, int | None, int]]) -> None:
    """Opened first and once; resolved only when open; updates six hours apart; silence while muted."""
    watch, now = Watching(), T0
    is_open, opened, last_update = False, 0, -DAY
    for hours, status, handling, mute, size in steps:
        now += hours * HOUR
        until = None if mute is None else {"until": iso(now + mute * HOUR), "reason": "x"}
        told = watch.step(now, document(status=status, handling=handling, mute=until, **excess(size)))
        assert len(told) <= 1
        assert not (told and mute)
        for phase in told:
            opened += phase == "opened"
            assert phase != "resolved" or is_open or (not opened and len(watch.all) == 1)
            if phase == "updated":
                assert opened or watch.all[0].phase == "resolved"
                assert now - last_update >= UPDATE_EVERY_US
                assert handling is None
                last_update = now
            is_open = phase != "resolved"
    assert opened <= 1


def condition(state: Any, since_us: int, name: str = "disk-nearly-full") -> Condition:
    return Condition(name, state, "critical", "3 % free", "make room", since_us)


def step(already: dict[str, Told], now_us: int, *conditions: Condition) -> list[str]:
    found = condition_notices(conditions, already, {"slow": 10 * MINUTE}, now_us, "https://u.example")
    already |= {each.key: Told(each, None) for each in found}
    return [each.phase for each in found]


def test_a_condition_is_told_after_its_grace_and_when_it_is_ok_again() -> None:
    already: dict[str, Told] = {}
    assert step(already, T0 + MINUTE, condition("failing", T0)) == []
    assert step(already, T0 + MINUTE + 1, condition("failing", T0)) == ["opened"]
    opened = already["condition/disk-nearly-full"].last
    assert opened.lines == ("3 % free", "make room", "read on: unquiet status")
    assert (opened.severity, opened.url) == ("critical", "https://u.example/status")
    assert step(already, T0 + HOUR, condition("failing", T0)) == []
    assert step(already, T0 + 2 * HOUR, condition("unknown", T0)) == []
    assert step(already, T0 + 3 * HOUR, condition("ok", T0 + 3 * HOUR)) == ["resolved"]
    assert already["condition/disk-nearly-full"].last.document["failing_since_us"] == T0
    assert step(already, T0 + 4 * HOUR, condition("ok", T0 + 3 * HOUR)) == []
    assert step({}, T0 + 10 * MINUTE, condition("failing", T0, "slow")) == []
    assert step({}, T0 + 10 * MINUTE + 1, condition("failing", T0, "slow")) == ["opened"]
    assert step({}, T0 + HOUR, condition("unknown", T0), condition("ok", T0)) == []


def test_a_flapping_condition_is_told_every_quarter_of_an_hour_at_most() -> None:
    already: dict[str, Told] = {}
    at: list[int] = []
    for i in range(24 * 60):
        now = T0 + i * MINUTE
        state = "failing" if i // 2 % 2 else "ok"
        if step(already, now, condition(state, now - MINUTE - 1)):
            at.append(now)
    assert len(at) > 10
    assert min(b - a for a, b in pairwise(at)) >= CONDITION_EVERY_US


def test_other_keys_are_left_alone() -> None:
    already = {"condition/x": Told(notice(key="condition/x"), None), "test/1": Told(notice(key="test/1"), None)}
    assert notices_for({}, [], already, T0, None) == []
