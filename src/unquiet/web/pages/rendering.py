"""Pages as HTML: a document goes into the template of its page, every text escaped."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup, escape

from unquiet.model.wording import counted, percent
from unquiet.report.pictures import NARROW, WIDE, days_picture, panel_picture
from unquiet.report.rendering import cut_note
from unquiet.report.words import amount, day, moment, panel_chip, people, share
from unquiet.web.pages.documents import Page
from unquiet.web.pages.pictures import gap_picture, spark

STATIC: Mapping[str, tuple[str, str, str]] = {
    "report.css": ("unquiet.report", "templates/report.css", "text/css; charset=utf-8"),
    "pages.css": ("unquiet.web.pages", "static/pages.css", "text/css; charset=utf-8"),
    "pages.js": ("unquiet.web.pages", "static/pages.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("unquiet.web.pages", "static/icon.svg", "image/svg+xml"),
}
"""The files that pages load, by the name that they are asked for: package, place in it, type."""

NAV = (("/now", "Now"), ("/changes", "Changes"), ("/status", "Status"))
"""The pages of the header, in their order: path and name."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""Nothing inline, nothing from elsewhere."""

HEADERS = {
    "content-security-policy": POLICY,
    # Of a form that may not say where it comes from, browsers say the origin "null", and it would be refused.
    "referrer-policy": "same-origin",
}


@cache
def static_file(name: str) -> bytes:
    """The content of a static file. KeyError where there is none of that name."""
    package, place, _ = STATIC[name]
    return files(package).joinpath(place).read_bytes()


@cache
def static_url(name: str) -> str:
    """The address of a static file; it changes with the content, so that browsers may keep it."""
    return f"/static/{hashlib.sha256(static_file(name)).hexdigest()[:12]}/{name}"


def html_of(template: str, page: Page, **more: Any) -> str:
    """The page written down as HTML."""
    return text_of(template, page.title, page=page.model_dump(by_alias=True), **more)


def text_of(template: str, title: str, **values: Any) -> str:
    """A template filled in."""
    return environment().get_template(template).render(title=title, **values)


@cache
def environment() -> Environment:
    """Templates of the pages; those of reports under `report/`."""
    reports = PackageLoader("unquiet.report")
    made = Environment(
        loader=ChoiceLoader([PackageLoader("unquiet.web.pages"), PrefixLoader({"report": reports})]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "day": day,
        "share": share,
        "time": time_of,
        "timed": timed,
        "ratio": ratio,
        "coded": coded,
    }
    made.filters.update(filters)
    shared: dict[str, Any] = {
        "days_picture": days_picture,
        "panel_picture": panel_picture,
        "panel_chip": panel_chip,
        "gap_picture": gap_picture,
        "spark": spark,
        "cut_note": cut_note,
        "amount": amount,
        "people": people,
        "counted": counted,
        "percent": percent,
        "static_url": static_url,
        "nav": NAV,
        "WIDE": WIDE,
        "NARROW": NARROW,
    }
    made.globals.update(shared)
    return made


def time_of(at: str) -> Markup:
    """A moment in UTC, which the script turns into the reader's zone."""
    return Markup('<time datetime="{}">{}</time>').format(at, moment(at))


def timed(text: str, moments: Sequence[str | None]) -> Markup:
    """A text whose sentences say these moments: each becomes a `time` that the script can turn."""
    forms = {form: at for at in moments if at for form in (moment(at, year=True), moment(at))}
    if not forms:
        return escape(text)
    parts = re.split("(" + "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)) + ")", text)
    return Markup("").join(
        Markup('<time datetime="{}">{}</time>').format(forms[part], part) if i % 2 else part
        for i, part in enumerate(parts)
    )


def coded(text: str) -> Markup:
    """A text whose parts in backticks are commands."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def ratio(found: Mapping[str, Any]) -> str:
    """`66 % (59 to 72) of 190 sessions`."""
    if found["rate"] is None:
        return "unknown, of no session"
    bounds = f"{100 * found['low']:.0f} to {100 * found['high']:.0f}"
    return f"{percent(found['rate'])} ({bounds}) of {counted(found['n'], 'session')}"
