"""Voices over HTTP: what is taken, and what is answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unquiet.web.asking import Asked, Moment, Word

MOST_VOICES = 100
"""So many fit into a body with room for their texts."""

Id = Annotated[str, Field(min_length=1, max_length=1000)]


class Voice(Asked):
    """One ticket, rating or post; it has a text, a rating, or both."""

    # Without None in the types: a null says nothing. None is only the default of what was not said.
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["text"]}, {"required": ["rating"]}]})

    voice_id: Id = Field(description="what identifies it: the same id twice is one voice")
    time: Moment
    kind: Literal["ticket", "rating", "post"] = "ticket"
    origin: Word = "api"
    text: Annotated[str, Field(min_length=1, max_length=10_000)] = Field(default=None)  # pyright: ignore[reportAssignmentType]
    user_id: Id | None = None
    session_id: Id | None = None
    rating: Annotated[float, Field(ge=0, le=1, description="0 worst, 1 best")] = Field(
        default=None  # pyright: ignore[reportAssignmentType]
    )
    facets: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says(self) -> Voice:
        if not {"text", "rating"} & self.model_fields_set:
            raise ValueError("a voice needs a text or a rating")
        return self


class Voices(Asked):
    """Voices to add. None at all, without `more`, joins those that are there."""

    voices: Annotated[list[Voice], Field(max_length=MOST_VOICES)]
    more: bool = Field(default=False, description="more voices follow at once: join them to sessions only then")


class VoicesAdded(BaseModel):
    """How many were new, and how many were known."""

    added: int
    known: int


class VoicesTold(BaseModel):
    """The voices of the folder; schema unquiet.voices/1."""

    model_config = ConfigDict(extra="allow")

    voices: int
    joined_by: dict[str, int]
    per_week: list[dict[str, Any]]
    streams: dict[str, Any] | None = Field(description="what the voices alone would have told; null without traffic")


def voice_row(voice: Voice) -> dict[str, Any]:
    """A voice as a row, its time in microseconds since 1970."""
    return voice.model_dump(exclude={"time"}) | {"time": round(voice.time.timestamp() * 1e6)}
