"""Voices from every format: what becomes of good rows, and that bad ones are counted and told with their place."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.model.voices import VOICES
from unquiet.sources.voices import VOICE_FORMATS, read_voices

NOW = datetime(2026, 11, 1, tzinfo=UTC)
AT = "2026-10-01T08:00:00Z"
AT_S = 1_790_841_600

ZENDESK = {
    "id": 35436, "created_at": AT, "subject": "No refund", "description": "It cannot refund.", "requester_id": 7,
    "status": "open", "via": {"channel": "web"}, "tags": ["bot", "refund"], "custom_fields": [{"id": 99, "value": "s-1"}],
    "satisfaction_rating": {"score": "bad"},
}  # fmt: skip
INTERCOM = {
    "type": "conversation", "id": "147", "created_at": AT_S, "state": "closed",
    "source": {"body": "<p>No refund<br>at all</p>", "author": {"type": "user", "id": "5f"}},
    "contacts": {"contacts": [{"id": "5f", "external_id": "u-7"}]},
    "conversation_rating": {"rating": 2, "remark": "useless"}, "custom_attributes": {"session": "s-1"},
}  # fmt: skip
FRESHDESK = {
    "id": 20, "created_at": AT, "subject": "No refund", "description": "<div>It says no.</div>", "description_text": "It says no.",
    "requester_id": 7, "status": 2, "priority": 1, "fr_escalated": False, "spam": False, "custom_fields": {"cf_session": "s-1"},
}  # fmt: skip
DISCOURSE = {
    "id": 3, "username": "ann", "created_at": AT, "cooked": "<p>It <b>refuses</b> &amp; refuses</p>", "post_number": 2,
    "post_type": 1, "topic_id": 8,
}  # fmt: skip
TABLE = {"id": "t1", "created_at": AT, "text": "It refuses.", "user_id": "u-7", "session_id": "s-1", "plan": "pro"}


def wrapped(name: str, rows: list[Any]) -> Any:
    """The rows as an export of the format has them."""
    if name == "zendesk":
        return {"tickets": rows, "end_of_stream": True, "end_time": AT_S, "users": [{"id": 7, "external_id": "u-7"}]}
    if name == "intercom":
        return {"type": "conversation.list", "conversations": rows, "pages": {}}
    if name == "discourse":
        return {"post_stream": {"posts": rows}, "id": 8, "title": "Refusals"}
    return rows


GOOD: Mapping[str, dict[str, Any]] = {
    "zendesk": ZENDESK,
    "intercom": INTERCOM,
    "freshdesk": FRESHDESK,
    "discourse": DISCOURSE,
    "table": TABLE,
}


def read(path: Path, mapping: dict[str, str] | None = None, **options: Any) -> tuple[list[dict[str, Any]], ReadReport]:
    ((_, tables, report),) = read_voices([path], mapping, now=NOW, **options)
    found = list(tables)
    assert all(table.schema.equals(VOICES) for table in found)
    return [row for table in found for row in table.to_pylist()], report


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def test_every_format_is_in_this_test() -> None:
    assert len(VOICE_FORMATS) == len(GOOD)


@pytest.mark.parametrize(
    ("name", "mapping", "wanted"),
    [
        ("zendesk", {"session_id": "custom_field_99"}, ("zendesk:35436", "ticket", "No refund\nIt cannot refund.", "u-7", 0.0)),
        ("intercom", {"session_id": "session"}, ("intercom:147", "ticket", "No refund\nat all\nuseless", "u-7", 0.25)),
        ("freshdesk", {"session_id": "cf_session"}, ("freshdesk:20", "ticket", "No refund\nIt says no.", "7", None)),
        ("discourse", {}, ("discourse:3", "post", "It refuses & refuses", "ann", None)),
        ("table", {}, ("table:t1", "ticket", "It refuses.", "u-7", None)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lines", [False, True])
def test_a_good_row(
    tmp_path: Path, name: str, mapping: dict[str, str], wanted: tuple[Any, ...], *, lines: bool
) -> None:
    path = write(tmp_path / "export.json", GOOD[name] if lines else wrapped(name, [GOOD[name]]))
    ((row,), report) = read(path, mapping)
    wanted = (*wanted[:3], "7", wanted[4]) if lines and name == "zendesk" else wanted
    assert (row["voice_id"], row["kind"], row["text"], row["user_id"], row["rating"]) == wanted
    assert row["origin"] == name
    assert row["time"] == datetime(2026, 10, 1, 8, tzinfo=UTC)
    assert row["session_id"] == (None if name == "discourse" else "s-1")
    assert (report.rows, report.turns, report.rejected) == (1, 1, {})


BAD: Mapping[str, tuple[dict[str, Any], ...]] = {
    "zendesk": (
        {"created_at": None}, {"created_at": "yesterday"}, {"id": None}, {"status": "deleted"}, {"via": "web", "custom_fields": 7},
        {"subject": "", "description": ""} | {"satisfaction_rating": None}, {"satisfaction_rating": {"score": "meh"}},
        {"created_at": "2031-01-01T00:00:00Z"},
    ),
    "intercom": (
        {"created_at": None}, {"created_at": "soon"}, {"id": None}, {"source": "x"}, {"source": {}, "conversation_rating": None},
        {"conversation_rating": {"rating": 9}}, {"contacts": [1]}, {"created_at": 12},
    ),
    "freshdesk": (
        {"created_at": None}, {"created_at": [1]}, {"id": None}, {"spam": True}, {"custom_fields": 3},
        {"subject": None, "description": None, "description_text": None}, {"deleted": True}, {"created_at": "1970-01-01T00:00:00Z"},
    ),
    "discourse": (
        {"created_at": None}, {"created_at": "?"}, {"id": None}, {"post_type": 3}, {"cooked": ""}, {"created_at": True},
    ),
    "table": (
        {"created_at": None}, {"created_at": "?"}, {"text": ""}, {"kind": "poem"}, {"rating": "meh"},
        {"created_at": "2031-01-01T00:00:00Z"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_malformed_rows_are_counted_and_told(tmp_path: Path, name: str) -> None:
    good = GOOD[name]
    other = {**good, "id": "another"}
    rows: list[Any] = [good, *({**good, **change} for change in BAD[name]), "no object", None, other]
    found, report = read(write(tmp_path / "export.json", wrapped(name, rows)))
    assert len(found) == 2
    bad = len(BAD[name]) + 2
    assert report.rejected_count == bad, report.rejected
    assert report.rows == bad + 2
    assert len(report.examples) >= 4
    assert all("export.json" in each.where and each.reason for each in report.examples)


@pytest.mark.parametrize("name", GOOD)
def test_a_broken_file(tmp_path: Path, name: str) -> None:
    """Cut off in the middle: an error or a counted rejection, never nothing."""
    whole = json.dumps(wrapped(name, [GOOD[name]] * 3))
    path = tmp_path / "export.json"
    path.write_text(whole[: len(whole) * 2 // 3])
    found, report = read(path)
    assert found == []
    assert report.rejected_count


@pytest.mark.parametrize("name", ["zendesk", "intercom"])
def test_a_page_whose_list_is_none(tmp_path: Path, name: str) -> None:
    _, report = read(write(tmp_path / "export.json", wrapped(name, {"oops": 1})))  # type: ignore[arg-type]
    assert report.rejected == {"wrong shape": 1}


def test_an_export_of_zendesk_that_ends_early_says_so(tmp_path: Path) -> None:
    page = {**wrapped("zendesk", [ZENDESK]), "end_of_stream": False}
    _, report = read(write(tmp_path / "export.json", page))
    assert any("end_of_stream" in note for note in report.notes)


def test_pages_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    pages = [wrapped("zendesk", [{**ZENDESK, "id": number}]) for number in range(3)]
    path.write_text("".join(json.dumps(page) + "\n" for page in pages))
    found, _ = read(path)
    assert [row["voice_id"] for row in found] == ["zendesk:0", "zendesk:1", "zendesk:2"]


def test_a_ticket_without_description_takes_the_first_comment_of_its_requester(tmp_path: Path) -> None:
    comments = [{"author_id": 1, "body": "Hello, how can I help?"}, {"author_id": 7, "body": "It refuses."}]
    ticket = {**ZENDESK, "description": None, "comments": comments}
    ((row,), _) = read(write(tmp_path / "export.json", wrapped("zendesk", [ticket])))
    assert row["text"] == "No refund\nIt refuses."


def test_a_wrapped_ticket_of_an_account_export(tmp_path: Path) -> None:
    ((row,), _) = read(write(tmp_path / "export.json", [{"helpdesk_ticket": FRESHDESK}]))
    assert row["voice_id"] == "freshdesk:20"


def test_columns_of_a_table_can_be_mapped(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["opened", "what", "who", "area"], [AT, "It refuses.", "u-7", "billing"]])
    with pytest.raises(UnreadableSource, match="--map time=COLUMN --map text=COLUMN"):
        read(path)
    ((row,), _) = read(path, {"time": "opened", "text": "what", "user_id": "who"})
    assert (row["text"], row["user_id"], row["facets"]) == ("It refuses.", "u-7", [("area", "billing")])
    with pytest.raises(UnreadableSource, match="--map time=when names a column that is not there"):
        read(path, {"time": "when", "text": "what"})


def test_the_same_row_twice_has_one_id(tmp_path: Path) -> None:
    row = {key: value for key, value in TABLE.items() if key != "id"}
    found, _ = read(write(tmp_path / "t.json", [row, row, {**row, "text": "other"}]))
    assert len({each["voice_id"] for each in found}) == 2


@pytest.mark.parametrize(
    ("values", "wanted", "scale"),
    [
        ([1, 3, 5], [0.0, 0.5, 1.0], "1 (worst) to 5"),
        ([0, 5], [0.0, 1.0], "0 (worst) to 5"),
        ([0, 1, 1], [0.0, 1.0, 1.0], "0 (worst) to 1"),
        ([-1, 0, 1], [0.0, 0.5, 1.0], "-1 (worst) to 1"),
        ([1, 10], [0.0, 1.0], "1 (worst) to 10"),
        ([20, 100], [0.2, 1.0], "0 (worst) to 100"),
        (["up", "down", "\N{THUMBS UP SIGN}", True], [1.0, 0.0, 1.0, 1.0], None),
    ],
)
def test_the_scale_of_ratings_is_found(
    tmp_path: Path, values: list[Any], wanted: list[float], scale: str | None
) -> None:
    rows = [{"created_at": AT, "rating": value, "user_id": f"u{i}"} for i, value in enumerate(values)]
    found, report = read(write(tmp_path / "ratings.json", rows))
    assert [row["rating"] for row in found] == wanted
    assert {row["kind"] for row in found} == {"rating"}
    assert [scale in note for note in report.notes] == [True] if scale else report.notes == []


def test_the_scale_of_ratings_can_be_given(tmp_path: Path) -> None:
    rows = [{"created_at": AT, "rating": value, "user_id": f"u{value}"} for value in (1, 4, 9)]
    found, report = read(write(tmp_path / "ratings.json", rows), scale=(1.0, 7.0))
    assert [row["rating"] for row in found] == [0.0, 0.5]
    assert report.rejected == {"rating off its scale": 1}
    odd = [{"created_at": AT, "rating": 300}]
    _, report = read(write(tmp_path / "odd.json", odd))
    assert report.rejected == {"rating off its scale": 1}
    assert "--scale" in report.examples[0].reason


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    ((row,), _) = read(write(tmp_path / "t.json", [{**TABLE, "text": "a" * 50_000}]))
    assert len(row["text"]) == 10_000
