"""The metrics that a replay would have produced, for the rules of one file: scraped once a minute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import promql_parser as parser
import pyarrow as pa
import pyarrow.compute as pc

from unquiet.conventions.metrics import FINISH, LABELS, MODEL, SERVED, STATUS, TOKEN, TOOL, Metric, metric_of
from unquiet.promql.alerting import Firing, firing
from unquiet.promql.counting import MINUTE_US, Growth, grown
from unquiet.promql.evaluating import parsed
from unquiet.promql.rules import Rule, reach_s, selectors
from unquiet.promql.values import BoolArray, FloatArray, Labels, NotEvaluated, Samples

SCRAPE_S = 60.0
SAID = (MODEL, TOKEN, TOOL)
"""Labels of which a value that never occurs in the record is an error of the rule, or of this: it selects nothing."""

MAY_COME = (SERVED, FINISH)
"""Labels of which a failure brings new values: only where no turn of the record tells any, nothing can be said of them."""


class Exposition:
    """The series that rules ask for, over a record of turns; what is the same for all replays is kept.

    Recording rules are evaluated before alerts, whatever their order in a file.
    """

    def __init__(self, rules: Sequence[Rule], turns: pa.Table) -> None:
        self.rules = rules = sorted(rules, key=lambda rule: not rule.records)
        at = turns.column("time").cast(pa.int64()).to_numpy()
        self.first = int(at.min()) // MINUTE_US
        self.minutes = int(at.max()) // MINUTE_US + 1 - self.first
        self.why: dict[str, str] = {}
        self.parts = _understood(rules, self.why)
        made = {rule.name for rule in rules if rule.records}
        every = [each for node in self.parts.values() for each in selectors(node)]
        said = _said(self.parts.values())
        self.told = _told(turns)
        self.wanted: dict[str, tuple[Metric, str]] = {}
        self.names: dict[str, dict[str, list[str]]] = {}
        for name in sorted({each.name for each in every if each.name is not None} - made):
            if (found := metric_of(name)) is not None:
                self.wanted[name] = (_with_bounds(found[0], every), found[1])
                self.names[name] = {k: [n for n in LABELS[k] if n in said] or [LABELS[k][0]] for k in found[0].labels}
        self.recordable = _recordable(rules, self.parts.values())
        self.past = {name: self._grown(turns, name, self.first, self.minutes) for name in self.wanted}
        for rule in rules:
            if rule.name not in self.why:
                self._ask(rule, made)

    def firing(self, turns: pa.Table, start_us: int, begin_us: int, end_us: int) -> Firing:
        """When the alerts fire from `begin_us` to `end_us`, with `turns` in place of those of the record from `start_us` on.

        `start_us` begins a minute, and `turns` lie before `end_us`. An alert that cannot be evaluated is told why.
        """
        asked = [rule for rule in self.rules if rule.name not in self.why]
        begin_s = max(begin_us / 1e6 - self._back_s(), (self.first + 1) * SCRAPE_S)
        told = firing(asked, self.series(turns, start_us, end_us), begin_s, end_us / 1e6, self.recordable)
        return {
            **told,
            **{rule.name: self.why[rule.name] for rule in self.rules if not rule.records and rule.name in self.why},
        }

    def series(self, turns: pa.Table, start_us: int, end_us: int) -> dict[str, Samples]:
        """The series by name, from the first scrape of the record to the first after `end_us`."""
        cut, last = start_us // MINUTE_US - self.first, end_us // MINUTE_US + 1 - self.first
        at_s = (self.first + 1 + np.arange(last, dtype=np.float64)) * SCRAPE_S
        found = {name: self._samples(turns, name, max(cut, 0), last, at_s) for name in self.wanted}
        if "up" in found:
            always = np.ones((1, last))
            found["up"] = Samples(at_s, [()], always, always > 0, frozenset())
        return found

    def _back_s(self) -> float:
        """How much earlier rules must be evaluated: for their `for`, and for ranges of recorded series, which look on others."""
        made = {rule.name: rule for rule in self.rules if rule.records}
        chain = sum(
            max((reach_s(node) for node in self.parts.values() if _mentions(node, name)), default=0.0) for name in made
        )
        return chain + max((rule.for_s for rule in self.rules), default=0.0) + 2 * SCRAPE_S

    def _grown(self, turns: pa.Table, name: str, first: int, minutes: int) -> Growth:
        metric, part = self.wanted[name]
        return {} if metric.kind == "up" else grown(turns, metric, part, self.names[name], first, minutes)

    def _samples(self, turns: pa.Table, name: str, cut: int, last: int, at_s: FloatArray) -> Samples:
        """The series of a name: the record's before minute `cut`, those of `turns` from there on."""
        now = self._grown(turns, name, self.first + cut, max(last - cut, 0))
        past = self.past[name]
        labels: list[Labels] = list(dict.fromkeys([*past, *now]))
        growth = np.zeros((len(labels), last))
        for row, each in enumerate(labels):
            if each in past:
                growth[row, :cut] = past[each][:cut]
            if each in now:
                growth[row, cut:] = now[each]
        values = np.cumsum(growth, axis=1)
        knows = frozenset(each for names in self.names[name].values() for each in names) | {"le"}
        return Samples(at_s, labels, values, _begun(labels, values), knows)

    def _ask(self, rule: Rule, made: set[str]) -> None:
        """Note why a rule cannot be evaluated, where its selectors name what the replay does not have."""
        for each in selectors(self.parts[rule.expr]):
            name = str(each.name)
            if name in made:
                why = f"{name}: its recording rule cannot be evaluated: {self.why[name]}" if name in self.why else ""
            else:
                why = self._never(each) if name in self.wanted else f"{name}: the replay has no such metric"
            if why:
                self.why[rule.name] = why
                return

    def _never(self, selector: parser.VectorSelector) -> str:
        """Why a selector can never select anything, empty where it can."""
        name = str(selector.name)
        keys = {label: key for key, labels in self.names[name].items() for label in labels}
        for rule in selector.matchers.matchers:
            key = keys.get(rule.name)
            if key is None or rule.op != parser.MatchOp.Equal or not rule.value:
                continue
            if key == STATUS and not rule.value.isdigit():
                return f'{rule.name}="{rule.value}": the replay tells status codes, like 200 or 500'
            if key in SAID and rule.value not in self.told[key]:
                return f'{rule.name}="{rule.value}": no turn of the record has it'
            if key in MAY_COME and not self.told[key]:
                return f'{rule.name}="{rule.value}": no turn of the record tells a {key}'
        return ""


def _understood(rules: Sequence[Rule], why: dict[str, str]) -> dict[str, parser.Expr]:
    """The expressions of rules, parsed, by their text; `why` is told of alerts that are no PromQL."""
    found: dict[str, parser.Expr] = {}
    for rule in rules:
        try:
            found[rule.expr] = parsed(rule.expr)
        except NotEvaluated as error:
            why[rule.name] = str(error)
    return found


def _recordable(rules: Sequence[Rule], nodes: Iterable[parser.Expr]) -> frozenset[str]:
    """Labels that recorded series could have: those of turns, and those that rules add or make."""
    own = {label for rule in rules if rule.records for label, _ in rule.labels}

    def visit(each: parser.Expr) -> bool:
        if isinstance(each, parser.Call) and each.func.name in ("label_replace", "label_join"):
            own.update(part.val for part in each.args[1:2] if isinstance(part, parser.StringLiteral))
        return True

    for node in nodes:
        parser.walk(node, visit)
    return frozenset(own | {label for names in LABELS.values() for label in names} | {"le"})


def _told(turns: pa.Table) -> dict[str, set[str]]:
    """The values of labels that turns have, by key; those of all turns, whatever a metric counts of them."""
    calls = pc.struct_field(pc.list_flatten(turns.column("tool_calls")), "name")
    columns = {
        MODEL: turns.column("model"),
        SERVED: turns.column("served_model"),
        FINISH: turns.column("finish_reason"),
        TOOL: calls,
    }
    found = {key: {str(each) for each in pc.unique(values).to_pylist() if each} for key, values in columns.items()}
    sides = {"input": "input_tokens", "output": "output_tokens"}
    return {**found, TOKEN: {side for side, name in sides.items() if turns.column(name).null_count < turns.num_rows}}


def _mentions(node: parser.Expr, name: str) -> bool:
    return any(each.name == name for each in selectors(node))


def _with_bounds(metric: Metric, every: Sequence[parser.VectorSelector]) -> Metric:
    """A histogram with the bounds too that selectors name: who asks for le="0.3" has such a bucket."""
    bounds = set(metric.buckets)
    for each in every:
        if each.name is not None and (found := metric_of(each.name)) and found[0] is metric:
            for rule in each.matchers.matchers:
                if rule.name == "le" and rule.op == parser.MatchOp.Equal:
                    bounds |= _bounds(rule.value)
    return replace(metric, buckets=tuple(sorted(bounds))) if metric.kind == "histogram" else metric


def _bounds(text: str) -> set[float]:
    try:
        bound = float(text)
    except ValueError:
        return set()
    return {bound} if np.isfinite(bound) else set()


def _said(nodes: Iterable[parser.Expr]) -> set[str]:
    """All labels that expressions name."""
    found: set[str] = set()

    def visit(each: parser.Expr) -> bool:
        if isinstance(each, parser.VectorSelector):
            found.update(rule.name for rule in each.matchers.matchers)
        elif isinstance(each, parser.AggregateExpr) and each.modifier is not None:
            found.update(each.modifier.labels)
        elif isinstance(each, parser.BinaryExpr) and each.modifier is not None:
            found.update(each.modifier.matching.labels if each.modifier.matching is not None else ())
            found.update(each.modifier.group_labels or ())
        elif isinstance(each, parser.Call):
            found.update(part.val for part in each.args if isinstance(part, parser.StringLiteral))
        return True

    for node in nodes:
        parser.walk(node, visit)
    return found


def _begun(labels: Sequence[Labels], values: FloatArray) -> BoolArray:
    """A series is there from its first event on; the buckets of a histogram all at once."""
    begun = values > 0
    whole: dict[Labels, int] = {}
    for row, each in enumerate(labels):
        if dict(each).get("le") == "+Inf":
            whole[tuple(pair for pair in each if pair[0] != "le")] = row
    for row, each in enumerate(labels):
        if "le" in dict(each):
            begun[row] = begun[whole[tuple(pair for pair in each if pair[0] != "le")]]
    return begun
