"""Sections as Markdown, or as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unquiet.report.delays import delays_picture
from unquiet.report.pictures import NARROW, WIDE, days_picture, panel_picture
from unquiet.report.plain import one_line
from unquiet.report.words import day

if TYPE_CHECKING:
    from jinja2 import Environment

Section = Mapping[str, Any]

BLOCKS = "▁▂▃▄▅▆▇█"
_SPECIAL = re.compile(r"([\\`*_\[\]<|~&])")
_AT_START = re.compile(r"^(?:(?=[#>=+-])|(\d+)(?=[.)](?:\s|$)))")
_LINKS = re.compile(r"(?i):(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):")
_FENCES = re.compile(r"`{3,}")


def to_html(title: str, sections: Sequence[Section], made_by: str) -> str:
    """One HTML file. `made_by` says with what the report was written."""
    return _environment(html=True).get_template("report.html").render(title=title, sections=sections, made_by=made_by)


def to_markdown(title: str, sections: Sequence[Section], made_by: str) -> str:
    """The same sections as Markdown (CommonMark with tables)."""
    text = _environment(html=False).get_template("report.md").render(title=title, sections=sections, made_by=made_by)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def to_picture(name: str, **values: object) -> str:
    """The template of a picture, `name`, filled with values."""
    return _environment(html=True).get_template(name).render(**values)


def escaped(text: object) -> str:
    """A text that is nothing but text in Markdown: no HTML, link, image, table cell or heading comes out of it."""
    kept = _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
    kept = _LINKS.sub(lambda found: f"\\{found[0]}", kept)
    return _AT_START.sub(lambda found: f"{found[1] or ''}\\", kept).replace("@", "&#64;")


def fenced(text: str) -> str:
    """A text of others as a block of code, in a fence that it cannot end."""
    longest = max((len(found) for found in _FENCES.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def bars(days: Sequence[Mapping[str, Any]], name: str) -> str:
    """One sign a day, the higher the more; a blank for a day without conversations."""
    top = max((float(each[key] or 0.0) for each in days for key in ("rate", "expected")), default=0.0)
    rates = [each[name] for each in days]
    return "".join(" " if rate is None else BLOCKS[round(7 * rate / top) if top else 0] for rate in rates)


def whole(part: Mapping[str, Any]) -> str:
    """A text with a note in place of what was cut from its middle."""
    if not part["left_out"]:
        return str(part["head"])
    return f"{part['head']}\n{cut_note(part)}\n{part['tail']}"


def cut_note(part: Mapping[str, Any]) -> str:
    """`[... 98800 characters not shown ...]`."""
    return f"[... {part['left_out']} characters not shown ...]"


def _environment(*, html: bool) -> Environment:
    # Templates take a moment to load that other commands can save.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("unquiet.report"),
        # Of Markdown every text goes through `escaped` or `fenced`.
        autoescape=html,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"escaped": escaped, "fenced": fenced, "one_line": one_line, "day": day}
    shared: dict[str, Any] = {
        "days_picture": days_picture,
        "panel_picture": panel_picture,
        "delays_picture": delays_picture,
        "bars": bars,
        "whole": whole,
        "cut_note": cut_note,
        "WIDE": WIDE,
        "NARROW": NARROW,
    }
    environment.globals.update(shared)
    return environment
