"""The web application of a running service. Pages for people join it beside the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from unquiet import __version__
from unquiet.web import api, health, metrics
from unquiet.web.access import COOKIE_S, Access
from unquiet.web.asking import CloudEvent, Login
from unquiet.web.backend import Backend, NotPossible, Shown
from unquiet.web.guard import LOGIN, Guard
from unquiet.web.pages import routes as pages
from unquiet.web.pages.browsers import as_page
from unquiet.web.problems import Problem, add_handlers, problem

OPENAPI = "/api/openapi.json"
SUMMARY = "What a running unquiet knows of the agents that it watches, and of itself."


def make_app(backend: Backend, access: Access, now_us: Callable[[], int]) -> FastAPI:
    """The application: pages, the API under /api/v1, its OpenAPI 3.1 document, /metrics, /healthz, /readyz and /login.

    `now_us` gives the present moment, microseconds since 1970. No page loads anything from elsewhere.
    """
    app = _bare()
    api.add_routes(app, backend, now_us)
    health.add_routes(app, backend, now_us)
    metrics.add_routes(app, backend)
    _add_login(app, access, now_us)
    return _whole(app, backend, access, now_us)


def make_pages(shown: Shown, access: Access, now_us: Callable[[], int]) -> FastAPI:
    """The pages alone, with their twins: of a folder over which no service runs."""
    return _whole(_bare(), shown, access, now_us)


def _bare() -> FastAPI:
    app = FastAPI(
        title="unquiet",
        summary=SUMMARY,
        version=__version__,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    add_handlers(app, _for_browsers)
    return app


def _whole(app: FastAPI, shown: Shown, access: Access, now_us: Callable[[], int]) -> FastAPI:
    pages.add_routes(app, shown, access, now_us)
    app.add_middleware(Guard, access=access, now_us=now_us)
    app.openapi = lambda: _document(app, access)
    return app


def _for_browsers(request: Request, answer: Response) -> Response:
    return as_page(answer, request.scope, request.headers)


def _add_login(app: FastAPI, access: Access, now_us: Callable[[], int]) -> None:
    def login(request: Request, body: Login) -> Response:
        """A cookie for a token, for pages; it ends after twelve hours."""
        del request
        if not access.needed:
            raise NotPossible("got a login, but no tokens are configured: everything is open to who reaches this port")
        reader = access.by_token(body.token)
        if reader is None:
            return problem(401, "got a token that is not known", "Use one of the configuration.")
        answer = Response(status_code=204)
        value = access.cookie_for(reader, now_us())
        answer.set_cookie(
            access.cookie, value, max_age=COOKIE_S, path="/", secure=access.tls, httponly=True, samesite="strict"
        )
        return answer

    app.add_api_route(
        LOGIN,
        login,
        methods=["POST"],
        status_code=204,
        response_class=Response,
        responses=api.errors((*api.ACTING, 409)),
        operation_id="login",
        tags=["access"],
    )


def _document(app: FastAPI, access: Access) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        parts = made.setdefault("components", {})
        for model in (Problem, CloudEvent):
            _add_schema(parts.setdefault("schemas", {}), model)
        if access.needed:
            parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            made["security"] = [{"bearer": []}]
            for path in ("/healthz", LOGIN):
                for operation in made["paths"].get(path, {}).values():
                    operation["security"] = []
        app.openapi_schema = made
    return app.openapi_schema


def _add_schema(schemas: dict[str, Any], model: type[BaseModel]) -> None:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, inner in schema.pop("$defs", {}).items():
        schemas.setdefault(name, inner)
    schemas.setdefault(model.__name__, schema)
