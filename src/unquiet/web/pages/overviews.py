"""What the pages of now, of changes and of status say, as documents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unquiet.web.pages.documents import Amount, Day, Measured, Moment, Page, Row, Said


class Line(Said):
    """One thing that is known, and whether it is a warning."""

    name: str
    text: str
    warn: bool


class Listed(Said):
    """An incident in a list."""

    id: str
    path: str
    title: str
    status: str
    where: str
    since: Moment = Field(description="the most likely onset")
    raised_at: Moment
    resolved_at: Moment | None
    beyond: Amount = Field(description="sessions beyond the expected number since the onset")
    users: int | None = Field(description="null: not known")
    before: Measured
    after: Measured
    days: list[Day]


class GapDay(Said):
    """One day (UTC): sessions that went wrong, and those of them that a dashboard showed."""

    day: str
    wrong: float
    seen: float
    unseen: Amount


class Gap(Said):
    """What users met against what the usual dashboards showed, in sessions beyond the expected number."""

    first: str
    last: str
    wrong: float
    seen: float
    unseen: Amount
    seen_by: list[Row]
    left_out: list[Row] = Field(description="incidents that are not counted, and why")
    days: list[GapDay]


class NowPage(Page):
    """Whether anything is different, whether unquiet itself is well, and what it cannot see."""

    format: Literal["unquiet.page.now/1"] = Field(default="unquiet.page.now/1", alias="schema")
    state: Literal["different", "quiet", "unknown"]
    headline: str
    next: str = Field(description="what to do next; empty where there is nothing to do")
    looked: list[Line] = Field(description="the evidence that it looked")
    incidents: list[Listed] = Field(description="open, acknowledged and muted ones, by people reached")
    over: list[Listed] = Field(description="the latest that are over or accepted")
    gap: Gap | None
    gap_note: str = Field(description="why there is no gap to tell of; empty where there is")
    well: list[Line] = Field(description="how unquiet itself is")
    blind: list[Line] = Field(description="what it cannot see")


class Condition(Said):
    """One thing that the service watches about itself."""

    name: str
    state: Literal["ok", "failing", "unknown"]
    severity: str
    detail: str
    todo: str
    since: Moment


class Visible(Said):
    """The smallest rates that would be seen in a slice; null: no rate at all, by any method inside the budget."""

    where: str
    what: str
    sessions_per_day: float
    usual: float
    days_1: float | None
    days_7: float | None
    days_28: float | None


class EvalRun(Said):
    """One execution of an evaluation suite."""

    run: str
    tool: str
    at: Moment
    passed: int
    failed: int
    error: int


class StatusPage(Page):
    """What was read, judged and watched, how the service is, and how small a change could be seen."""

    format: Literal["unquiet.page.status/1"] = Field(default="unquiet.page.status/1", alias="schema")
    service: list[Line]
    conditions: list[Condition]
    folder: list[Line]
    visible: list[Visible]
    visible_note: str
    eval_runs: list[EvalRun] = Field(description="the latest")
    voices: list[Line]


class Near(Said):
    """An incident whose onset lies near a change."""

    id: str
    path: str
    title: str
    likely: bool


class ListedChange(Said):
    """A change that was announced, or that the traffic showed by itself."""

    change: str
    at: Moment
    source: str
    scope: str
    announced: bool
    near: list[Near]


class Routine(Said):
    """How often a kind of change happens."""

    kind: str
    changes: int
    days: float | None


class Sighting(Said):
    """When a value that tells what runs was first and last seen."""

    name: str
    value: str
    first: Moment
    last: Moment
    sessions: int


class ChangesPage(Page):
    """What changed, when, and which incidents began near it."""

    format: Literal["unquiet.page.changes/1"] = Field(default="unquiet.page.changes/1", alias="schema")
    changes: list[ListedChange] = Field(description="the latest first")
    left_out: int = Field(description="older changes that are not shown")
    kinds: list[Routine]
    sightings: list[Sighting]
