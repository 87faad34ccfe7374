"""Polite denials of support agents in English, and their neighbours that deny nothing."""

from __future__ import annotations

import pytest

from signal_samples import turns
from unquiet import signals
from unquiet.model.signals import TurnBatch

POLICY = [
    "The discount code was entered after checkout, so it cannot be refunded.",
    "Your protection plan generally does not cover water damage to the screen.",
    "Sadly, the return window for this jacket has already passed.",
    "No refund will be issued for partly used passes.",
    "I've added the two items. The third one is on clearance and can't be exchanged, so I left it as it is.",
    "This parcel is beyond the 30-day return period.",
    "Exchanges are not offered on engraved rings.",
    "Your claim has been declined by the insurer.",
    "I'm afraid there is nothing more that we can do about the late fee.",
    "Our policy on late check-outs is fixed.",
]
HANDED_ON = [
    "I'd suggest talking to a human advisor about this. Shall I transfer you to our billing team?",
    "Would you prefer to speak with a supervisor?",
    "I'm escalating your case to our technical department.",
]
SAFETY = [
    "I do not write content that mocks a religion.",
    "We have a policy against sharing customer addresses.",
]
ORDINARY = [
    "If the lamp does not meet your expectations, send it back within 30 days and we refund you in full.",
    "I've exchanged the shoes for size 42; they leave the warehouse tomorrow.",
    "There is no flight on Friday evening, but Saturday at nine has two seats left. Shall I book them?",
    "To speak to one of our agents, open the app, tap Help and choose Chat.",
    "According to the product rule, the derivative is not zero at the origin.",
    "Events outside the 15-minute window are dropped by the buffer.",
    "Could you send me the order number? Then I can look it up and start the exchange.",
]


def measured(answer: str) -> dict[str, float]:
    readings, _, failures = signals.measure_turns(TurnBatch(turns([{"output": answer}])))
    assert failures == {}
    return {name: float(readings[name][0]) for name in ("refusal", "policy_denial", "handoff")}


@pytest.mark.parametrize("answer", POLICY)
def test_a_polite_denial_by_policy_is_seen(answer: str) -> None:
    assert measured(answer)["policy_denial"] == 1.0


@pytest.mark.parametrize("answer", HANDED_ON)
def test_passing_on_to_a_person_is_seen(answer: str) -> None:
    assert measured(answer)["handoff"] == 1.0


@pytest.mark.parametrize("answer", SAFETY)
def test_a_refusal_without_cannot_is_seen(answer: str) -> None:
    assert measured(answer)["refusal"] >= 0.5


@pytest.mark.parametrize("answer", ORDINARY)
def test_neighbours_deny_nothing(answer: str) -> None:
    found = measured(answer)
    assert found["refusal"] < 0.5
    assert (found["policy_denial"], found["handoff"]) == (0.0, 0.0)
