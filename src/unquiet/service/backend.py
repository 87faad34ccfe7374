"""What the web asks the service: reads from what the loop published, deeds under the store's lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unquiet import __version__
from unquiet.app.adding import add_records
from unquiet.app.eval_runs import eval_runs, read_document
from unquiet.app.forgetting import forget, known_as
from unquiet.app.handling import handle
from unquiet.app.incident_facts import KeptFacts
from unquiet.app.ledgers import listed
from unquiet.app.marks import mark
from unquiet.app.voiced import overview, with_voices
from unquiet.app.voicing import add_rows
from unquiet.model.changes import Change
from unquiet.model.conditions import Condition
from unquiet.model.handling import Action, Verb
from unquiet.model.privacy import PrivacySettings
from unquiet.report import Facts
from unquiet.service.alerting import Alerting
from unquiet.service.door_keeper import DoorKeeper
from unquiet.service.door_process import LOG
from unquiet.service.engine import Engine
from unquiet.service.mind import Mind, NotReady, changes_of
from unquiet.service.putting_aside import BODIES, TRACES, TURNS
from unquiet.service.voices import table_of
from unquiet.service.watching import Watching, disk_of, memory_bytes
from unquiet.sources.evals import read_content
from unquiet.web.numbers import Numbers

LOG_ROWS = 500
MOST_TURNS = 1000
AT_THE_DOOR = "refused by a door"


@dataclass(slots=True)
class ServiceBackend:
    """Implements `web.backend.Backend`."""

    mind: Mind
    doors: DoorKeeper
    watching: Watching
    alerting: Alerting
    folder: Path
    budget: float
    clock_us: Callable[[], int]
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    known: KeptFacts = field(default_factory=KeptFacts)

    def looking(self) -> AbstractContextManager[None]:
        """The folder is open all the time."""
        return nullcontext()

    def heartbeat_us(self) -> int | None:
        """When the loop went round last."""
        return self.mind.pulse.round_us

    def conditions(self) -> Sequence[Condition]:
        """As of the last look."""
        return self.watching.found

    def status(self) -> Mapping[str, Any]:
        """The folder's status with that of the service."""
        pulse = self.mind.pulse
        return {
            "open_incidents": [],
            **pulse.status,
            "service": {
                "version": __version__,
                "started": _iso(pulse.started_us),
                "last_round": _iso(pulse.round_us),
                "now": _iso(self.clock_us()),
                "doing": pulse.doing,
                "error": pulse.error or None,
                "counts": dict(pulse.counts),
                "undrained_bytes": self.watching.facts.undrained_bytes,
                "doors": dict(self.doors.said) | {"starts": self.doors.starts, "error": self.doors.error or None},
                "conditions": [asdict(each) for each in self.watching.found],
            },
        }

    def incidents(self, status: str | None) -> Sequence[Mapping[str, Any]]:
        """As they were published last."""
        return [each for each in self.mind.pulse.documents if status is None or each["status"] == status]

    def incident(self, incident_id: str) -> Mapping[str, Any] | None:
        """As it was published last, with its voices as they are now."""
        found = next((each for each in self.mind.pulse.documents if each["id"] == incident_id), None)
        if found is None:
            return None
        with self.mind.store() as store:
            return with_voices(store, found)

    def facts(self, incident_id: str) -> Facts | None:
        """From the folder; the incident as it was published last."""
        found = next((each for each in self.mind.pulse.documents if each["id"] == incident_id), None)
        if found is None:
            return None
        with self.mind.store() as store:
            return self.known.of(store, found)

    def gap(self) -> Mapping[str, Any] | None:
        """From the folder."""
        with self.mind.store() as store:
            return self.known.gap(store, self.mind.pulse.documents)

    def unable(self) -> Mapping[Verb, str]:
        """A service can do everything."""
        return {}

    def turns(self, session_id: str) -> Sequence[Mapping[str, Any]]:
        """From the folder, moments as texts."""
        with self.mind.store() as store:
            rows = store.turns_of_sessions([session_id], limit=MOST_TURNS).to_pylist()
        return [{**row, "time": row["time"].isoformat(), "facets": dict(row["facets"] or ())} for row in rows]

    def handle(self, incident_id: str, action: Action) -> Mapping[str, Any]:
        """Do it under the lock. Accepting an incident begins a new baseline epoch in its streams."""
        now_us = self.clock_us()
        with self.mind.store() as store:
            if action.verb == "accept":
                document = self._engine().accept(incident_id, lambda: handle(store, incident_id, action, now_us))
            else:
                document = handle(store, incident_id, action, now_us)
            self.mind.publish()
        return document

    def _engine(self) -> Engine:
        engine = self.mind.engine
        if engine is None:
            raise NotReady("the folder is being opened. Ask again in a while.")
        return engine

    def mark(self, change: Change) -> None:
        """Remember it durably."""
        with self.mind.store() as store:
            mark(store, [change])

    def changes(self) -> Sequence[Change]:
        """All announced changes."""
        with self.mind.store() as store:
            return changes_of(store, self.mind.files)

    def ledger(self) -> Mapping[str, Any]:
        """As the judgement kept it last."""
        with self.mind.store() as store:
            known = listed(store, changes_of(store, self.mind.files))
        seen = [each for each in known["changes"] if not each["announced"]]
        return {"seen": seen, "kinds": known["kinds"], "sightings": known["sightings"]}

    def evals(self) -> Mapping[str, Any]:
        """From the folder."""
        with self.mind.store() as store:
            return eval_runs(store)

    def add_evals(self, name: str, content: bytes) -> Mapping[str, Any]:
        """Read it beside the loop, keep it under the lock."""
        reads = read_content(name, content, self.clock_us())
        with self.mind.store() as store:
            added = add_records(store, store.evals, reads)
            files = [read_document(path, report) for path, report in added.reports]
            return eval_runs(store) | {"added": added.new, "files": files}

    def voices(self) -> Mapping[str, Any]:
        """As they are kept."""
        with self.mind.store() as store:
            return overview(store)

    def add_voices(self, voices: Sequence[Mapping[str, Any]], *, more: bool) -> Mapping[str, int]:
        """Made unreadable as traffic is, kept, and joined."""
        with self.mind.store() as store:
            return add_rows(store, self.folder, table_of(voices), self.privacy, more=more)

    def forget(self, user: str | None, session: str | None) -> Mapping[str, int]:
        """Delete everywhere: doors closed, log drained, folder rewritten, doors open again. Senders try again meanwhile."""
        with self.mind.store() as store:
            engine = self._engine()
            self.doors.stop()
            try:
                with engine.changing():
                    engine.settle(self.clock_us())
                    forgotten = forget(
                        store,
                        known_as(self.folder, {session}) if session else set(),
                        known_as(self.folder, {user}) if user else set(),
                        judges=(engine.follower.judge,),
                        files=[path for path in sorted((self.folder / LOG).rglob("*")) if path.is_file()],
                    )
                    engine.follower.forget()
                    engine.changed_by_hand()
            finally:
                self.doors.reopen()
            self.mind.publish()
        return {name: value for name, value in asdict(forgotten).items() if isinstance(value, int)}

    def alerts_test(self) -> Sequence[Mapping[str, Any]]:
        """Send to every sink now."""
        found = self.alerting.test()
        return [{"sink": name, "delivered": good, "error": None if good else why} for name, good, why in found]

    def alert_log(self) -> Sequence[Mapping[str, Any]]:
        """What was sent, waits or failed."""
        with self.mind.store() as store:
            return [_entry(asdict(each)) for each in store.outbox.log(LOG_ROWS)]

    def numbers(self) -> Numbers:
        """Figures of now, without waiting for the loop."""
        pulse, said = self.mind.pulse, self.doors.said
        counts = pulse.counts
        engine = self.mind.engine
        judge = engine.follower.judge if engine is not None else None
        facts = self.watching.facts
        sinks = facts.sinks or {}
        rejected = {(kind, AT_THE_DOOR): count for kind, count in said.get("rejected", {}).items()}
        return Numbers(
            version=__version__,
            started_us=pulse.started_us,
            spans_accepted=dict(said.get("accepted", {})),
            spans_rejected=rejected | _drain_rejections(counts),
            bodies={_door_status(name): count for name, count in said.get("bodies", {}).items()},
            duplicates=counts.get("duplicate spans", 0) + counts.get("duplicate turns", 0),
            late_spans=counts.get("late spans", 0) + counts.get("late turns", 0),
            turns=counts.get("turns", 0),
            unreadable={name.removeprefix("unreadable "): counts.get(name, 0) for name in (BODIES, TRACES, TURNS)},
            sessions_open=judge.assembler.open_count if judge is not None else None,
            sessions_closed=judge.session_count if judge is not None else None,
            undrained_bytes=facts.undrained_bytes,
            drain_lag_s=facts.undrained_s,
            last_arrival_us=dict(said.get("last_arrival_us", {})),
            ticks=pulse.ticks,
            last_tick_us=engine.follower.watermark_us if engine is not None else None,
            tick_s=pulse.tick_s,
            streams=pulse.sums.get("streams"),
            budget=self.budget,
            incidents=dict(Counter(str(each["status"]) for each in pulse.documents)),
            alerts_sent={name: each.sent for name, each in sinks.items()},
            alerts_failed={name: each.failed for name, each in sinks.items()},
            alerts_pending={name: each.pending for name, each in sinks.items()},
            disk_free_bytes=disk_of(self.folder)[0],
            folder_bytes=pulse.sums.get("folder_bytes"),
            memory_bytes=memory_bytes(self.doors.pid),
            signal_failures=dict(judge.failures) if judge is not None else {},
        )


def _drain_rejections(counts: Mapping[str, int]) -> dict[tuple[str, str], int]:
    prefix = "rejected turns: "
    return {("turns", name.removeprefix(prefix)): n for name, n in counts.items() if name.startswith(prefix)}


def _door_status(name: str) -> tuple[str, int]:
    door, _, status = name.rpartition(" ")
    return door, int(status)


STATES = {"delivered": "sent", "pending": "pending", "given up": "failed", "no sink": "failed"}


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: row[name] for name in ("id", "key", "sink", "phase", "attempts")}
    return {**said, "state": STATES[row["state"]], "at": _iso(row["put_us"]), "error": row["why"] or None}


def _iso(us: int | None) -> str | None:
    return None if us is None else datetime.fromtimestamp(us / 1e6, UTC).isoformat().replace("+00:00", "Z")
