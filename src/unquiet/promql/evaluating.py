"""PromQL over series, at all moments of a range at once: what alert rules use of it.

Parsing is that of `promql-parser`. What is not known here raises NotEvaluated and names it: an expression is evaluated as
Prometheus does, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import numpy as np
import promql_parser as parser
import re2

from unquiet.promql.aggregating import aggregated
from unquiet.promql.instants import (
    CALENDAR,
    ELEMENTWISE,
    absent,
    histogram_quantile,
    label_join,
    label_replace,
)
from unquiet.promql.joining import Matching, scalars, vectors, with_scalar
from unquiet.promql.ranges import RANGE_FUNCTIONS, RangeFunction, over_windows, quantile_over, trend_over
from unquiet.promql.values import (
    FloatArray,
    Labels,
    NotEvaluated,
    Samples,
    Value,
    Vector,
    labelled,
    nothing,
)

LOOKBACK_S = 300.0
"""A sample counts for so long, unless its series was scraped again."""

STEP_S = 60.0
"""Step of a subquery that names none: the evaluation interval."""

Kind = TypeVar("Kind")


def parsed(text: str) -> parser.Expr:
    """An expression.

    Raises:
        NotEvaluated: it is no PromQL.
    """
    try:
        return parser.parse(text)
    except ValueError as error:
        raise NotEvaluated(f"no PromQL: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Series by name, and the moments (T,), in seconds since 1970, ascending, at which expressions are asked for."""

    series: Mapping[str, Samples]
    moments_s: FloatArray

    def of(self, node: parser.Expr) -> Value:
        """The value of an expression.

        Raises:
            NotEvaluated: it uses what is not known here, or has no value.
        """
        if isinstance(node, parser.ParenExpr):
            return self.of(node.expr)
        if isinstance(node, parser.NumberLiteral):
            return np.full(len(self.moments_s), node.val)
        if isinstance(node, parser.StringLiteral):
            return node.val
        if isinstance(node, parser.UnaryExpr):
            return self._negative(self.of(node.expr))
        if isinstance(node, parser.VectorSelector):
            return self._selected(node)
        if isinstance(node, parser.AggregateExpr):
            return self._aggregated(node)
        if isinstance(node, parser.BinaryExpr):
            return self._binary(node)
        if isinstance(node, parser.Call):
            return self._called(node)
        raise NotEvaluated(f"{node.prettify()}: a range vector is not a value")

    def vector(self, node: parser.Expr) -> Vector:
        """The value of an expression that is an instant vector."""
        return _kind(self.of(node), Vector, node)

    def scalar(self, node: parser.Expr) -> FloatArray:
        """The value of an expression that is a scalar, (T,)."""
        return _kind(self.of(node), np.ndarray, node)

    def _negative(self, value: Value) -> Value:
        if isinstance(value, Vector):
            return Vector(value.labels, -value.values, value.present)
        if isinstance(value, str):
            raise NotEvaluated("a text has no sign")
        return -value

    def _selected(self, node: parser.VectorSelector) -> Vector:
        samples = self.matching(node)
        moments = self.moments_s - _offset(node)
        place = np.searchsorted(samples.at_s, moments, side="right") - 1
        if not len(samples.at_s) or not len(samples.labels):
            return nothing(len(moments))
        fresh = (place >= 0) & (moments - samples.at_s[place] < LOOKBACK_S)
        present = samples.present[:, place] & fresh
        return Vector(samples.labels, np.where(present, samples.values[:, place], np.nan), present)

    def matching(self, node: parser.VectorSelector) -> Samples:
        """The series that a selector names."""
        if node.name is None:
            raise NotEvaluated(f"{node}: a selector without the name of a metric is not known here")
        if node.name not in self.series:
            raise NotEvaluated(f"{node.name}: the replay has no such metric")
        if node.matchers.or_matchers:
            raise NotEvaluated(f"{node}: `or` among matchers is not known here")
        samples = self.series[node.name]
        rules = [each for each in node.matchers.matchers if samples.knows is None or each.name in samples.knows]
        rows = [row for row, labels in enumerate(samples.labels) if all(_holds(rule, labels) for rule in rules)]
        return replace(
            samples,
            labels=[samples.labels[row] for row in rows],
            values=samples.values[rows],
            present=samples.present[rows],
        )

    def _aggregated(self, node: parser.AggregateExpr) -> Vector:
        parameter = None if node.param is None else self.of(node.param)
        if isinstance(parameter, str):
            raise NotEvaluated(f"{node.op}() is not known here")
        if isinstance(parameter, Vector):
            raise NotEvaluated(f"{node.op}(): its parameter must be a number")
        leaving = node.modifier is not None and node.modifier.type == parser.AggModifierType.Without
        names = node.modifier.labels if node.modifier is not None else []
        return aggregated(str(node.op), self.vector(node.expr), parameter, names, leaving=leaving)

    def _binary(self, node: parser.BinaryExpr) -> Value:
        left, right, operator = self.of(node.lhs), self.of(node.rhs), str(node.op)
        matching = _matching(node.modifier)
        if isinstance(left, str) or isinstance(right, str):
            raise NotEvaluated(f"{operator}: a text on one side")
        if isinstance(left, Vector) and isinstance(right, Vector):
            return vectors(operator, left, right, matching)
        if isinstance(left, Vector) and not isinstance(right, Vector):
            return with_scalar(operator, left, right, swapped=False, as_bool=matching.as_bool)
        if isinstance(right, Vector) and not isinstance(left, Vector):
            return with_scalar(operator, right, left, swapped=True, as_bool=matching.as_bool)
        return scalars(operator, _kind(left, np.ndarray, node.lhs), _kind(right, np.ndarray, node.rhs))

    def _called(self, node: parser.Call) -> Value:
        name = node.func.name
        if name in RANGE_FUNCTIONS:
            return self.over(node.args[0], RANGE_FUNCTIONS[name])
        if name in ELEMENTWISE:
            vector = self.vector(node.args[0])
            with np.errstate(all="ignore"):
                values = ELEMENTWISE[name](vector.values, *(self.scalar(each) for each in node.args[1:]))
            return Vector(vector.labels, values, vector.present)
        if name in CALENDAR:
            at = self.vector(node.args[0]) if node.args else _alone(self.moments_s)
            return Vector(at.labels, CALENDAR[name](np.nan_to_num(at.values)), at.present)
        if name in SPECIAL:
            return SPECIAL[name](self, node)
        raise NotEvaluated(f"{name}() is not known here")

    def over(self, node: parser.Expr, function: RangeFunction) -> Vector:
        """A function of a range vector."""
        samples, range_s, offset_s = self.ranged(node)
        if not len(samples.labels):
            return nothing(len(self.moments_s))
        return over_windows(samples, self.moments_s - offset_s, range_s, function)

    def ranged(self, node: parser.Expr) -> tuple[Samples, float, float]:
        """The series of a range vector, how far it reaches back, and its offset, in seconds."""
        if isinstance(node, parser.ParenExpr):
            return self.ranged(node.expr)
        if isinstance(node, parser.MatrixSelector):
            return self.matching(node.vector_selector), node.range.total_seconds(), _offset(node.vector_selector)
        if isinstance(node, parser.SubqueryExpr) and node.range is not None:
            offset_s, range_s = _offset(node), node.range.total_seconds()
            step_s = node.step.total_seconds() if node.step is not None else STEP_S
            first = np.floor((self.moments_s[0] - offset_s - range_s) / step_s) + 1
            moments = np.arange(first, np.floor((self.moments_s[-1] - offset_s) / step_s) + 1) * step_s
            inner = Evaluation(self.series, moments).vector(node.expr)
            return Samples(moments, inner.labels, inner.values, inner.present), range_s, offset_s
        raise NotEvaluated(f"{node.prettify()} is no range vector")


def _absent(evaluation: Evaluation, node: parser.Call) -> Vector:
    return absent(evaluation.vector(node.args[0]).present, told_by(node.args[0]))


def _absent_over_time(evaluation: Evaluation, node: parser.Call) -> Vector:
    samples, range_s, offset_s = evaluation.ranged(node.args[0])
    known = RANGE_FUNCTIONS["present_over_time"]
    present = over_windows(samples, evaluation.moments_s - offset_s, range_s, known).present
    return absent(present, told_by(node.args[0]))


def _histogram_quantile(evaluation: Evaluation, node: parser.Call) -> Vector:
    return histogram_quantile(evaluation.scalar(node.args[0]), evaluation.vector(node.args[1]))


def _quantile_over_time(evaluation: Evaluation, node: parser.Call) -> Vector:
    return evaluation.over(node.args[1], quantile_over(evaluation.scalar(node.args[0])))


def _predict_linear(evaluation: Evaluation, node: parser.Call) -> Vector:
    _, _, offset_s = evaluation.ranged(node.args[0])
    return evaluation.over(node.args[0], trend_over(evaluation.scalar(node.args[1]) + offset_s))


def _label_replace(evaluation: Evaluation, node: parser.Call) -> Vector:
    vector, *texts = node.args
    target, replacement, source, pattern = (_text(each) for each in texts)
    return label_replace(evaluation.vector(vector), target, replacement, source, pattern)


def _label_join(evaluation: Evaluation, node: parser.Call) -> Vector:
    vector, *texts = node.args
    target, between, *sources = (_text(each) for each in texts)
    return label_join(evaluation.vector(vector), target, between, tuple(sources))


def _scalar(evaluation: Evaluation, node: parser.Call) -> FloatArray:
    vector = evaluation.vector(node.args[0])
    alone = vector.present.sum(axis=0) == 1
    return np.where(alone, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan)


def _timestamp(evaluation: Evaluation, node: parser.Call) -> Vector:
    if not isinstance(node.args[0], parser.VectorSelector):
        return replace(
            vector := evaluation.vector(node.args[0]), values=np.broadcast_to(evaluation.moments_s, vector.values.shape)
        )
    samples = evaluation.matching(node.args[0])
    timed = replace(samples, values=np.broadcast_to(samples.at_s, samples.values.shape))
    return Evaluation({str(node.args[0].name): timed}, evaluation.moments_s).vector(node.args[0])


SPECIAL: Mapping[str, Callable[[Evaluation, parser.Call], Value]] = {
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "histogram_quantile": _histogram_quantile,
    "quantile_over_time": _quantile_over_time,
    "predict_linear": _predict_linear,
    "label_replace": _label_replace,
    "label_join": _label_join,
    "scalar": _scalar,
    "timestamp": _timestamp,
    "vector": lambda evaluation, node: _alone(evaluation.scalar(node.args[0])),
    "time": lambda evaluation, _node: evaluation.moments_s,
}
"""Functions that look at more than the values of their arguments."""


def told_by(node: parser.Expr) -> Labels:
    """The labels that the matchers of a selector tell: those that must equal something, named once."""
    if isinstance(node, parser.MatrixSelector):
        node = node.vector_selector
    if not isinstance(node, parser.VectorSelector):
        return ()
    rules = node.matchers.matchers
    names = [rule.name for rule in rules]
    return labelled({r.name: r.value for r in rules if r.op == parser.MatchOp.Equal and names.count(r.name) == 1})


def _holds(rule: parser.Matcher, labels: Labels) -> bool:
    value = dict(labels).get(rule.name, "")
    if rule.op in (parser.MatchOp.Equal, parser.MatchOp.NotEqual):
        return (_same(rule.name, value, rule.value)) == (rule.op == parser.MatchOp.Equal)
    return (re2.fullmatch(rule.value, value) is not None) == (rule.op == parser.MatchOp.Re)


def _same(name: str, value: str, wanted: str) -> bool:
    """Whether a label has a value; the bound of a bucket is written as 1 or 1.0, as the client library likes it."""
    if name == "le" and value and wanted:
        try:
            return float(value) == float(wanted)
        except ValueError:
            return False
    return value == wanted


def _matching(modifier: parser.BinModifier | None) -> Matching:
    if modifier is None:
        return Matching()
    fill = modifier.fill_values
    if fill.lhs is not None or fill.rhs is not None:
        raise NotEvaluated("fill() of missing sides is not known here")
    many = ((parser.VectorMatchCardinality.ManyToOne, "left"), (parser.VectorMatchCardinality.OneToMany, "right"))
    on = modifier.matching is not None and modifier.matching.type == parser.LabelModifierType.Include
    return Matching(
        on,
        tuple(modifier.matching.labels) if modifier.matching is not None else (),
        next((side for card, side in many if modifier.card == card), ""),
        tuple(modifier.group_labels or ()),
        modifier.return_bool,
    )


def _offset(node: parser.VectorSelector | parser.SubqueryExpr) -> float:
    if node.at is not None:
        raise NotEvaluated("the modifier @ is not known here")
    return (node.offset or timedelta()).total_seconds()


def _alone(value: FloatArray) -> Vector:
    return Vector([()], value[None], np.ones((1, len(value)), bool))


def _text(node: parser.Expr) -> str:
    if not isinstance(node, parser.StringLiteral):
        raise NotEvaluated(f"{node.prettify()}: a text is expected")
    return node.val


def _kind(value: Value, kind: type[Kind], node: parser.Expr) -> Kind:
    if not isinstance(value, kind):
        raise NotEvaluated(f"{node.prettify()} is a {type(value).__name__}, and a {kind.__name__} is expected")
    return value
