"""The metrics parse, keep Prometheus' naming rules, and are those that rules, dashboard and reference speak of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

from unquiet.selfwatch import WATCHES
from unquiet.web.metrics import FAMILIES, MOST_SERIES, OTHER, described
from unquiet.web.numbers import Numbers
from web_backends import NOW_US, FakeBackend, client_of, full_numbers

OPEN = {"Accept": "application/openmetrics-text; version=1.0.0"}
BASE_UNITS = ("seconds", "bytes", "ratio")
OTHER_UNITS = re.compile(r"_(ms|milliseconds|us|minutes|hours|days|kb|mb|gb|kilobytes|megabytes|percent)(_|$)")
MONITORING = "docs/monitoring"


def scraped(backend: FakeBackend, accept: dict[str, str] | None = None) -> dict[str, Metric]:
    answer = client_of(backend).get("/metrics", headers=accept or {})
    assert answer.status_code == 200
    parse = openmetrics if accept else text
    return {family.name: family for family in parse(answer.text)}


def values(families: dict[str, Metric]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families.values() for s in f.samples}


def sample_names() -> set[str]:
    return {sample.name for family in scraped(FakeBackend()).values() for sample in family.samples}


def flaws(family: Metric) -> Iterator[str]:
    """What in a family of the OpenMetrics form is against the naming rules of Prometheus and its linter."""
    name = family.name
    if not re.fullmatch(r"unquiet(_[a-z][a-z0-9]*)+", name):
        yield "a name is lower-case words after the prefix"
    if OTHER_UNITS.search(name):
        yield "a unit is a base unit"
    unit = next((unit for unit in BASE_UNITS if name.endswith(f"_{unit}")), "")
    if family.unit != unit and unit in ("seconds", "bytes"):
        yield "the unit is declared"
    if "timestamp" in name and not name.endswith("_timestamp_seconds"):
        yield "a moment ends in _timestamp_seconds"
    if not family.documentation.endswith("."):
        yield "the help is a sentence"
    if family.type != "counter" and name.endswith("_total"):
        yield "only counters end in _total"
    if re.search(r"_(gauge|counter|summary|info|count|sum|bucket)$", name):
        yield "a name does not repeat its type"
    for sample in family.samples:
        if family.type == "counter" and not sample.name.endswith("_total"):
            yield "counters end in _total"
        for label in sample.labels:
            if not re.fullmatch(r"[a-z][a-z_]*", label) or (label in name.split("_") and label != "condition"):
                yield f"label {label}"


def test_names_keep_the_rules() -> None:
    families = scraped(FakeBackend(), OPEN)
    assert len(families) == len(FAMILIES) + 5
    assert {name: list(flaws(family)) for name, family in families.items() if list(flaws(family))} == {}


def test_the_rules_bite() -> None:
    found = {}
    for name, kind in (("unquiet_Lag_ms", "gauge"), ("unquiet_lag_seconds", "gauge"), ("unquiet_x_total", "gauge")):
        found[name] = list(flaws(Metric(name, "Help", kind)))
    assert "a unit is a base unit" in found["unquiet_Lag_ms"]
    assert "a name is lower-case words after the prefix" in found["unquiet_Lag_ms"]
    assert "the unit is declared" in found["unquiet_lag_seconds"]
    assert found["unquiet_x_total"] == ["the help is a sentence", "only counters end in _total"]


def test_both_forms_hold_every_figure() -> None:
    backend = FakeBackend()
    plain, opened = values(scraped(backend)), values(scraped(backend, OPEN))
    assert plain == opened
    assert plain[("unquiet_spans_accepted_total", (("kind", "traces"),))] == 1200
    assert plain[("unquiet_spans_rejected_total", (("kind", "traces"), ("reason", "attribute too long")))] == 3
    assert plain[("unquiet_bodies_total", (("door", "http"), ("status", "429")))] == 2
    assert plain[("unquiet_tick_duration_seconds_count", ())] == 11
    assert plain[("unquiet_tick_duration_seconds_sum", ())] == 13.25
    assert plain[("unquiet_build_info", (("version", "0.1.0"),))] == 1
    assert plain[("unquiet_heartbeat_timestamp_seconds", ())] == NOW_US / 1e6 - 1
    assert plain[("unquiet_last_arrival_timestamp_seconds", (("source", "app"),))] == NOW_US / 1e6 - 2


@pytest.mark.parametrize("name", [each.name for each in fields(Numbers) if each.name not in ("version", "started_us")])
def test_every_figure_becomes_a_sample_and_an_unknown_one_none(name: str) -> None:
    """Unknown is never 0."""
    backend = FakeBackend()
    known = values(scraped(backend))
    default: Any = type(getattr(full_numbers(), name))() if isinstance(getattr(full_numbers(), name), dict) else None
    backend.figures = replace(full_numbers(), **{name: default})
    unknown = values(scraped(backend))
    assert known.keys() > unknown.keys()


def test_media_types() -> None:
    client = client_of(FakeBackend())
    assert client.get("/metrics").headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    opened = client.get("/metrics", headers=OPEN)
    assert opened.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert opened.text.endswith("# EOF\n")


def test_conditions_are_states() -> None:
    backend = FakeBackend()
    backend.failing("clock-skew", state="unknown")
    found = values(scraped(backend))
    for watch in WATCHES:
        state = "unknown" if watch.name == "clock-skew" else "ok"
        for each in ("ok", "failing", "unknown"):
            labels = (("condition", watch.name), ("severity", watch.severity), ("state", each))
            assert found[("unquiet_condition", labels)] == (each == state)


def test_labels_are_bounded_and_escaped() -> None:
    backend = FakeBackend()
    sources = {f's"\\\n{i}': NOW_US - i * 1_000_000 for i in range(MOST_SERIES + 50)}
    signals = {f"s{i}": i for i in range(MOST_SERIES + 50)}
    backend.figures = replace(full_numbers(), last_arrival_us=sources, signal_failures=signals)
    families = scraped(backend)
    arrivals = families["unquiet_last_arrival_timestamp_seconds"].samples
    assert len(arrivals) == MOST_SERIES + 1
    assert {s.labels["source"]: s.value for s in arrivals}[OTHER] == NOW_US / 1e6 - MOST_SERIES
    assert 's"\\\n0' in {s.labels["source"] for s in arrivals}
    failures = {s.labels["signal"]: s.value for s in families["unquiet_measurement_failures"].samples}
    assert failures[OTHER] == sum(range(50))
    assert sum(failures.values()) == sum(signals.values())


def expressions(root: Path) -> dict[str, str]:
    """Every query of the rules and the dashboard, by where it is."""
    rules = yaml.safe_load((root / MONITORING / "unquiet.rules.yml").read_text(encoding="utf-8"))
    found = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    board = json.loads((root / MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found[variable["name"]] = variable["query"]["query"]
    return found


def test_rules_and_dashboard_use_metrics_that_exist(root: Path) -> None:
    found = expressions(root)
    assert len(found) > 20
    for place, query in found.items():
        used = set(re.findall(r"\bunquiet_[a-z_]+", query))
        assert used, place
        assert used <= sample_names(), place
        names = [(s.name, s.labels) for f in scraped(FakeBackend()).values() for s in f.samples]
        for metric, selector in re.findall(r"\b(unquiet_[a-z_]+)\{([^}]*)\}", query):
            labels = {key for name, own in names if name == metric for key in own} | {"instance", "job"}
            assert set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", selector)) <= labels, place


def test_rules_are_whole(root: Path) -> None:
    rules = yaml.safe_load((root / MONITORING / "unquiet.rules.yml").read_text(encoding="utf-8"))
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in every}) == len(every)
    for rule in every:
        assert re.fullmatch(r"Unquiet[A-Za-z]+", rule["alert"])
        assert set(rule) <= {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"].keys() >= {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
        for words in rule["annotations"].values():
            assert set(re.findall(r"\$labels\.([a-z_]+)", words)) <= {
                "instance",
                "job",
                "condition",
                "severity",
                "sink",
                "state",
            }


def test_the_dashboard_is_whole(root: Path) -> None:
    board = json.loads((root / MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    assert board["id"] is None
    assert board["uid"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
            assert panel["description"]


def test_what_the_reference_says_is_what_is_collected() -> None:
    """The page is written from `described`; this holds `described` to the scrape."""
    families = scraped(FakeBackend())
    said = {(name, kind, frozenset(labels), words) for name, kind, labels, words in described()}
    found = set()
    for family in families.values():
        labels = frozenset(label for sample in family.samples for label in sample.labels)
        name = family.name + ("_total" if family.type == "counter" else "")
        found.add((name, family.type, labels, family.documentation))
    assert found == said
