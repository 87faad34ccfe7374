"""The judgement as bytes: saved with the data it has judged, restored to go on as if it had never stopped.

One archive of numpy arrays, Arrow tables and JSON; nothing in it is code. A state that another version, other settings or
other signals wrote is not restored: then everything is judged again from the turns.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from unquiet import __version__
from unquiet.counts import Event, RecentSessions
from unquiet.detectors import Watch
from unquiet.detectors.frozen import Frozen
from unquiet.intents import IntentModel, Outlook
from unquiet.model.history import History, Recorded
from unquiet.model.incidents import Incident, Onset, Sibling
from unquiet.model.settings import Settings
from unquiet.model.signals import SignalInfo
from unquiet.model.slices import FacetRole, Slice
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.mix_state import dump_mix, load_mix
from unquiet.pipeline.opening import Texts
from unquiet.pipeline.plan import Plan, watch_of
from unquiet.pipeline.word_state import word_arrays, words_from
from unquiet.signals.surprisal import ToolPaths
from unquiet.slices import Lattice, Newcomers, Strata

FORMAT = 5
TEXTS = ("session_id", "visit_id", "user")
NUMBERS = ("started_us", "tick_us", "stratum", "y", "member_session", "member_slice")
RATES = ("row_of", "events", "sessions", "slice_events", "slice_sessions", "slice_usual")
DAYS = ("past", "today", "older", "widened")
SPANS = ("learn", "idle")
FROZEN = ("slice_of", "rate", "bets", "margin", "share", "n", "x", "restarts")

Arrays = Mapping[str, np.ndarray[Any, Any]]


def mark(settings: Settings, infos: tuple[SignalInfo, ...]) -> str:
    """What a state depends on beside the turns: format, version, settings, signals."""
    signals = ",".join(f"{info.name}.{info.version}" for info in infos)
    return f"{FORMAT}|{__version__}|{settings!r}|{signals}"


def dump(judge: Judge) -> bytes | None:
    """The state of a judgement; None while it is still learning, which is done again in a moment."""
    if judge.plan is None or judge.watch is None or judge.words is None or judge.mix is None:
        return None
    recorded = judge.history.upto(2**62)
    texts = pa.table({name: pa.array(getattr(recorded, name), pa.string()) for name in TEXTS})
    arrays = {f"history.{name}": getattr(recorded, name) for name in NUMBERS}
    arrays |= {"moments": judge.moments, **_watch_arrays(judge.watch), **word_arrays(judge.words)}
    members = {
        "meta": orjson.dumps(_meta(judge, judge.plan, judge.watch)),
        "arrays": _npz(arrays),
        "history": _ipc(texts),
        "open_turns": _ipc(judge.assembler.open_turns),
        "requests": judge.plan.requests.to_bytes(),
        "outlook": judge.plan.outlook.to_bytes(),
        "mix": dump_mix(judge.mix),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            # Without the time of writing, which a name alone would get: the same state is the same bytes.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def load(data: bytes, settings: Settings, texts: Texts | None = None) -> Judge | None:
    """The judgement that `dump` saved; None if it depends on something that has changed since.

    One that was made with `texts` needs them again.
    """
    judge = Judge(settings, texts)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        meta = orjson.loads(archive.read("meta"))
        if meta["mark"] != mark(settings, judge.infos):
            return None
        arrays = dict(np.load(io.BytesIO(archive.read("arrays")), allow_pickle=False).items())
        names, open_turns = (pa.ipc.open_file(archive.read(name)).read_all() for name in ("history", "open_turns"))
        requests, mix = IntentModel.from_bytes(archive.read("requests")), archive.read("mix")
        outlook = Outlook.from_bytes(archive.read("outlook"))
    judge.assembler.open_turns = open_turns
    judge.crowd = RecentSessions(meta["crowd"])
    judge.moments = arrays["moments"]
    judge.history = History([_recorded(arrays, names)] if names.num_rows else [], meta["appended"])
    judge.words = words_from(arrays)
    for name in ("first_us", "day", "session_count", "turn_count", "failures"):
        setattr(judge, name, meta[name])
    judge.ledger.first_us, judge.ledger.counts = meta["ledger_first_us"], meta["ledger_counts"]
    # Earlier versions did not keep it.
    judge.ledger.last_us = meta.get("ledger_last_us", {})
    judge.plan = _plan(meta["plan"], requests, outlook)
    judge.watch = _watch(judge, judge.plan, arrays, meta)
    judge.incidents = tuple(_incident(each) for each in meta["incidents"])
    judge.mix = load_mix(mix, judge.history, judge.tables)
    return judge


def settings_of(data: bytes) -> Settings | None:
    """The settings that a saved judgement was made with; None where an earlier version did not keep them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        known = orjson.loads(archive.read("meta")).get("settings")
    if known is None:
        return None
    return Settings(**known | {name: timedelta(microseconds=known[name]) for name in SPANS})


def _settings(settings: Settings) -> dict[str, Any]:
    spans = {name: getattr(settings, name) // timedelta(microseconds=1) for name in SPANS}
    return asdict(settings) | spans


def _meta(judge: Judge, plan: Plan, watch: Watch) -> dict[str, Any]:
    return {
        "mark": mark(judge.settings, judge.infos),
        "settings": _settings(judge.settings),
        "first_us": judge.first_us,
        "day": judge.day,
        "appended": judge.history.appended,
        "session_count": judge.session_count,
        "turn_count": judge.turn_count,
        "failures": judge.failures,
        "crowd": judge.crowd.recent(),
        "ledger_first_us": judge.ledger.first_us,
        "ledger_last_us": judge.ledger.last_us,
        "ledger_counts": judge.ledger.counts,
        "watch_day": watch.days.day,
        "plan": {
            "roles": plan.roles,
            "slices": [where.conditions for where in plan.lattice.slices],
            "planned_count": plan.lattice.planned_count,
            "decided": sorted(plan.lattice.decided),
            "sizes": plan.lattice.sizes,
            "newcomers": plan.newcomers,
            "sliced": plan.sliced,
            "tool_paths": [[[*pair, count] for pair, count in fold.counts.items()] for fold in plan.tool_paths],
            "shared_users": sorted(plan.shared_users),
            "strata_facets": plan.strata.facets,
            "strata_rare": [sorted(values) for values in plan.strata.rare],
            "strata_names": plan.strata_names,
            "events": plan.events,
        },
        "incidents": judge.incidents,
    }


def _plan(meta: dict[str, Any], requests: IntentModel, outlook: Outlook) -> Plan:
    slices = tuple(_slice(conditions) for conditions in meta["slices"])
    events = tuple(
        Event(**each | {"by_stratum": tuple((name, value) for name, value in each["by_stratum"])})
        for each in meta["events"]
    )
    rare = tuple(frozenset(values) for values in meta["strata_rare"])
    roles = tuple(FacetRole(**role) for role in meta["roles"])
    strata = Strata(tuple(meta["strata_facets"]), rare)
    decided = frozenset((facet, value) for facet, value in meta["decided"])
    lattice = Lattice(slices, meta["planned_count"], decided, tuple(meta["sizes"]))
    newcomers = Newcomers(**meta["newcomers"])
    return Plan(
        roles,
        lattice,
        strata,
        events,
        requests,
        outlook,
        meta["strata_names"],
        newcomers,
        tuple(meta["sliced"]),
        tuple(ToolPaths({(first, second): n for first, second, n in fold}) for fold in meta["tool_paths"]),
        frozenset(meta["shared_users"]),
    )


def _watch(judge: Judge, plan: Plan, arrays: Arrays, meta: dict[str, Any]) -> Watch:
    watch = watch_of(plan, judge.tables, judge.settings)
    watch.restarts, watch.seen_us = arrays["restarts"], arrays["seen_us"]
    for part, names in (("rates", RATES), ("days", DAYS)):
        for name in names:
            setattr(getattr(watch, part), name, arrays[f"{part}.{name}"])
    watch.days.day = meta["watch_day"]
    if "frozen.rate" in arrays:
        frozen = Frozen.__new__(Frozen)
        for name in FROZEN:
            setattr(frozen, name, arrays[f"frozen.{name}"])
        watch.frozen = frozen
    return watch


def _watch_arrays(watch: Watch) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {"restarts": watch.restarts, "seen_us": watch.seen_us}
    arrays |= {f"rates.{name}": getattr(watch.rates, name) for name in RATES}
    arrays |= {f"days.{name}": getattr(watch.days, name) for name in DAYS}
    if watch.frozen is not None:
        arrays |= {f"frozen.{name}": getattr(watch.frozen, name) for name in FROZEN}
    return arrays


def _recorded(arrays: Arrays, texts: pa.Table) -> Recorded:
    strings = {name: np.array(texts.column(name).to_pylist(), object) for name in TEXTS}
    return Recorded(**strings, **{name: arrays[f"history.{name}"] for name in NUMBERS})


def _incident(meta: dict[str, Any]) -> Incident:
    siblings = tuple(Sibling(**each | {"slice": _slice(each["slice"]["conditions"])}) for each in meta["siblings"])
    made: dict[str, Any] = {
        "slice": _slice(meta["slice"]["conditions"]),
        "onset": Onset(**meta["onset"]),
        "siblings": siblings,
    }
    return Incident(**meta | made)


def _slice(conditions: list[list[str]]) -> Slice:
    return Slice(tuple((facet, value) for facet, value in conditions))


def _npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
