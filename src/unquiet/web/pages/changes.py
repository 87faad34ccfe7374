"""The facts of the page of changes: what was announced, what the traffic showed, and which incidents began near it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from unquiet import __version__
from unquiet.model.changes import Change
from unquiet.report import headline
from unquiet.report.plain import one_line
from unquiet.report.words import where
from unquiet.web.backend import Shown
from unquiet.web.documents import suspect
from unquiet.web.pages import overviews as says
from unquiet.web.pages.incident import change_name, incident_path
from unquiet.web.pages.numbers import iso, moment_of

Document = Mapping[str, Any]

MOST = 200


def changes_page(backend: Shown, now_us: int) -> says.ChangesPage:
    """The page of changes."""
    ledger = backend.ledger()
    near = _near(backend.incidents(None))
    announced = [_listed(_row(each), near, announced=True) for each in backend.changes()]
    seen = [_listed(each, near, announced=False) for each in ledger["seen"]]
    found = sorted([*announced, *seen], key=lambda each: datetime.fromisoformat(each.at), reverse=True)
    return says.ChangesPage(
        title="Changes",
        path="/changes",
        made_at=iso(now_us),
        version=__version__,
        changes=found[:MOST],
        left_out=max(0, len(found) - MOST),
        kinds=[
            says.Routine(kind=one_line(each["kind"], 80), changes=each["changes"], days=each["days"])
            for each in ledger["kinds"]
        ],
        sightings=[
            says.Sighting(
                name=one_line(each["facet"], 80),
                value=one_line(each["value"], 120),
                first=moment_of(each["first"]),
                last=moment_of(each["last"]),
                sessions=each["sessions"],
            )
            for each in list(ledger["sightings"])[:MOST]
        ],
    )


def _row(change: Change) -> Document:
    return suspect(change).model_dump(by_alias=True)


def _listed(each: Document, near: Mapping[object, list[says.Near]], *, announced: bool) -> says.ListedChange:
    return says.ListedChange(
        change=change_name(each),
        at=moment_of(each["at"]),
        source=one_line(each.get("source"), 120),
        scope=where(each["scope"]) if each.get("scope") else "",
        announced=announced,
        near=near.get(_key(each), []),
    )


def _near(documents: Sequence[Document]) -> dict[object, list[says.Near]]:
    """The incidents by the changes that are suspected of them."""
    found: dict[object, list[says.Near]] = {}
    for document in documents:
        name = str(document["id"])
        for each in document["suspects"]:
            told = says.Near(
                id=name, path=incident_path(name), title=headline(document), likely=bool(each.get("likely"))
            )
            found.setdefault(_key(each), []).append(told)
    return found


def _key(each: Document) -> object:
    return each["kind"], each.get("from"), each.get("to"), datetime.fromisoformat(each["at"])
