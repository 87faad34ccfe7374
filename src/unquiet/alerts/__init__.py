"""Where alerts go: a folder a sink. `make_sink` is the way in, `BUILT_IN` what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from unquiet.alerts import alertmanager, email, github, pagerduty, slack, webhook
from unquiet.alerts.kinds import RepeatingSink, SinkKind, added_kind, added_kinds
from unquiet.alerts.options import Options
from unquiet.alerts.secret_values import secret_reader
from unquiet.model.alerts import AlertSink
from unquiet.model.errors import ConfigError

__all__ = ["BUILT_IN", "Options", "RepeatingSink", "SinkKind", "kind_names", "make_sink", "secret_reader"]

BUILT_IN: tuple[SinkKind, ...] = (
    webhook.KIND,
    slack.KIND,
    pagerduty.KIND,
    alertmanager.KIND,
    email.KIND,
    github.KIND,
)


def kind_names() -> list[str]:
    """The names of all kinds of sink: the built-in ones, then those that installed packages add."""
    own = [kind.kind for kind in BUILT_IN]
    return [*own, *(name for name in added_kinds() if name not in own)]


def make_sink(kind: str, name: str, options: Mapping[str, object], secrets: Callable[[str], str]) -> AlertSink:
    """A sink from its configuration.

    Args:
        kind: what it is, one of `kind_names()`.
        name: what it is called; unique among the sinks.
        options: the options of its kind. A secret is `{"env": "NAME"}` or `{"file": "path"}`.
        secrets: gives the secret behind `env:NAME` or `file:PATH`, or raises ConfigError; see `secret_reader`.

    Raises:
        ConfigError: the kind is unknown, or options are wrong; the text lists all that is wrong.
    """
    found = next((each for each in BUILT_IN if each.kind == kind), None) or added_kind(kind)
    if found is None:
        raise ConfigError(f"alert sink {name!r}: no kind {kind!r}, expected one of {', '.join(kind_names())}")
    read = Options(kind, name, options, secrets)
    sink = found.make(read)
    read.check()
    return sink
