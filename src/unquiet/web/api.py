"""The JSON API under /api/v1: each route asks the backend and says what it answers with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from unquiet.conventions.times import to_us
from unquiet.model.changes import Change
from unquiet.web.announcing import BadAnnouncement, Body, changes_of
from unquiet.web.asking import (
    MOST_EVENTS,
    Announcement,
    Choice,
    Forget,
    Mute,
    Note,
    Nothing,
    PagerDutyChange,
    Report,
    Session,
)
from unquiet.web.backend import Action, Backend, Document, NotPossible, UnknownIncident, Verb
from unquiet.web.binary_events import EventRoute
from unquiet.web.documents import (
    AlertLog,
    Changes,
    Enqueued,
    Evals,
    Forgotten,
    Incident,
    Incidents,
    Standings,
    Status,
    Trials,
    Turns,
    moment,
    standing,
    suspect,
)
from unquiet.web.guard import BATCH_TYPE, EVENT_TYPE, REPORT_TYPES, reader_of
from unquiet.web.problems import MEDIA_TYPE, shown
from unquiet.web.voices import Voices, VoicesAdded, VoicesTold, voice_row

PREFIX = "/api/v1"
ENQUEUE = "/v2/change/enqueue"
"""Where PagerDuty takes change events."""

LOCAL = "local"
"""Who acts where no token tells and no name is given."""

REASONS: Mapping[int, str] = {
    401: "no token, or one that is not known",
    403: "forged by another site, or a token that may only read",
    404: "there is no such incident",
    409: "the incident's state does not allow it",
    413: "the body is too large",
    415: "the body is of another type",
    422: "a parameter or field is not allowed",
}
BATCH_SIZE = {"minItems": 1, "maxItems": MOST_EVENTS}
READING = (401, 422)
ACTING = (*READING, 403, 413, 415)

IncidentId = Annotated[str, Path(min_length=1, max_length=200, description="as listed under /api/v1/incidents")]


def errors(statuses: Sequence[int]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may fail so; every other error has the same form."""
    schema = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    named: dict[int | str, dict[str, Any]] = {
        status: {"description": REASONS[status], "content": schema} for status in sorted(statuses)
    }
    return {**named, "default": {"description": "any other error", "content": schema}}


async def whole_body(request: Request) -> bytes:
    """The body as it is."""
    return await request.body()


class Api:
    """The handlers. `now_us` gives the present moment, microseconds since 1970."""

    def __init__(self, backend: Backend, now_us: Callable[[], int]) -> None:
        self._backend = backend
        self._now_us = now_us

    def status(self) -> Document:
        """What was read, judged and is visible."""
        return self._backend.status()

    def incidents(self, chosen: Annotated[Choice, Query()]) -> Document:
        """All incidents, or those of one status."""
        return {"incidents": self._backend.incidents(chosen.status)}

    def incident(self, incident_id: IncidentId) -> Document:
        """One incident."""
        found = self._backend.incident(incident_id)
        if found is None:
            raise UnknownIncident(f"got the incident {shown(incident_id)}, which does not exist")
        return found

    def turns(self, chosen: Annotated[Session, Query()]) -> Document:
        """The turns of a session that are kept, in order of time; none where the session is not known."""
        return {"turns": self._backend.turns(chosen.session)}

    def acknowledge(self, incident_id: IncidentId, request: Request, body: Note) -> Document:
        """Somebody looks after it."""
        return self._handle(incident_id, "acknowledge", request, body)

    def unacknowledge(self, incident_id: IncidentId, request: Request, body: Note) -> Document:
        """Nobody looks after it any more."""
        return self._handle(incident_id, "unacknowledge", request, body)

    def accept(self, incident_id: IncidentId, request: Request, body: Note) -> Document:
        """It is the new normal: a new baseline begins."""
        return self._handle(incident_id, "accept", request, body)

    def mute(self, incident_id: IncidentId, request: Request, body: Mute) -> Document:
        """No alerts of it until a moment; it stays visible."""
        until, _ = to_us(body.until)
        if until <= self._now_us():
            raise NotPossible(f"got the end {moment(until)}, which has passed: a moment in the future is allowed")
        return self._handle(incident_id, "mute", request, body, until, body.reason)

    def unmute(self, incident_id: IncidentId, request: Request, body: Note) -> Document:
        """Alerts of it again."""
        return self._handle(incident_id, "unmute", request, body)

    def _handle(
        self,
        incident_id: str,
        verb: Verb,
        request: Request,
        body: Note,
        until_us: int | None = None,
        reason: str | None = None,
    ) -> Document:
        return self._backend.handle(incident_id, Action(verb, acting(request, body.who), body.note, until_us, reason))

    def changes(self) -> Changes:
        """Every announced change, and what the traffic showed by itself."""
        announced = [suspect(change) for change in self._backend.changes()]
        return Changes.model_validate({**self._backend.ledger(), "changes": announced})

    def announce(self, request: Request, body: Announcement) -> Changes:
        """A deploy marker: ours, a CloudEvent (also a batch), or a PagerDuty change event. Answers with what was understood."""
        return Changes(changes=[suspect(change) for change in self._announced(body, acting(request, None))])

    def enqueue(self, request: Request, body: PagerDutyChange) -> Enqueued:
        """A PagerDuty change event, where its senders post it."""
        self._announced(body, acting(request, None))
        return Enqueued(status="success", message="Change event processed")

    def _announced(self, body: Body, who: str) -> list[Change]:
        try:
            announced = changes_of(body, self._now_us(), who)
        except BadAnnouncement as error:
            raise _flawed("at", "", str(error)) from error
        for change in announced:
            self._backend.mark(change)
        return announced

    def voices(self) -> Document:
        """How many voices there are, how they were joined to sessions, and what they alone would have told."""
        return self._backend.voices()

    def add_voices(self, body: Voices) -> Document:
        """Add tickets, ratings and posts. With `more` they are joined to sessions only with a later body."""
        return self._backend.add_voices([voice_row(each) for each in body.voices], more=body.more)

    def conditions(self) -> Standings:
        """How the service itself is."""
        return Standings(conditions=[standing(each) for each in self._backend.conditions()])

    def alerts(self) -> Document:
        """What was sent, waits, or failed."""
        return {"alerts": self._backend.alert_log()}

    def alerts_test(self, body: Nothing) -> Document:
        """Send a test notice to every sink now."""
        del body
        return {"results": self._backend.alerts_test()}

    def evals(self) -> Document:
        """The runs of evaluation suites."""
        return self._backend.evals()

    def add_evals(self, chosen: Annotated[Report, Query()], content: Annotated[bytes, Depends(whole_body)]) -> Document:
        """Add a report of an evaluation suite: a file as its tool wrote it. The same one again adds nothing."""
        return self._backend.add_evals(chosen.name, content)

    def forget(self, body: Forget) -> Document:
        """Delete everything of a user or a session, everywhere. It cannot be undone."""
        said = body.model_dump(include=body.model_fields_set)
        return {"deleted": self._backend.forget(said.get("user"), said.get("session"))}


def add_routes(app: FastAPI, backend: Backend, now_us: Callable[[], int]) -> None:
    """Every route of the API."""
    api = Api(backend, now_us)
    bodies = {"announce": _also_events(), "add_evals": _report()}

    def add(
        method: str, path: str, handler: Callable[..., Any], model: type[BaseModel], *statuses: int, code: int = 200
    ):
        usual = READING if method == "GET" else ACTING
        app.router.add_api_route(
            path if path == ENQUEUE else PREFIX + path,
            handler,
            methods=[method],
            status_code=code,
            response_model=model,
            response_model_exclude_unset=True,
            responses=errors((*usual, *statuses)),
            operation_id=handler.__name__,
            tags=["api"],
            openapi_extra=bodies.get(handler.__name__),
            route_class_override=EventRoute if handler == api.announce else None,
        )

    add("GET", "/status", api.status, Status)
    add("GET", "/incidents", api.incidents, Incidents)
    add("GET", "/incidents/{incident_id}", api.incident, Incident, 404)
    add("GET", "/turns", api.turns, Turns)
    for handler in (api.acknowledge, api.unacknowledge, api.accept, api.mute, api.unmute):
        add("POST", f"/incidents/{{incident_id}}/{handler.__name__}", handler, Incident, 404, 409)
    add("GET", "/changes", api.changes, Changes)
    add("POST", "/changes", api.announce, Changes, code=201)
    add("POST", ENQUEUE, api.enqueue, Enqueued, code=202)
    add("GET", "/voices", api.voices, VoicesTold)
    add("POST", "/voices", api.add_voices, VoicesAdded, code=201)
    add("GET", "/conditions", api.conditions, Standings)
    add("GET", "/alerts", api.alerts, AlertLog)
    add("POST", "/alerts/test", api.alerts_test, Trials)
    add("GET", "/evals", api.evals, Evals)
    add("POST", "/evals", api.add_evals, Evals, code=201)
    add("POST", "/forget", api.forget, Forgotten)


def _also_events() -> dict[str, Any]:
    """The media types of events beside plain JSON, for the OpenAPI document."""
    event = {"$ref": "#/components/schemas/CloudEvent"}
    content = {EVENT_TYPE: {"schema": event}, BATCH_TYPE: {"schema": {"type": "array", "items": event, **BATCH_SIZE}}}
    return {"requestBody": {"content": content}}


def _report() -> dict[str, Any]:
    """The media types of reports, for the OpenAPI document."""
    whole: dict[str, Any] = {"schema": {}}
    return {"requestBody": {"content": dict.fromkeys(sorted(REPORT_TYPES), whole), "required": True}}


def acting(request: Request, said: str | None) -> str:
    """Who acts: the name given, and that of the token."""
    reader = reader_of(request)
    token = reader.name if reader else ""
    if said and token:
        return f"{said} ({token})"
    return said or token or LOCAL


def _flawed(field: str, got: str, allowed: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": allowed, "input": got}])
