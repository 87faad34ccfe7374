"""`unquiet drill --fire`: a test incident through the receivers of the configuration, until each has it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from unquiet.app.rehearsing import failure_of
from unquiet.cli.serving import base_of, config_option, loaded
from unquiet.cli.showing import Output, printing
from unquiet.drills import PRESETS
from unquiet.model.drills import Preset
from unquiet.model.errors import ConfigError
from unquiet.service.delivery import send_test
from unquiet.service.firing import SEVERITY, drill_notice
from unquiet.service.sections import SEVERITIES

C = TypeVar("C", bound=Callable[..., Any])

USUAL = "refusals"
"""The drill that is told where none is named."""

NOT_DELIVERED = 2

_FIRE = click.option(
    "--fire",
    "is_fire",
    is_flag=True,
    help="Rehearse nothing: send a marked test incident to the receivers of the configuration, and measure until each has it.",
)


def fire_options(command: C) -> C:
    """The options of a drill of the alerts."""
    return _FIRE(config_option(command))


def fire(presets: Sequence[Preset], config_path: Path | None) -> int:
    """Send it, once to every receiver that an incident would reach; the exit code, NOT_DELIVERED too where it would reach none.

    Raises:
        ConfigError: more than one drill is named, or no receiver is configured.
    """
    from unquiet.service.running import make_sinks

    if len(presets) > 1:
        raise ConfigError("--fire sends one test incident: name one drill with --preset, or none.")
    preset = presets[0] if presets else next(each for each in PRESETS if each.name == USUAL)
    failure = failure_of(preset)
    path, config = loaded(config_path, None)
    sinks = make_sinks(config, os.environ, base_of(path))
    if not sinks:
        raise ConfigError("no receiver is configured: add [alerts.NAME] with a kind to unquiet.toml.")
    reached = [sink for sink, least in sinks if SEVERITIES.index(least) <= SEVERITIES.index(SEVERITY)]
    signal = failure.signals[0] if failure.signals else failure.name
    found = send_test(reached, lambda: time.time_ns() // 1000, drill_notice(preset, failure.says, signal))
    told = {name: (delivered, text) for name, delivered, text in found}
    with printing():
        for sink, least in sinks:
            _, text = told.get(sink.name, (True, f"not sent: no incident goes there, it takes {least} only"))
            Output().print(f"{sink.name}: {text}", soft_wrap=True, highlight=False)
        if not reached:
            Output().print(
                f"nobody would hear of an incident: it is {SEVERITY}, and every receiver takes more severe ones only. Lower a "
                "`min_severity` in unquiet.toml.",
                soft_wrap=True,
                highlight=False,
            )
    return 0 if reached and all(delivered for delivered, _ in told.values()) else NOT_DELIVERED
