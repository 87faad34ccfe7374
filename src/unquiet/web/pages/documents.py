"""What the pages say, as documents: a page's HTML and its `.json` twin are two ways to write down the same one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Moment = Annotated[str, Field(description="ISO 8601, UTC", json_schema_extra={"format": "date-time"})]


class Said(BaseModel):
    """A document, or a part of one: nothing in it that is not named here."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Page(Said):
    """What every page says."""

    title: str
    path: str = Field(description="the permanent link, from the root of this address")
    made_at: Moment = Field(description="when this was written")
    version: str = Field(description="of unquiet")


class Measured(Said):
    """A share of sessions with the interval that holds it 95 times in 100."""

    rate: float | None = Field(description="0 to 1; null where no session was there")
    low: float
    high: float
    n: int = Field(description="the sessions that it is of")


class Amount(Said):
    """A number with the interval that holds it 95 times in 100."""

    estimate: float
    low: float
    high: float


class Row(Said):
    """A name and what is to say of it."""

    name: str
    text: str


class Between(Said):
    """A moment that is not exactly known."""

    at: Moment
    earliest: Moment
    latest: Moment


class Mark(Said):
    """A moment in a picture."""

    at: Moment
    kind: Literal["onset", "change", "alarm", "over", "voice"]
    label: str


class Day(Said):
    """One day (UTC) of a slice."""

    day: str
    n: int = Field(description="sessions")
    rate: float | None
    low: float
    high: float
    expected: float | None
    expected_low: float
    expected_high: float


class DaysPicture(Said):
    """The rate a day, what was to be expected, and what happened when."""

    caption: str
    days: list[Day]
    onset: Between
    marks: list[Mark]


class Piece(Said):
    """A part of a text. `new` and `gone`: a phrase that answers began or stopped to say; `cut`: what was left out here."""

    text: str
    mark: Literal["", "new", "gone", "cut"] = ""


class Call(Said):
    """A tool that was called; `new` and `gone`: the agent began or stopped to go on to it."""

    name: str
    failed: bool
    mark: Literal["", "new", "gone"] = ""


class SaidTurn(Said):
    """One request and its answer, made harmless to read; long texts are cut in their middle."""

    at: Moment
    asked: list[Piece]
    called: list[Call] | None = Field(description="null: not recorded")
    answered: list[Piece]


class Side(Said):
    """A session on one side of a comparison."""

    name: Literal["before", "since"]
    session: str
    turns: list[SaidTurn] = Field(description="empty: they are no longer kept")
    left_out: int = Field(description="turns between the first ones and the last that are not shown")


class Pair(Said):
    """The same request before and since; `before` is null where nobody asked for it then."""

    before: Side | None
    since: Side


class Answer(Said):
    """What answers began or stopped to say, or say more or less often."""

    change: Literal["new", "more", "less", "gone"]
    said: str
    before: Measured
    after: Measured


class SuspectedChange(Said):
    """A change near the onset; none is proven to be its cause."""

    change: str
    at: Moment
    near: str = Field(description="where it lies against the interval of the onset and its most likely moment")
    source: str
    likely: bool
    why: list[str]


class Point(Said):
    """A point of a panel. Its value is known once its day is over (`until`)."""

    at: Moment
    until: Moment
    value: float | None
    low: float | None
    high: float | None
    fired: bool


class Panel(Said):
    """What a usual dashboard showed meanwhile."""

    title: str
    verdict: Literal["flat", "fired", "unknown"]
    said: str
    before: str
    since: str
    points: list[Point]


class Cause(Said):
    """A reason why the evals did not see it."""

    cause: str
    says: str
    evidence: list[Row]


class WhyGreen(Said):
    """Why the evals did not see it; `note` says why nothing is known."""

    note: str
    causes: list[Cause]


class Voice(Said):
    """Somebody's words about it."""

    at: Moment
    joined_by: str
    text: str


class VoicesHeard(Said):
    """Who had complained; `note` says why nothing is known."""

    note: str
    count: int | None
    first_at: Moment | None
    alarm_at: Moment | None = Field(description="when complaints alone would have raised an alarm")
    days_won: float | None = Field(description="by unquiet's alarm against the first of them; below 0: it came later")
    examples: list[Voice]


class Deed(Said):
    """What somebody did about it."""

    at: Moment
    what: str
    who: str
    note: str


class Act(Said):
    """What can be done now; it is sent as a form to `path`."""

    verb: Literal["acknowledge", "unacknowledge", "accept", "mute", "unmute"]
    label: str
    why: str
    path: str
    possible: bool
    not_possible: str = Field(description="why not; empty where it is possible")


class Command(Said):
    """A command line and what it is for."""

    command: str
    why: str


class Download(Said):
    """A file to take along."""

    path: str
    label: str


class IncidentPage(Page):
    """One incident: what happened, to whom, since when, and what to do next."""

    format: Literal["unquiet.page.incident/1"] = Field(default="unquiet.page.incident/1", alias="schema")
    id: str
    sentence: str = Field(description="as alerts say it")
    status: str
    summary: str
    where: str = Field(description="the slice")
    onset: Between
    raised_at: Moment
    resolved_at: Moment | None
    told_at: Moment = Field(description="up to when sessions were counted")
    late: str = Field(description="how long after the onset the alarm came")
    before: Measured
    usual: float | None = Field(description="the rate before for the mix of requests since; null where it is not known")
    after: Measured
    beyond: Amount = Field(description="sessions beyond the expected number since the onset")
    users: int | None = Field(description="null: not known")
    claimed: int = Field(description="sessions that look like it; some would have gone the same way anyway")
    kinds: list[Row]
    picture: DaysPicture
    evidence_note: str
    pairs: list[Pair]
    answers: list[Answer]
    also_in: list[str]
    also_moved: list[str]
    suspects: list[SuspectedChange]
    provider: str = Field(description="what speaks for a change at the provider; empty where nothing does")
    dashboards_note: str
    panels: list[Panel]
    why_green: WhyGreen
    voices: VoicesHeard
    deeds: list[Deed]
    muted_until: Moment | None
    mute_reason: str
    actions: list[Act]
    commands: list[Command]
    downloads: list[Download]
