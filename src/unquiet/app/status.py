"""What a folder holds and what is known of it: read, judged, visible, open. What is not known is None, never "fine"."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from unquiet.app.handling import shown
from unquiet.app.judging import conditions
from unquiet.app.label_report import label_reports
from unquiet.app.nightly import last_night
from unquiet.store import SourceRow, Store

OPEN = ("open", "reopened")
UNKNOWN = "unknown: no scan has come to its end in this folder; run the same scan again"


def status(store: Store, folder: Path, now: datetime) -> dict[str, object]:
    """The status of a folder at the moment `now`; `coverage` is that of the last scan that came to its end.

    `judged` is None where no scan has come to its end, False where nothing could be judged; `unjudged_turns` counts those
    that came since. Incidents that somebody acknowledged, muted or accepted are not open.
    `drills` is the last scorecard of a night, None where there is none.
    """
    extent, coverage = store.turn_extent(), store.get_setting("coverage")
    known: dict[str, object] = coverage if isinstance(coverage, dict) else {}
    seen = store.get_setting("scanned_turns")
    incidents = shown(store.incidents(), store, round(now.timestamp() * 1e6))
    return {
        "folder": str(folder),
        "turns": extent.count,
        "first": extent.first.isoformat() if extent.first else None,
        "last": extent.last.isoformat() if extent.last else None,
        "data_age_days": round((now - extent.last) / timedelta(days=1), 3) if extent.last else None,
        "files": [_file(source) for source in store.files.all()],
        "judged": "not_judged" not in known if known else None,
        "unjudged_turns": extent.count - seen if isinstance(seen, int) else None,
        "open_incidents": [str(d["id"]) for d in incidents if d["status"] in OPEN],
        "coverage": coverage or UNKNOWN,
        "labels": label_reports(store),
        "judges": conditions(store),
        "drills": last_night(store),
    }


def _file(source: SourceRow) -> dict[str, object]:
    return {
        "path": source.path,
        "rows": source.rows,
        "turns": source.turns,
        "rejected": dict(source.rejected),
        "notes": list(source.notes),
    }
