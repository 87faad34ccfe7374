"""The routes of the pages: each asks the backend for its facts and writes them down as HTML or as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Request
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from unquiet import __version__
from unquiet.model.handling import Action, Verb
from unquiet.report import Facts, headline, report_sections, to_html, to_markdown
from unquiet.report.words import moment
from unquiet.web.access import COOKIE_S, Access
from unquiet.web.api import READING, IncidentId, acting, errors, whole_body
from unquiet.web.backend import Shown, UnknownIncident
from unquiet.web.guard import reader_of
from unquiet.web.pages import documents as says
from unquiet.web.pages.acting import DEEDS
from unquiet.web.pages.browsers import ENTER, LEAVE, login_page, wants_page
from unquiet.web.pages.changes import changes_page
from unquiet.web.pages.forms import TIMES, deed_of, login_of
from unquiet.web.pages.incident import incident_page, incident_path
from unquiet.web.pages.now import now_page
from unquiet.web.pages.overviews import ChangesPage, NowPage, StatusPage
from unquiet.web.pages.rendering import HEADERS, STATIC, html_of, static_file
from unquiet.web.pages.status import status_page
from unquiet.web.problems import problem, shown

Handler = Callable[..., Any]
Body = Annotated[bytes, Depends(whole_body)]

FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
REPORTS = {"html": ("text/html; charset=utf-8", to_html), "md": ("text/markdown; charset=utf-8", to_markdown)}


class Pages:
    """The handlers. `now_us` gives the present moment, microseconds since 1970."""

    def __init__(self, backend: Shown, access: Access, now_us: Callable[[], int]) -> None:
        self._backend, self._access, self._now_us = backend, access, now_us

    def now_json(self) -> NowPage:
        """Whether anything is different, and what is known of that."""
        with self._backend.looking():
            return now_page(self._backend, self._now_us())

    def now_html(self, request: Request) -> Response:
        """The page of now."""
        return self._written(request, "now.html", self.now_json())

    def status_json(self) -> StatusPage:
        """What was read and judged, and how the service is."""
        with self._backend.looking():
            return status_page(self._backend, self._now_us())

    def status_html(self, request: Request) -> Response:
        """The page of status."""
        return self._written(request, "status.html", self.status_json())

    def changes_json(self) -> ChangesPage:
        """What changed, and which incidents began near it."""
        with self._backend.looking():
            return changes_page(self._backend, self._now_us())

    def changes_html(self, request: Request) -> Response:
        """The page of changes."""
        return self._written(request, "changes.html", self.changes_json())

    def home(self) -> Response:
        """On to the page of now."""
        return RedirectResponse("/now", 307)

    def incident_json(self, incident_id: IncidentId) -> says.IncidentPage:
        """What the page of an incident says."""
        return incident_page(self._facts(incident_id), self._now_us(), self._backend.unable())

    def incident_html(self, request: Request, incident_id: IncidentId) -> Response:
        """The page of an incident."""
        return self._written(request, "incident.html", self.incident_json(incident_id), times=TIMES)

    def report(self, incident_id: IncidentId, ending: Annotated[str, Path(pattern="^(html|md)$")]) -> Response:
        """The post-mortem of an incident, as a file."""
        facts = self._facts(incident_id)
        kind, write = REPORTS[ending]
        told = moment(facts.document.get("told_at") or facts.document["raised_at"], year=True)
        made_by = f"Incident {facts.document['id']}, as of {told}; written by unquiet {__version__}."
        text = write(headline(facts.document), report_sections(facts), made_by)
        # A file to keep: opened here, its styles would be against the policy of the pages.
        named = {"content-disposition": f'attachment; filename="{facts.document["id"]}.{ending}"'}
        return Response(text, headers=named, media_type=kind)

    def doing(self, verb: Verb) -> Handler:
        """The handler that does it about an incident, and shows the incident again."""

        def act(request: Request, incident_id: IncidentId, body: Body) -> Response:
            return self._act(request, incident_id, verb, body)

        return act

    def _act(self, request: Request, incident_id: str, verb: Verb, body: bytes) -> Response:
        form = deed_of(body)
        until_us, reason = None, None
        if verb == "mute":
            until_us, reason = self._now_us() + TIMES[form.time][1] // timedelta(microseconds=1), form.reason
        action = Action(verb, acting(request, form.who or None), form.note or None, until_us, reason)
        self._backend.handle(incident_id, action)
        return RedirectResponse(f"{incident_path(incident_id)}#what-was-done", 303)

    def enter(self, request: Request, body: Body) -> Response:
        """A cookie for a token, and on to the page that was asked for."""
        form = login_of(body)
        reader = self._access.by_token(form.token)
        if reader is None and wants_page(ENTER, request.headers):
            return login_page(form.goal, wrong=True)
        if reader is None:
            return problem(401, "got a token that is not known", "Use one of the configuration.")
        answer = RedirectResponse(form.goal, 303)
        answer.set_cookie(
            self._access.cookie,
            self._access.cookie_for(reader, self._now_us()),
            max_age=COOKIE_S,
            path="/",
            secure=self._access.tls,
            httponly=True,
            samesite="strict",
        )
        return answer

    def leave(self) -> Response:
        """Take the cookie back."""
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(self._access.cookie, path="/", secure=self._access.tls, httponly=True, samesite="strict")
        return answer

    def static(self, mark: str, name: str) -> Response:
        """A file that pages load; its address changes with its content."""
        del mark
        if name not in STATIC:
            raise HTTPException(404)
        return Response(static_file(name), headers=FOREVER, media_type=STATIC[name][2])

    def _facts(self, incident_id: str) -> Facts:
        facts = self._backend.facts(incident_id)
        if facts is None:
            raise UnknownIncident(f"got the incident {shown(incident_id)}, which does not exist")
        return facts

    def _written(self, request: Request, template: str, page: says.Page, **more: Any) -> Response:
        reader = reader_of(request)
        who = reader.name if reader else ""
        return HTMLResponse(
            html_of(template, page, reader=who, may_act=bool(reader and reader.may_act), **more), headers=HEADERS
        )


def add_routes(app: FastAPI, backend: Shown, access: Access, now_us: Callable[[], int]) -> None:
    """Every page with its twin, the forms, and the files that pages load."""
    pages = Pages(backend, access, now_us)

    def add(path: str, html: Handler, twin: Handler, model: type[BaseModel], *statuses: int) -> None:
        app.add_api_route(
            f"{path}.json",
            twin,
            methods=["GET"],
            response_model=model,
            responses=errors((*READING, *statuses)),
            operation_id=f"page_{twin.__name__}",
            tags=["pages"],
        )
        app.add_api_route(path, html, methods=["GET"], include_in_schema=False)

    add("/now", pages.now_html, pages.now_json, NowPage)
    add("/status", pages.status_html, pages.status_json, StatusPage)
    add("/changes", pages.changes_html, pages.changes_json, ChangesPage)
    add("/incidents/{incident_id}", pages.incident_html, pages.incident_json, says.IncidentPage, 404)
    for method, path, handler in (
        ("GET", "/", pages.home),
        ("GET", "/incidents/{incident_id}/report.{ending}", pages.report),
        *(("POST", f"/incidents/{{incident_id}}/{verb}", pages.doing(verb)) for verb in DEEDS),
        ("POST", ENTER, pages.enter),
        ("POST", LEAVE, pages.leave),
        ("GET", "/static/{mark}/{name}", pages.static),
    ):
        app.add_api_route(path, handler, methods=[method], include_in_schema=False)
