"""Errors as RFC 9457 problem documents: what was got, what is allowed, what to do next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from unquiet.model.errors import UnquietError, UnreadableSource
from unquiet.web.backend import NotPossible, UnknownIncident
from unquiet.web.headers import SECURITY

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
MOST_SHOWN = 60
SECRET = frozenset({"token", "routing_key"})
"""Fields whose values are never told back."""


class Flaw(BaseModel):
    """One thing in a request that is not allowed."""

    where: str = Field(description="the place in the request, such as body.until")
    got: str = Field(description="what was there, shortened; empty where nothing was or it may be a secret")
    allowed: str


class Problem(BaseModel):
    """An error, RFC 9457."""

    type: str = Field(default="about:blank", description="always about:blank: `title` is the phrase of the status")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="what was got and what is allowed")
    next: str = Field(description="what to do next")
    errors: list[Flaw] = Field(default_factory=list[Flaw], description="every flaw, where there are several places")


def problem(
    status: int, detail: str, todo: str, errors: Sequence[Flaw] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The response for an error. Texts may hold anything: what is not ASCII in them is escaped."""
    body = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=_plain(detail), next=_plain(todo), errors=list(errors)
    )
    # Errors beyond the guard (a bug) need the headers too.
    return JSONResponse(body.model_dump(), status, {**dict(SECURITY), **(headers or {})}, MEDIA_TYPE)


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown(value: object) -> str:
    """A value from a request, short and printable."""
    text = ascii(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


Handler = Callable[[Request, Exception], Awaitable[Response]]


def add_handlers(app: FastAPI, shown_as: Callable[[Request, Response], Response]) -> None:
    """Let every error of an app be a problem document; `shown_as` may turn that into another form for who asked."""

    def turned(handler: Handler) -> Handler:
        async def handled(request: Request, error: Exception) -> Response:
            return shown_as(request, await handler(request, error))

        return handled

    handlers: tuple[tuple[type[Exception], Handler], ...] = (
        (RequestValidationError, _invalid),
        (HTTPException, _http),
        (UnknownIncident, _unknown),
        (NotPossible, _conflict),
        (UnreadableSource, _unreadable),
        (UnquietError, _unable),
        (Exception, _bug),
    )
    for error, handler in handlers:
        app.add_exception_handler(error, turned(handler))


def _flaw(error: Mapping[str, Any]) -> Flaw:
    where = [str(part) for part in error["loc"]]
    hidden = error["type"] in ("missing", "json_invalid") or not SECRET.isdisjoint(where)
    got = "" if hidden or isinstance(error["input"], dict | list) else shown(error["input"])
    allowed = str(error["msg"]).removeprefix("Value error, ") + (
        f" ({error['ctx']['error']})" if error["type"] == "json_invalid" else ""
    )
    return Flaw(where=_plain(".".join(where))[:200], got=got, allowed=_plain(allowed)[:300])


async def _invalid(request: Request, error: Exception) -> Response:
    del request
    found = error.errors() if isinstance(error, RequestValidationError) else []
    flaws = [_flaw(each) for each in found[:MOST_ERRORS]]
    told = "; ".join(f"{f.where}: {'got ' + f.got + ', ' if f.got else ''}{f.allowed}" for f in flaws[:3])
    return problem(422, told, "Correct the request; /api/openapi.json says what is allowed.", flaws)


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    got = f"{request.method} {shown(request.url.path)}"
    if status == HTTPStatus.NOT_FOUND:
        return problem(
            status, f"{got}: there is nothing at this path", "The paths are in /api/openapi.json.", (), headers
        )
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _methods(request)
        return problem(status, f"{got}: only {allowed} is allowed here", "Use another method.", (), {"Allow": allowed})
    detail = str(error.detail) if isinstance(error, HTTPException) else HTTPStatus(status).phrase
    return problem(status, f"{got}: {detail}", "Correct the request; see /api/openapi.json.", (), headers)


def _methods(request: Request) -> str:
    """The methods of all routes at the path of a request: the router names those of the first alone."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE:
            found |= route.methods or set()
    return ", ".join(sorted(found))


async def _unknown(request: Request, error: Exception) -> Response:
    del request
    return problem(404, str(error), "GET /api/v1/incidents lists the ids that there are.")


async def _conflict(request: Request, error: Exception) -> Response:
    del request
    return problem(409, str(error), "See the present state first, with GET, and do what fits it.")


async def _unreadable(request: Request, error: Exception) -> Response:
    del request
    return problem(422, str(error).removesuffix("."), "Send the report as its tool wrote it.")


async def _unable(request: Request, error: Exception) -> Response:
    del request
    return problem(503, str(error), "GET /api/v1/conditions says how the service is.", (), {"Retry-After": "30"})


async def _bug(request: Request, error: Exception) -> Response:
    # The server logs the exception itself; a client is told nothing of its text.
    del error
    got = f"{request.method} {shown(request.url.path)}"
    return problem(
        500, f"{got} failed inside the service", "Look into the log of the service, and report it with its text."
    )
