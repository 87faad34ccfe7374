"""The bodies that the API takes. What is not named here is refused, except in events that other tools define."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from unquiet.web.documents import IncidentStatus

MOST_EVENTS = 100
"""So many events of a batch are taken at once."""


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a text is needed, such as 2026-11-23T10:00:00Z")
    return value


Moment = Annotated[
    AwareDatetime,
    Field(strict=False),
    BeforeValidator(_text),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Sentence = Annotated[str, Field(min_length=1, max_length=2000)]


class Asked(BaseModel):
    """A body of ours: exact types, no further fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Choice(Asked):
    """Which incidents are asked for. A misspelt parameter is refused: it would silently choose all."""

    status: IncidentStatus | None = Field(default=None, description="only incidents of this status")


class Session(Asked):
    """Whose turns are asked for."""

    session: str = Field(min_length=1, max_length=1000, description="the id of the session")


class Report(Asked):
    """What a report of an evaluation suite is called."""

    name: str = Field(default="report", min_length=1, max_length=200, description="the name of the file")


class Note(Asked):
    """Who does it, and a word about why."""

    who: Word | None = Field(default=None, description="the person; where tokens are set, the token's name is added")
    note: Sentence | None = None


class Mute(Note):
    """No alerts of this incident until a moment."""

    until: Moment
    reason: Sentence


class Forget(Asked):
    """Whose data are deleted: a user's, a session's, or both."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["user"]}, {"required": ["session"]}]})

    # Without None in the types: a null is no id. None is only the default of what was not said.
    user: Word = Field(default=None)  # pyright: ignore[reportAssignmentType]
    session: Word = Field(default=None)  # pyright: ignore[reportAssignmentType]

    @model_validator(mode="after")
    def _one(self) -> Forget:
        if not self.model_fields_set:
            raise ValueError("name a user, a session, or both")
        return self


class Nothing(Asked):
    """An empty body."""


class Login(Asked):
    """A token of the configuration."""

    token: Annotated[str, Field(min_length=1, max_length=4096)]


class Announced(Asked):
    """A change in our own words."""

    kind: Word = Field(description="what changed: prompt, model, tools, release ...")
    before: Word | None = Field(default=None, alias="from")
    after: Word | None = Field(default=None, alias="to")
    at: Moment | None = Field(default=None, description="ISO 8601 with a zone; now where it is not said")
    source: Word | None = Field(default=None, description="who says so, such as the name of a pipeline")
    scope: dict[Word, Word] | None = Field(default=None, description="facet to value: only this part of the traffic")
    id: Word | None = Field(default=None, description="the same id twice is one change")


class CloudEvent(BaseModel):
    """A CloudEvent 1.0, structured. Of `data`, `kind`, `from`, `to`, `version` and `scope` are read; of a CDEvent its subject."""

    model_config = ConfigDict(extra="allow", strict=True)

    specversion: str = Field(pattern=r"^1\.[0-9]+$")
    id: Word
    source: Word
    type: Word
    subject: Word | None = None
    time: Moment | None = None
    data: Any = None


class PagerDutyPayload(BaseModel):
    """What a PagerDuty change event says."""

    model_config = ConfigDict(extra="allow", strict=True)

    summary: Annotated[str, Field(min_length=1, max_length=1024)]
    source: Word | None = None
    timestamp: Moment | None = None
    custom_details: dict[str, Any] | None = None


class PagerDutyChange(BaseModel):
    """A PagerDuty change event. Its routing key is a secret of somebody: it is not read."""

    model_config = ConfigDict(extra="allow", strict=True)

    payload: PagerDutyPayload


def _shape(value: object) -> str:
    """Which of the forms of an announcement a body has."""
    if isinstance(value, list):
        return "batch"
    keys: set[str] = set(value) if isinstance(value, dict) else set()
    if "specversion" in keys:
        return "cloudevent"
    return "pagerduty" if "payload" in keys else "change"


Announcement = Annotated[
    Annotated[Announced, Tag("change")]
    | Annotated[CloudEvent, Tag("cloudevent")]
    | Annotated[PagerDutyChange, Tag("pagerduty")]
    | Annotated[Annotated[list[CloudEvent], Field(min_length=1, max_length=MOST_EVENTS)], Tag("batch")],
    Discriminator(_shape),
]
