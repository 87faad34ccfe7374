"""When alert rules fire: rules in their order, each alert with its `for`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from unquiet.promql.evaluating import Evaluation, parsed
from unquiet.promql.rules import Rule
from unquiet.promql.values import BoolArray, FloatArray, IntArray, Labels, NotEvaluated, Samples, Vector, labelled

Firing = Mapping[str, FloatArray | str]
"""By alert: the moments, in seconds since 1970, at which it fires, or why it cannot be evaluated."""

DELAY_S = 30.0
"""Rules are asked so long after a scrape."""


def firing(
    rules: Sequence[Rule],
    series: Mapping[str, Samples],
    start_s: float,
    end_s: float,
    recordable: frozenset[str] | None = None,
) -> Firing:
    """When the alerts among rules fire from `start_s` to `end_s`; recording rules come before the rules that ask for their series.

    A recording rule is evaluated from `start_s` on too, so the alerts that look back on it need a start that is earlier by as
    much. Alerts of the same name are one. `recordable`: the labels that recorded series could have; matchers on others are taken
    to hold. None: there are no others.
    """
    known = dict(series)
    recorded: dict[str, Samples] = {}
    broken: dict[str, str] = {}
    found: dict[str, FloatArray | str] = {}
    for rule in rules:
        moments = np.arange(np.ceil(start_s / rule.interval_s), np.floor(end_s / rule.interval_s) + 1)
        moments = moments * rule.interval_s + DELAY_S
        moments = moments[moments <= end_s]
        try:
            value = _value(rule, Evaluation(known, moments), broken)
        except NotEvaluated as error:
            if rule.records:
                broken[rule.name] = str(error)
            else:
                found[rule.name] = str(error)
            continue
        if rule.records:
            made = _recorded(rule, moments, value, recorded.get(rule.name))
            recorded[rule.name] = known[rule.name] = replace(made, knows=recordable)
        else:
            before = found.get(rule.name)
            fires = moments[held(value.present, moments, rule.for_s).any(axis=0)]
            if not isinstance(before, str):
                found[rule.name] = fires if before is None else np.union1d(before, fires)
    return found


def held(present: BoolArray, moments_s: FloatArray, for_s: float) -> BoolArray:
    """Where series (S, T) have been present for `for_s` seconds without a gap."""
    place = np.arange(present.shape[1])
    began = np.maximum.accumulate(np.where(present, 0, place + 1), axis=1)
    began = np.minimum(began, len(moments_s) - 1) if len(moments_s) else began
    return present & (moments_s - moments_s[began] >= for_s) if len(moments_s) else present


def _value(rule: Rule, evaluation: Evaluation, broken: Mapping[str, str]) -> Vector:
    node = parsed(rule.expr)
    for name, why in broken.items():
        if name not in evaluation.series and name in rule.expr:
            raise NotEvaluated(f"{name}: its recording rule cannot be evaluated: {why}")
    value = evaluation.of(node)
    if isinstance(value, str):
        raise NotEvaluated(f"{rule.expr}: a text is no value of a rule")
    if not isinstance(value, Vector):
        if not rule.records:
            raise NotEvaluated(f"{rule.expr}: a number is no alert")
        return Vector([()], value[None], np.ones((1, len(value)), bool))
    return value


def _recorded(rule: Rule, moments_s: FloatArray, value: Vector, before: Samples | None) -> Samples:
    """The series of a recording rule, beside those that rules of the same name made before."""
    labels: list[Labels] = [labelled({**dict(each), **dict(rule.labels)}) for each in value.labels]
    made = value.under(labels)
    if before is None or len(before.at_s) != len(moments_s):
        return Samples(moments_s, made.labels, made.values, made.present)
    joined = Vector(
        [*before.labels, *made.labels],
        np.concatenate([before.values, made.values]),
        np.concatenate([before.present, made.present]),
    )
    joined = joined.under(list(joined.labels))
    return Samples(moments_s, joined.labels, joined.values, joined.present)


def microseconds(moments_s: FloatArray) -> IntArray:
    """Moments in microseconds since 1970."""
    return np.round(moments_s * 1e6).astype(np.int64)
