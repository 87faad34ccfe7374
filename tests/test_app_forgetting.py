"""Forgetting: everything of a person leaves the folder, byte for byte; what was counted stays, and so does everybody else."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from store_samples import FOREVER
from test_pipeline_judging import traffic
from unquiet.app.forgetting import forget, known_as
from unquiet.app.replaying import REACHED, STATE
from unquiet.app.scanning import scan
from unquiet.app.unnaming import without
from unquiet.cli.commands import unquiet
from unquiet.model.errors import ConfigError, StoreError
from unquiet.model.labels import Label
from unquiet.model.rejections import Rejection
from unquiet.model.settings import Settings
from unquiet.pipeline.forgetting import forget as forget_in
from unquiet.pipeline.judging import Judge
from unquiet.pipeline.saving import dump, load, settings_of
from unquiet.privacy import KEY_FILE, UserHasher, folder_key
from unquiet.store import SourceRow, Store

SETTINGS = Settings(learn=timedelta(days=5))
USER, WORD, SECRET = "hildegard-4711", "Knefwort", "Sonderwunsch"
SESSION_IDS = ("of-hildegard-a", "of-hildegard-b", "of-hildegard-open", "of-hildegard-early")


def with_person(turns: pa.Table) -> pa.Table:
    """Traffic in which one person has four sessions: one learned from, one judged, one in an incident, one still open."""
    rows = turns.to_pylist()
    last = rows[-1]["time"]
    early, middle = (next(row for row in rows if row["time"] >= rows[0]["time"] + timedelta(days=d)) for d in (1, 11))
    own = [
        (SESSION_IDS[3], early["time"], early),
        (SESSION_IDS[0], middle["time"], middle),
        (SESSION_IDS[1], middle["time"] + timedelta(hours=1), middle),
        (SESSION_IDS[2], last - timedelta(minutes=3), middle),
    ]
    for number, (session, at, like) in enumerate(own):
        rows.append(
            like
            | {
                "turn_id": f"{session}#0",
                "session_id": session,
                "time": at + timedelta(microseconds=number + 1),
                "user_id": USER,
                "input": f"{WORD} {SECRET} refund my refund please",
                "output": f"I'm sorry, {WORD}, but I can't help with that request.",
                "facets": [("intent", "refund"), ("plan", "paid"), ("contract", f"only-{WORD}")],
            }
        )
    # The same session goes on with a turn whose user is not known.
    rows.append(rows[-2] | {"turn_id": f"{SESSION_IDS[1]}#1", "user_id": None, "turn_index": 1})
    rows.sort(key=lambda row: (row["time"], row["turn_id"]))
    return pa.Table.from_pylist(rows, schema=turns.schema)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after a scan that found an incident."""
    place = tmp_path_factory.mktemp("scanned")
    turns = with_person(traffic(1, 13, 9.5, 90))
    pq.write_table(turns, place / "traffic.parquet")
    result = scan(
        [str(place / "traffic.parquet")], place / "db", SETTINGS, mapping={}, changes=[], progress=lambda *_: None
    )
    assert result.document["incidents"]
    return place


@pytest.fixture
def folder(scanned: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(scanned / "db", tmp_path / "db")
    return tmp_path / "db"


def unpacked(data: bytes) -> bytes:
    """What is in a file, archives within archives and compressed columns opened."""
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return b"".join(unpacked(archive.read(name)) for name in archive.namelist())
    if data[:4] == b"PAR1":
        return orjson.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), default=str)
    return data


def holds(folder: Path, *words: str) -> list[str]:
    """The files of a folder, and states of its database, that hold a word: raw, or unpacked."""
    found: list[str] = []
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with Store.open(folder) as store:
        contents |= {name: store.load_state(name) or b"" for name in (STATE, REACHED)}
    for name, data in contents.items():
        for text in (data, unpacked(data)):
            found += [f"{word} in {name}" for word in words if word.lower().encode() in text.lower()]
    return sorted(set(found))


def counts_of(folder: Path) -> pa.Table:
    with Store.open(folder) as store:
        return store.counts_between(*FOREVER)


def test_nothing_of_a_person_is_left(folder: Path) -> None:
    words = (USER, WORD, SECRET, *SESSION_IDS)
    assert {name.split(" in ")[1].split("/")[0] for name in holds(folder, *words)} >= {"turns", "sessions", STATE}
    counted = counts_of(folder)
    with Store.open(folder) as store:
        before = store.turn_extent().count
        named = [d for d in store.incidents() if set(SESSION_IDS) & set(d["session_ids"])]
        assert named, "the person is in an incident"
        done = forget(store, known_as(folder, ()), known_as(folder, [USER]))
        assert (done.turns, done.sessions) == (5, 3)
        assert done.incidents_edited == len(named)
        assert done.left_in == ()
        assert store.turn_extent().count == before - 5
        for document in named:
            edited = store.incident(document["id"])
            assert edited is not None
            assert edited["session_ids"] == [each for each in document["session_ids"] if each not in SESSION_IDS]
            assert {k: v for k, v in edited.items() if k not in ("session_ids", "evidence", "answers")} == {
                k: v for k, v in document.items() if k not in ("session_ids", "evidence", "answers")
            }
    assert holds(folder, *words) == []
    assert counts_of(folder).equals(counted)


def test_a_scan_goes_on_where_it_was(scanned: Path, folder: Path) -> None:
    """The judgement is not made anew: the same incidents, the same numbers, without the person."""
    with Store.open(folder) as store:
        before = {d["id"]: d for d in store.incidents()}
        assert forget(store, [], [USER]).turns == 5
        state = store.load_state(STATE)
    result = scan(
        [str(scanned / "traffic.parquet")], folder, SETTINGS, mapping={}, changes=[], progress=lambda *_: None
    )
    with Store.open(folder) as store:
        assert store.load_state(STATE) == state, "nothing was judged again"
        assert store.get_setting("scanned_turns") == store.turn_extent().count
        after = {d["id"]: d for d in store.incidents()}
    assert after.keys() == before.keys()
    for name, document in after.items():
        for part in ("raised_at", "onset", "before", "after", "excess_sessions", "title", "status"):
            assert document[part] == before[name][part]
        assert "" not in document["session_ids"]
        assert not {"", *SESSION_IDS} & {*document["evidence"]["before"], *document["evidence"]["after"]}
    assert result.document["incidents"]
    assert holds(folder, USER, WORD, *SESSION_IDS) == []


def test_a_retried_export_is_not_stored_anew(scanned: Path, folder: Path) -> None:
    turns = pq.read_table(scanned / "traffic.parquet")
    with Store.open(folder) as store:
        forget(store, [], [USER])
        assert store.append_turns(turns).new == 0


def test_one_session_only(folder: Path) -> None:
    with Store.open(folder) as store:
        done = forget(store, [SESSION_IDS[0]], [])
        assert (done.turns, done.sessions) == (1, 1)
        left = store.turns_of_sessions(SESSION_IDS, columns=["session_id"]).column("session_id").unique().to_pylist()
        assert sorted(left) == sorted(set(SESSION_IDS) - {SESSION_IDS[0]})
        assert forget(store, [SESSION_IDS[0]], []).turns == 0, "again there is nothing to do"
    assert holds(folder, SESSION_IDS[0]) == []
    assert holds(folder, SESSION_IDS[1]) != []


def test_sessions_that_others_share_stay_theirs(folder: Path) -> None:
    with Store.open(folder) as store:
        (row,) = store.turns_of_sessions([SESSION_IDS[0]]).to_pylist()
        other = row | {"turn_id": "other", "user_id": "somebody else", "input": "mine"}
        unknown = row | {"turn_id": "unknown", "user_id": None, "input": "whose?"}
        store.append_turns(pa.Table.from_pylist([other, unknown], schema=store.turns_of_sessions([]).schema))
        assert forget(store, [], [USER]).turns == 5
        kept = store.turns_of_sessions([SESSION_IDS[0]], columns=["turn_id"]).column("turn_id").to_pylist()
        assert sorted(kept) == ["other", "unknown"]


def test_labels_notes_and_settings(folder: Path) -> None:
    with Store.open(folder) as store:
        turns = store.turns_of_sessions([*SESSION_IDS, "s3"], columns=["turn_id", "session_id", "time"]).to_pylist()
        store.labels.put(
            [
                Label(
                    t["turn_id"], t["session_id"], "refusal", 1, 0.9, "x", (), "yes", "me", t["time"], "all", "x", None
                )
                for t in turns
            ]
        )
        store.files.add(
            SourceRow("f", "p", 1, 1, {"bad": 1}, [Rejection("p:3", f"user {USER} has no time")], [f"of {USER}"])
        )
        store.put_setting("coverage", {"shared_users": f"taken as unknown: {USER}, bot", "x": [USER, "bot"], "n": 3})
        assert forget(store, [], [USER]).labels == 5
        assert [label.session_id for label in store.labels.of_signal("refusal")] == ["s3"]
        assert store.get_setting("coverage") == {
            "shared_users": "taken as unknown: (forgotten), bot",
            "x": ["bot"],
            "n": 3,
        }
        source = store.files.known("f")
        assert source is not None
        assert source.examples == [Rejection("p:3", "user (forgotten) has no time")]
    assert holds(folder, USER, *SESSION_IDS) == []


def test_slices_named_after_a_person(folder: Path) -> None:
    """Where a facet has an id as its value, the counts stay under another name."""
    before = counts_of(folder)
    with Store.open(folder) as store:
        assert "plan=paid" in before.column("slice").to_pylist()
        forget(store, [], ["paid"])
    after = counts_of(folder)
    assert "plan=paid" not in after.column("slice").to_pylist()
    assert "plan=(forgotten)" in after.column("slice").to_pylist()
    assert after.column("n").to_numpy().sum() == before.column("n").to_numpy().sum()


def test_ids_are_looked_up_hashed_too(folder: Path) -> None:
    key = folder_key(folder, random=lambda n: b"k" * n)
    hashed = UserHasher(key)(USER)
    assert known_as(folder, [USER]) == {USER, hashed}
    with Store.open(folder) as store:
        (row,) = store.turns_of_sessions([SESSION_IDS[0]]).to_pylist()
        more = row | {"turn_id": "hashed", "session_id": "later", "user_id": hashed}
        store.append_turns(pa.Table.from_pylist([more], schema=store.turns_of_sessions([]).schema))
        assert forget(store, [], known_as(folder, [USER])).turns == 6
    assert (folder / KEY_FILE).exists()
    assert holds(folder, hashed, "later", WORD) == []


def test_states_that_nobody_here_can_read_are_told(folder: Path) -> None:
    with Store.open(folder) as store:
        store.save_state("of a service", b"\x00\x01" + USER.encode())
        store.save_state("as JSON", orjson.dumps({"open": [USER, "x"]}))
        assert forget(store, [], [USER]).left_in == ("of a service",)
        assert orjson.loads(store.load_state("as JSON") or b"") == {"open": ["x"]}


def test_a_judgement_of_other_settings_is_dropped(folder: Path) -> None:
    """What cannot be restored cannot be edited: it would be made anew anyway."""
    with Store.open(folder) as store:
        state = store.load_state(STATE) or b""
        members = {}
        with zipfile.ZipFile(io.BytesIO(state)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["meta"] = members["meta"].replace(b'"mark":"', b'"mark":"old ')
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        store.save_state(STATE, buffer.getvalue())
        forget(store, [], [USER])
        assert store.load_state(STATE) is None
        assert store.load_state(REACHED) is None
    assert holds(folder, USER, WORD) == []


def test_files_of_the_log_go(folder: Path) -> None:
    path = folder / "wal" / "quarantine" / "1.bad"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" + USER.encode())
    with Store.open(folder) as store:
        assert forget(store, [], [USER], files=[path, path.with_name("gone")]).files_removed == 2
    assert not path.exists()


def test_the_judgement_in_memory_forgets_too(folder: Path) -> None:
    with Store.open(folder) as store:
        data = store.load_state(STATE) or b""
        (judge, before) = (load(data, SETTINGS) for _ in range(2))
        assert judge is not None
        assert before is not None
        forget(store, [], [USER], judges=[judge])
        saved = store.load_state(STATE)
    words = (USER, WORD, *SESSION_IDS)
    assert [word for word in words if word.lower().encode() in unpacked(data).lower()] == list(words)
    kept = dump(judge) or b""
    assert [word for word in (*words, SECRET) if word.lower().encode() in unpacked(kept).lower()] == []
    assert saved == kept, "in memory and saved it is the same"
    assert settings_of(kept) == SETTINGS
    one, two = before.history.upto(2**62), judge.history.upto(2**62)
    assert np.array_equal(one.y, two.y)
    assert len(one) == len(two)
    assert (judge.session_count, judge.turn_count) == (before.session_count, before.turn_count)
    assert judge.assembler.open_turns.num_rows == before.assembler.open_turns.num_rows - 1


def test_sessions_that_are_learned_from_are_taken_back() -> None:
    """Before the end of the learning period nothing is counted: it is as if they had never been there."""
    turns = with_person(traffic(1, 13, 9.5, 90))
    at = turns.column("time").cast(pa.int64()).to_numpy()
    early = turns.slice(0, int(np.searchsorted(at, at[0] + 3 * 86_400_000_000)))
    there, never = Judge(SETTINGS), Judge(SETTINGS)
    other = early.filter(pa.array([session not in SESSION_IDS for session in early.column("session_id").to_pylist()]))
    for judge, rows in ((there, early), (never, other)):
        judge.push(rows, int(early.column("time").cast(pa.int64())[-1].as_py()))
    assert there.plan is None
    assert there.session_count == never.session_count + 1
    forget_in(there, set(), {USER})
    assert (there.session_count, there.turn_count) == (never.session_count, never.turn_count)
    ids = [
        [each for part in judge.waiting for each in part.visits.column("session_id").to_pylist()]
        for judge in (there, never)
    ]
    assert ids[0] == ids[1]


def test_documents_without_ids() -> None:
    document = {
        "id": "x", "status": "x", "title": "for x-1 and x since", "evidence": {"before": ["a", "x", "b"], "after": ["c", "d", "x"]},
        "uneven": {"before": [], "after": ["x", "d"]}, "slice": {"user": "x"}, "n": 3, "note": None, "empty": "",
    }  # fmt: skip
    edited = without(document, ["x"])
    assert edited["evidence"] == {"before": ["a"], "after": ["c"]}
    assert edited["uneven"] == {"before": [], "after": ["d"]}
    assert edited["slice"] == {"user": "(forgotten)"}
    assert (edited["id"], edited["status"], edited["empty"]) == ("x", "x", "")
    assert edited["title"] == "for (forgotten)-1 and (forgotten) since"
    assert without(document, ["y", "", "3"]) is document
    assert without({"t": "7 of 123456"}, ["7", "123456"]) == {"t": "7 of (forgotten)"}


def test_the_command(folder: Path) -> None:
    run = CliRunner()
    asked = run.invoke(unquiet, ["forget", "--user", USER, "--db", str(folder)], input="n\n")
    assert asked.exit_code == 1
    assert "5 turns and 3 closed sessions" in asked.output
    assert holds(folder, WORD) != []
    done = run.invoke(unquiet, ["forget", "--user", USER, "--yes", "--db", str(folder)])
    assert done.exit_code == 0, done.output
    assert "removed 5 turns, 3 closed sessions" in done.output
    assert holds(folder, USER, WORD, *SESSION_IDS) == []
    for wrong in (["forget"], ["forget", "--user", ""]):
        with pytest.raises(ConfigError, match="--user ID"):
            run.invoke(unquiet, [*wrong, "--db", str(folder)], catch_exceptions=False)


def test_the_command_and_the_log(folder: Path) -> None:
    log = folder / "wal"
    (log / "quarantine").mkdir(parents=True)
    bad, other = log / "quarantine" / "1.bad", log / "quarantine" / "2.bad"
    bad.write_bytes(b"x" + USER.encode())
    other.write_bytes(b"x")
    (log / "000000000001.wal").write_bytes(b"head" + USER.encode())
    run = CliRunner()
    arguments = ["forget", "--user", USER, "--yes", "--db", str(folder)]
    with pytest.raises(StoreError, match="not in the folder yet"):
        run.invoke(unquiet, arguments, catch_exceptions=False)
    (log / "000000000001.wal").unlink()
    assert run.invoke(unquiet, arguments).exit_code == 0
    assert not bad.exists()
    assert not other.exists(), "what cannot be read cannot be searched"
