"""Their Prometheus alert rules, over the metrics that the replay would have produced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unquiet.app.watchers.watching import Heard, Record, Replay, Watch
from unquiet.promql import Exposition, microseconds, read_rules


class Rules:
    """Rings where an alert fires."""

    name = "Prometheus rules"
    says = (
        "your alert rules (--rules FILE), over what the replay would have counted, scraped once a minute; matchers on labels that "
        "turns do not have, such as job or instance, are taken to hold"
    )

    def over(self, record: Record) -> Watch | str:
        """The rules and the metrics of the record.

        Raises:
            ConfigError: a file cannot be read as rules.
        """
        files = record.kit.rules
        if not files:
            return "no rule files were named (--rules FILE)"
        read = {str(path): read_rules(path) for path in files}
        if not any(not rule.records for rules in read.values() for rule in rules):
            return "the rule files hold no alerts"
        # One Prometheus has the series of all files, and who keeps recording rules apart names both.
        made = dict.fromkeys(rule for rules in read.values() for rule in rules if rule.records)
        return _Exposed(
            {
                name: Exposition([*made, *alerts], record.turns)
                for name, rules in read.items()
                if (alerts := [rule for rule in rules if not rule.records])
            }
        )


@dataclass(frozen=True, slots=True)
class _Exposed:
    files: Mapping[str, Exposition]

    def heard(self, replay: Replay) -> Heard:
        told = [
            (path, name, moments)
            for path, each in self.files.items()
            for name, moments in each.firing(replay.turns, replay.start_us, replay.onset_us, replay.horizon_us).items()
        ]
        return {
            _called(path, name, told): each if isinstance(each, str) else microseconds(each)
            for path, name, each in told
        }


def _called(path: str, name: str, told: Sequence[tuple[str, str, object]]) -> str:
    """An alert by its name, with its file where two files have one of that name."""
    return name if sum(each[1] == name for each in told) == 1 else f"{name} ({path})"
