"""Files of Prometheus rules: groups of alert and recording rules, as Prometheus and its operator for Kubernetes read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as parser
import yaml

from unquiet.model.errors import ConfigError

INTERVAL_S = 60.0
"""How often rules are evaluated where their group does not say; also the least, for the replay is scraped as often."""

FORM = "`groups:`, each with a `name:` and `rules:`, each with `alert:` (or `record:`) and `expr:`"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a file: an alert, or with `records` a recording rule whose series are called `name`.

    An alert rings after its expression held for `for_s` seconds.
    """

    name: str
    expr: str
    records: bool = False
    for_s: float = 0.0
    interval_s: float = INTERVAL_S
    labels: tuple[tuple[str, str], ...] = ()


def read_rules(path: Path) -> list[Rule]:
    """The rules of a file, in their order.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--rules {path}: it cannot be read: {error}. Name a YAML file of Prometheus rules."
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"--rules {path}: it is no YAML: {' '.join(str(error).split())}") from error
    found = [rule for each in documents if each is not None for rule in _of_document(path, each)]
    if not found:
        raise ConfigError(f"--rules {path}: it holds no rules. Expected: {FORM}.")
    return found


def _of_document(path: Path, document: object) -> list[Rule]:
    told = _mapping(path, document, "the file")
    if "spec" in told:
        told = _mapping(path, told["spec"], "spec")
    groups = told.get("groups")
    if not isinstance(groups, list):
        raise ConfigError(f"--rules {path}: it has no list `groups`. Expected: {FORM}.")
    return [rule for group in groups for rule in _of_group(path, _mapping(path, group, "a group"))]


def _of_group(path: Path, group: Mapping[str, Any]) -> list[Rule]:
    interval_s = max(_seconds(path, group.get("interval"), INTERVAL_S), INTERVAL_S)
    rules = group.get("rules") or []
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        raise ConfigError(f"--rules {path}: the rules of group {group.get('name')!r} are no list.")
    return [_rule(path, _mapping(path, each, "a rule"), interval_s) for each in rules]


def _rule(path: Path, told: Mapping[str, Any], interval_s: float) -> Rule:
    name = told.get("alert") or told.get("record")
    if not name or "expr" not in told:
        raise ConfigError(f"--rules {path}: a rule without `alert` (or `record`) or without `expr`: {dict(told)}")
    labels = tuple(sorted((str(key), str(value)) for key, value in (told.get("labels") or {}).items()))
    for_s = _seconds(path, told.get("for"), 0.0)
    return Rule(str(name), str(told["expr"]), "record" in told, for_s, interval_s, labels)


def _seconds(path: Path, told: object, default: float) -> float:
    if told is None or told == 0:
        return default
    try:
        return parser.parse_duration(str(told)).total_seconds() if str(told) not in ("0", "0s") else 0.0
    except ValueError as error:
        raise ConfigError(f"--rules {path}: {told!r} is no duration like 30s, 5m or 1h30m: {error}") from error


def _mapping(path: Path, told: object, what: str) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise ConfigError(f"--rules {path}: {what} is {type(told).__name__}. Expected: {FORM}.")
    return told


def selectors(node: parser.Expr) -> list[parser.VectorSelector]:
    """All selectors of an expression."""
    found: list[parser.VectorSelector] = []

    def visit(each: parser.Expr) -> bool:
        if isinstance(each, parser.VectorSelector):
            found.append(each)
        return True

    parser.walk(node, visit)
    return found


def reach_s(node: parser.Expr) -> float:
    """How far back an expression looks at most: the sum of its ranges and offsets, in seconds."""
    total = 0.0

    def visit(each: parser.Expr) -> bool:
        nonlocal total
        for told in (getattr(each, "range", None), getattr(each, "offset", None)):
            total += abs(told.total_seconds()) if told is not None else 0.0
        return True

    parser.walk(node, visit)
    return total
