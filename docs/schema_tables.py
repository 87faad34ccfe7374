"""The documents of the pages as tables: one section a schema, and the parts that they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from unquiet.web.pages import documents, overviews

Schema = Mapping[str, Any]

PAGES: tuple[type[documents.Page], ...] = (
    overviews.NowPage,
    documents.IncidentPage,
    overviews.ChangesPage,
    overviews.StatusPage,
)


def schema_lines(row: Any) -> Iterator[str]:
    """The sections. `row` writes cells as a line of a table."""
    parts: dict[str, Schema] = {}
    for page in PAGES:
        schema = page.model_json_schema(by_alias=True)
        parts |= schema["$defs"]
        yield f"## `{schema['properties']['schema']['const']}`"
        yield from _table(page, schema, row)
    yield "## Parts"
    for name in sorted(parts):
        yield f"### {name}"
        yield from _table(getattr(documents, name, None) or getattr(overviews, name), parts[name], row)


def _table(model: type[BaseModel], schema: Schema, row: Any) -> Iterator[str]:
    yield ""
    yield (model.__doc__ or "").strip()
    yield ""
    yield row("Field", "Type", "Meaning")
    yield "|---|---|---|"
    for name, field in schema["properties"].items():
        yield row(f"`{name}`", _type(field), str(field.get("description", "")))
    yield ""


def _type(field: Schema) -> str:
    if "$ref" in field:
        name = str(field["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    return "moment" if field.get("format") == "date-time" else str(field["type"])
