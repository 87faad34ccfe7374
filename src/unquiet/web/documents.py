"""The documents that the API answers with. Fields may be added to them; those here stay."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unquiet.conventions.times import to_iso, to_us
from unquiet.model.changes import Change
from unquiet.model.conditions import Condition, Severity, State

IncidentStatus = Literal["open", "acknowledged", "resolved", "reopened", "accepted", "muted"]

MOMENT = "ISO 8601, UTC"


class Open(BaseModel):
    """A document that may have more fields than are said here."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class OnsetInterval(Open):
    """When the change began, and the interval that holds it."""

    at: str = Field(description=MOMENT)
    earliest: str = Field(description=MOMENT)
    latest: str = Field(description=MOMENT)


class Rate(Open):
    """A share of sessions."""

    rate: float | None = Field(description="0 to 1; null where no session was there")
    n: int = Field(description="the sessions that it is of", ge=0)
    rate_mix_adjusted: float | None = Field(default=None, description="of `before`: for the mix of requests after")


class Excess(Open):
    """Sessions beyond the expected number since the onset, with an interval."""

    estimate: float
    low: float
    high: float


class Suspect(BaseModel):
    """A change near an onset: consistent with it, not its cause. Also a change that was announced."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    kind: str
    before: str | None = Field(alias="from")
    after: str | None = Field(alias="to")
    at: str = Field(description=MOMENT)
    source: str | None = None
    scope: dict[str, str] | None = Field(default=None, description="facet to value: the part of the traffic it is of")
    likely: bool | None = Field(default=None, description="hard to call a coincidence, and not contradicted")
    score: float | None = Field(default=None, description="0 to 1; suspects are ranked by it")
    chance: float | None = Field(
        default=None, description="of a coincidence as close as this, over all kinds of changes"
    )
    why: list[str] = Field(default=[], description="what speaks for it and against it, in sentences")
    carried: dict[str, Rate] | None = Field(default=None, description="of `affected` sessions and `others`, since then")


class Evidence(Open):
    """Session ids, paired on the nearest request."""

    before: list[str]
    after: list[str]
    note: str | None = Field(default=None, description="what is missing in the text of these sessions")


class Day(Open):
    """One day (UTC) of the incident's slice."""

    day: str
    n: int
    rate: float | None
    expected: float | None


class Answer(Open):
    """What answers began or stopped to say."""

    what: str
    text: str
    said: str
    change: Literal["new", "more", "less", "gone"]
    before: Rate
    after: Rate
    examples: list[str]


class Kind(Open):
    """A kind of request that nobody made before; only of incidents of the mix."""

    id: int
    label: str
    sessions: int
    examples: list[str]


class ProviderChange(Open):
    """What speaks for a change at the provider that nobody announced."""

    said: str
    moved: list[str]
    served_model: dict[str, dict[str, float]] | None = None
    fingerprint: dict[str, dict[str, float]] | None = None


class Incident(Open):
    """An incident, with everything that a person needs to judge it."""

    id: str
    title: str = Field(description="one sentence")
    status: IncidentStatus
    signal: str
    event: str = Field(description="the yes-or-no question about a session that is counted")
    direction: Literal["up", "down", "shift"]
    slice: dict[str, str] = Field(description="facet to value; empty: all traffic")
    onset: OnsetInterval
    raised_at: str = Field(description=MOMENT)
    resolved_at: str | None = Field(default=None, description=f"{MOMENT}; null while it goes on")
    told_at: str | None = Field(default=None, description=f"{MOMENT}: up to when rates and evidence were counted")
    before: Rate
    after: Rate
    excess_sessions: Excess
    suspects: list[Suspect]
    evidence: Evidence
    users_reached: int | None = None
    also_in: list[dict[str, str]] = []
    also_moved: list[str] = []
    moved: list[str] = []
    by_day: list[Day] = []
    answers: list[Answer] = []
    kinds: list[Kind] = []
    provider_change: ProviderChange | None = None
    session_ids: list[str] = Field(default=[], description="the sessions that it claims were affected")
    voices: dict[str, Any] | None = Field(
        default=None, description="its voices, of one incident and where there are any"
    )


class Turn(Open):
    """One request and its answer, as in the turn table."""

    turn_id: str
    session_id: str
    time: str = Field(description=MOMENT)
    input: str | None = None
    output: str | None = None


class Turns(BaseModel):
    """Turns in order of time."""

    turns: list[Turn]


class Incidents(BaseModel):
    """Incidents in the order in which they were raised."""

    incidents: list[Incident]


class KindOfChange(Open):
    """How routine a kind of change is."""

    kind: str
    changes: int
    days: float | None = Field(description="in so many days; null where no traffic is known")


class Sighting(Open):
    """A value of a facet that tells what runs."""

    facet: str
    value: str
    first: str = Field(description=f"{MOMENT}: the first session")
    last: str = Field(description=f"{MOMENT}: the last session")
    sessions: int


class Changes(BaseModel):
    """Announced changes in order of their times; asked for, also those that the traffic showed by itself."""

    changes: list[Suspect]
    seen: list[Suspect] = []
    kinds: list[KindOfChange] = []
    sightings: list[Sighting] = []


class Enqueued(BaseModel):
    """The answer that senders of PagerDuty change events expect."""

    status: Literal["success"]
    message: str


class Standing(BaseModel):
    """One thing that the service watches about itself."""

    name: str
    state: State
    severity: Severity
    detail: str = Field(description="what was seen; empty while it is ok")
    todo: str = Field(description="what to do next; empty while it is ok")
    since: str = Field(description=f"{MOMENT}: when the state began")


class Standings(BaseModel):
    """Every condition, the gravest first."""

    conditions: list[Standing]


class Health(BaseModel):
    """Whether the process works."""

    status: Literal["ok", "failing"]
    reasons: list[str] = Field(default=[], description="why it fails; not told without a token where tokens are set")
    conditions: list[Standing] = Field(default=[], description="every condition; not told without a token")


class Status(Open):
    """What was read, what was judged, what is visible."""

    open_incidents: list[str] = Field(description="ids")
    turns: int | None = None
    first: str | None = Field(default=None, description=f"{MOMENT}: the first turn")
    last: str | None = Field(default=None, description=f"{MOMENT}: the last turn")
    judged: bool | None = Field(default=None, description="false: nothing could be judged yet; null: not known")
    coverage: Any = Field(default=None, description="what was not looked at, and why")


class EvalRun(Open):
    """One execution of an evaluation suite."""

    run: str
    tool: str
    suites: list[str]
    at: str = Field(description=f"{MOMENT}: the first result")
    until: str = Field(description=f"{MOMENT}: the last result")
    passed: int
    failed: int
    error: int = Field(description="cases that broke, or whose evaluator did")
    not_run: int
    undecided: int = Field(description="nothing says whether these were good: no check, or a score without a threshold")


class Evals(Open):
    """What is known of evaluation suites."""

    format: str = Field(alias="schema")
    runs: list[EvalRun] = Field(description="the earliest first")
    added: int | None = Field(default=None, description="results that were new; the others were known")
    files: list[Any] = Field(default=[], description="what was read of each report, and what was rejected and why")


class LogEntry(Open):
    """One message to one sink."""

    id: str = Field(description="of the notice; the same over retries")
    key: str = Field(description="incident/ID or condition/NAME")
    sink: str
    phase: Literal["opened", "updated", "resolved", "test"]
    state: Literal["sent", "pending", "failed"]
    at: str = Field(description=f"{MOMENT}: when it was decided")
    attempts: int | None = None
    error: str | None = None


class AlertLog(BaseModel):
    """What was sent, waits, or failed, the latest first."""

    alerts: list[LogEntry]


class Trial(Open):
    """How a test notice fared at one sink."""

    sink: str
    delivered: bool
    error: str | None


class Trials(BaseModel):
    """Every sink's answer to a test notice."""

    results: list[Trial]


class Forgotten(BaseModel):
    """How many of what were deleted."""

    deleted: dict[str, int]


def moment(us: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    return to_iso(us).replace("+00:00", "Z")


def standing(condition: Condition) -> Standing:
    """A condition as a document."""
    since = moment(condition.since_us)
    return Standing(
        name=condition.name,
        state=condition.state,
        severity=condition.severity,
        detail=condition.detail,
        todo=condition.todo,
        since=since,
    )


def suspect(change: Change) -> Suspect:
    """A change as a document."""
    at, _ = to_us(change.at)
    named = {"kind": change.kind, "from": change.before, "to": change.after, "at": moment(at), "source": change.source}
    return Suspect.model_validate(named | ({"scope": dict(change.scope)} if change.scope else {}))
