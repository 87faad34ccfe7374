"""What browsers are told that ask for a page and cannot have it: the same as a problem document, as a page."""

from __future__ import annotations

import orjson
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from unquiet.web.headers import SECURITY
from unquiet.web.pages.rendering import HEADERS, text_of
from unquiet.web.problems import MEDIA_TYPE

NOT_PAGES = ("/api/", "/v2/", "/metrics", "/healthz", "/readyz", "/static/")
ENTER, LEAVE = "/login/page", "/logout"
"""Where the forms of login and logout are sent."""


def wants_page(path: str, headers: Headers) -> bool:
    """Whether a browser asks, for a page."""
    return "text/html" in headers.get("accept", "") and not path.startswith(NOT_PAGES) and not path.endswith(".json")


def as_page(answer: Response, scope: Scope, headers: Headers) -> Response:
    """A refusal as a page, where a browser asked for one; of who is not known, the form to log in."""
    if answer.media_type != MEDIA_TYPE or not wants_page(scope["path"], headers):
        return answer
    said = orjson.loads(bytes(answer.body))
    if answer.status_code == 401:
        return login_page(*_goal(scope), elsewhere=headers.get("sec-fetch-site") == "cross-site")
    text = text_of("problem.html", said["title"], said=said)
    kept = {name: value for name, value in answer.headers.items() if name in ("allow", "retry-after")}
    return HTMLResponse(text, answer.status_code, {**dict(SECURITY), **HEADERS, **kept})


def _goal(scope: Scope) -> tuple[str, str]:
    """Path and query that a login leads on to: the page asked for; of a form, which cannot be sent again, its page."""
    path: str = scope["path"]
    if scope["method"] in ("GET", "HEAD"):
        return path, scope["query_string"].decode("latin-1")
    return ("/" if path in (ENTER, LEAVE) else path.rpartition("/")[0] or "/"), ""


def login_page(path: str, query: str = "", *, wrong: bool = False, elsewhere: bool = False) -> Response:
    """The form to log in, which leads on to a path of ours.

    Browsers keep a strict cookie to themselves when a link on another site (a chat, a mail) led here: `elsewhere` lets the page
    ask once more, from here, before anybody types a token again.
    """
    goal = f"{path}?{query}" if query else path
    text = text_of("login.html", "Log in", goal=goal, wrong=wrong, elsewhere=elsewhere)
    return HTMLResponse(text, 401, {**HEADERS, "WWW-Authenticate": 'Bearer realm="unquiet"'})
