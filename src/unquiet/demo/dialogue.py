"""What is said and done in one session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unquiet.demo.draw import Draw
from unquiet.demo.phrasebook import Lines, Phrasebook, Topic, phrasebook
from unquiet.demo.shop import LOOKUP_FAILS, MARKETS, SCRIPTS, Outcome, Script
from unquiet.demo.tools import ToolCall, called
from unquiet.demo.visits import Visit

_WITHOUT_NUMBER = 0.3
_ASKS_ON = 0.45
_SAYS_BYE = 0.35
_GREETS = 0.55
_ADDS = 0.3
_LOWER_CASE = 0.1
_READS_HELP = 0.4
_LEADS = 0.5
_CLOSES = 0.4


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn: the request, the answer, the tools. `usual_calls`: tools that such a turn takes when all is well."""

    said: str
    answered: str
    calls: tuple[ToolCall, ...] = ()
    usual_calls: int = 0


def converse(visit: Visit, outcome: Outcome, draw: Draw) -> list[Exchange]:
    """The turns of a session that ends with the outcome."""
    book = phrasebook(MARKETS[visit.locale].language)
    scene = _Scene(visit, SCRIPTS[visit.intent], book, book.topics[visit.intent], draw, _slots(visit, book, draw))
    if outcome == "left":
        return [Exchange(scene.first(scene.topic.bare), scene.agent(book.ask_order))]
    said, index = scene.request()
    turns: list[Exchange] = []
    if scene.script.needs_order and draw.chance(_WITHOUT_NUMBER):
        turns.append(Exchange(scene.first(scene.topic.bare), scene.agent(book.ask_order)))
        said = scene.line(book.give_order)
    if scene.script.needs_order and draw.chance(LOOKUP_FAILS):
        turns.append(scene.not_found(said))
        said = scene.line(book.give_again)
    turns.append(scene.resolve(said, outcome, index))
    if draw.chance(_ASKS_ON) and outcome in ("done", "denied", "quiet"):
        turns.append(scene.follow_up(outcome))
    if draw.chance(_SAYS_BYE):
        glad = outcome == "done"
        bye, answer = (book.thanks, book.farewell) if glad else (book.still_thanks, book.still_farewell)
        turns.append(Exchange(scene.line(bye), scene.line(answer)))
    return turns


@dataclass(frozen=True, slots=True)
class _Scene:
    visit: Visit
    script: Script
    book: Phrasebook
    topic: Topic
    draw: Draw
    slots: Mapping[str, Any]

    def line(self, lines: Lines) -> str:
        return self.draw.pick(lines).format_map(self.slots)

    def first(self, lines: Lines) -> str:
        return self.customer(self.line(lines))

    def request(self) -> tuple[str, int]:
        index = self.draw.number(0, len(self.topic.open))
        return self.customer(self.topic.open[index].format_map(self.slots)), index

    def customer(self, body: str) -> str:
        """The body with the manners, or the haste, of the one who types."""
        greet = self.draw.pick(self.book.greet) if self.draw.chance(_GREETS) else ""
        tail = self.draw.pick(self.book.tail) if self.draw.chance(_ADDS) else ""
        text = greet + body + tail
        return text.lower().rstrip(".!") if self.draw.chance(_LOWER_CASE) else text

    def agent(self, lines: Lines, lead: Lines = (), closer: Lines = ()) -> str:
        before = self.draw.pick(lead) if lead and self.draw.chance(_LEADS) else ""
        after = self.draw.pick(closer) if closer and self.draw.chance(_CLOSES) else ""
        return before + self.line(lines) + after

    def not_found(self, said: str) -> Exchange:
        look = self.script.look or "lookup_order"
        call = called(look, self.slots, self.visit, {"status": "not_found", "matches": []})
        return Exchange(said, self.agent(self.book.lookup_failed), (call,), 1)

    def resolve(self, said: str, outcome: Outcome, index: int) -> Exchange:
        return Exchange(said, self.answer(outcome, index), self.calls(outcome), self.script.call_count)

    def answer(self, outcome: Outcome, index: int) -> str:
        book, topic = self.book, self.topic
        if outcome == "done":
            lines = (topic.done[index],) if topic.paired else topic.done
            return self.agent(lines, book.sorry_lead if self.script.apologises else book.lead, book.closer)
        if outcome == "handoff":
            return self.agent(book.handoff, book.sorry_lead)
        if outcome == "tool_error":
            return self.agent(book.tool_error)
        if outcome == "quiet":
            return self.agent(topic.quiet, book.sorry_lead)
        return self.agent(topic.denied, book.sorry_lead, book.sorry_closer)

    def calls(self, outcome: Outcome) -> tuple[ToolCall, ...]:
        names = [self.script.look] if self.script.look is not None else []
        calls = [called(name, self.slots, self.visit) for name in names]
        if outcome == "done" and self.script.act is not None:
            calls.append(called(self.script.act, self.slots, self.visit))
        if outcome == "handoff":
            calls.append(called("transfer_to_human", self.slots, self.visit))
        if outcome == "tool_error":
            act = self.script.act or "search_help"
            calls.append(called(act, self.slots, self.visit, error="upstream timeout after 10000 ms"))
            calls.append(called("create_ticket", self.slots, self.visit))
        return tuple(calls)

    def follow_up(self, outcome: Outcome) -> Exchange:
        if outcome == "done":
            question, answer = (text.format_map(self.slots) for text in self.draw.pick(self.topic.questions))
            return self.looked_up(question, answer)
        again = self.topic.quiet_again if outcome == "quiet" else self.book.denied_again
        return self.looked_up(self.line(self.book.pushback), self.line(again))

    def looked_up(self, said: str, answered: str) -> Exchange:
        """A turn for which the agent may have read the help pages."""
        if not self.draw.chance(_READS_HELP):
            return Exchange(said, answered)
        return Exchange(said, answered, (called("search_help", {"query": said}, self.visit),), 1)


def _slots(visit: Visit, book: Phrasebook, draw: Draw) -> Mapping[str, Any]:
    market = MARKETS[visit.locale]
    cents = draw.number(900, 18_000) // 10 * 10 - 1
    digits = f"{cents / 100:.2f}"
    return {
        "order": f"SO-{draw.number(100_000, 1_000_000)}",
        "item": draw.pick(book.items),
        "reason": draw.pick(book.reasons),
        "damage": draw.pick(book.damages),
        "street": draw.pick(book.streets),
        "carrier": draw.pick(book.carriers),
        "days": draw.number(2, 6),
        "ticket": f"T-{draw.number(10_000, 100_000)}",
        "code": draw.pick(("SPRING10", "HELLO10", "WELCOME5", "FRIENDS15", "MARCH10")),
        "amount": market.money.format(digits.replace(".", ",") if market.comma else digits),
        "cents": cents,
        "parcel": market.parcel,
        "query": book.topics[visit.intent].open[0],
    }
