"""`unquiet label` as a person meets it: one turn after the other, kept at once, taken back, continued, reported."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from label_worlds import HELPED, REFUSED, fill, turn
from unquiet import signals
from unquiet.cli import labelling as page
from unquiet.cli import unquiet
from unquiet.model.errors import UnquietError
from unquiet.model.labels import Label
from unquiet.stats.detectable import turns_to_detect
from unquiet.store import Store

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "db", [turn(number) for number in range(600)])


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command on the folder with typed lines."""
    monkeypatch.delenv("UNQUIET_DB", raising=False)

    def invoke(*arguments: str, typed: str = "", db: Path = folder) -> Result:
        return CliRunner().invoke(unquiet, [*arguments, "--db", str(db)], input=typed)

    return invoke


def labels(folder: Path, signal: str = "refusal") -> list[Label]:
    with Store.open(folder) as store:
        return store.labels.of_signal(signal)


def asked(result: Result) -> list[str]:
    return re.findall(r"session (s\d+)", result.stdout)


def test_turns_are_shown_and_answers_are_kept(run: Run, folder: Path) -> None:
    result = run("label", "refusal", "--count", "3", typed="y\nn\nu\n")
    assert result.exit_code == 0, result.output
    assert "Does the turn show that the agent refuses?" in result.stdout
    assert "Please refund order" in result.stdout
    assert 'lookup({"order": ' in result.stdout
    assert "3 labels kept" in result.stdout
    kept = labels(folder)
    assert [label.answer for label in kept] == ["yes", "no", "unsure"]
    assert [label.session_id for label in kept] == asked(result)
    assert {label.labeller for label in kept} == {"person"}
    assert {label.version for label in kept} == {labelled("refusal").version}
    assert all("answer_language=en" in label.groups for label in kept)


def labelled(name: str) -> Any:
    return next(signal.info for signal in signals.TURN_SIGNALS if signal.info.name == name)


def test_a_turn_is_not_asked_twice_of_the_same_labeller(run: Run) -> None:
    first = asked(run("label", "refusal", "--count", "5", typed="n\n" * 5))
    second = asked(run("label", "refusal", "--count", "5", typed="n\n" * 5))
    other = asked(run("label", "refusal", "--count", "5", "--labeller", "other", typed="n\n" * 5))
    assert len(set(first) | set(second)) == 10
    assert other == first


def test_the_queue_draws_from_every_stratum_and_knows_the_chance(run: Run, folder: Path) -> None:
    run("label", "refusal", "--count", "40", typed="n\n" * 40)
    kept = labels(folder)
    counts = {name: [label for label in kept if label.stratum == name] for name in ("clear no", "clear yes")}
    assert {name: len(found) for name, found in counts.items()} == {"clear no": 27, "clear yes": 13}
    assert {label.inclusion for label in counts["clear no"]} == {27 / 540}
    assert {label.inclusion for label in counts["clear yes"]} == {13 / 60}


def test_the_turn_before_is_shown_beside(run: Run, tmp_path: Path) -> None:
    rows = [turn(number, session_id="one", input=f"request {number}") for number in range(3)]
    shown = run("label", "refusal", typed="n\n" * 3, db=fill(tmp_path / "one", rows)).stdout
    assert shown.count("before, not to be labelled: request ") == 2
    assert "before, not to be labelled: request 0 -> I'm sorry" in shown


def test_undo_takes_the_last_label_back_and_asks_again(run: Run, folder: Path) -> None:
    result = run("label", "refusal", "--count", "2", typed="z\ny\nz\nn\nn\n")
    first, again, then, back, last = asked(result)
    assert "nothing to undo" in result.stdout
    assert first == again == back != then == last
    assert [(label.session_id, label.answer) for label in labels(folder)] == [(first, "no"), (last, "no")]


def test_skip_quit_end_of_input_and_unknown_keys(run: Run, folder: Path) -> None:
    skipped = run("label", "refusal", "--count", "2", typed="s\ny\nq\n")
    assert "1 label kept" in skipped.stdout
    wrong = run("label", "refusal", "--count", "2", typed="what\n\ny\n")
    assert wrong.stdout.count("y yes  n no") == 3
    assert wrong.exit_code == 0
    assert "2 labels kept" not in wrong.stdout
    assert len(labels(folder)) == 2
    assert asked(skipped)[0] == asked(wrong)[0], "what was skipped is asked again"


def test_ctrl_c_keeps_what_was_labelled(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter(["y", "n"])

    def key(console: object) -> str:
        try:
            return next(keys)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(page, "_key", key)
    result = run("label", "refusal", "--count", "9")
    assert result.exit_code == 130
    assert "interrupted\n2 labels kept" in result.stdout
    assert len(labels(folder)) == 2


def test_one_key_is_enough_at_a_terminal(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter("yznq")
    monkeypatch.setattr(click, "getchar", lambda: next(keys))
    with Store.open(folder) as store:
        queue = page.open_queue(
            store,
            "refusal",
            page.parse_slice(()),
            labeller="a",
            count=1,
            seed=7,
            clock=page._now,
            progress=lambda *_: None,
        )
        monkeypatch.setattr(page.sys, "stdin", Terminal())
        page._ask(page.Output(), queue, "refusal", 2)
        assert queue.given == 1


class Terminal:
    def isatty(self) -> bool:
        return True


def test_a_slice_is_its_own_frame(run: Run, tmp_path: Path) -> None:
    small = fill(tmp_path / "small", [turn(number) for number in range(80)])
    result = run("label", "refusal", "--slice", "locale=de-DE", "--count", "4", typed="n\n" * 4, db=small)
    assert all(int(s[1:]) % 4 == 0 for s in asked(result))
    kept = labels(small)
    assert {label.frame for label in kept} == {"locale=de-DE"}
    assert {label.inclusion for label in kept if label.stratum == "clear no"} == {len(kept_no(kept)) / 16}
    whole = run("label", "refusal", "--count", "80", typed="n\n" * 80, db=small)
    assert not set(asked(whole)) & set(asked(result)), "what is known is taken over, not asked"
    assert len([label for label in labels(small) if label.frame == "all traffic"]) == 80
    assert "no more turns to label here" in whole.stdout


def kept_no(kept: list[Label]) -> list[Label]:
    return [label for label in kept if label.stratum == "clear no"]


def test_control_characters_and_huge_texts_are_shown_safely(run: Run, tmp_path: Path) -> None:
    odd = f"\x1b[2J\x07 \u202e[bold]x[/bold]\r\n{'long ' * 400_000} the end"
    db = fill(tmp_path / "odd", [turn(0, input=odd, output="\x9bok", session_id="\x1bs")])
    result = run("label", "refusal", typed="y\n", db=db)
    assert result.exit_code == 0
    assert "\\x1b[2J\\x07 \\u202e[bold]x[/bold]" in result.stdout
    assert "\\x9bok" in result.stdout
    assert "the end" in result.stdout
    assert len(result.stdout) < 8000
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.stdout)


def report(run: Run, signal: str = "refusal", **options: Any) -> dict[str, Any]:
    return json.loads(run("label", signal, "--report", "--json", **options).stdout)


def import_truth(run: Run, folder: Path, tmp_path: Path, wrong: int = 0) -> Result:
    """Label 300 turns through a file as a random half of the traffic; the first `wrong` otherwise than the signal says."""
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["turn_id", "label", "inclusion"])
        for place, number in enumerate(range(300)):
            yes = (number % 10 == 0) != (place < wrong)
            writer.writerow([f"t{number:05d}", "yes" if yes else "no", 0.5])
    return run("label", "refusal", "--import", str(path))


def test_report_and_status_say_what_labels_tell(run: Run, folder: Path, tmp_path: Path) -> None:
    result = import_truth(run, folder, tmp_path, wrong=10)
    assert "300 labels taken over, 0 rows not used" in result.stderr
    (part,) = report(run)["parts"]
    assert part["labels"] == {"yes": 38, "no": 262, "unsure": 0, "disputed": 0}
    assert part["sensitivity"]["value"] == pytest.approx(29 / 38, abs=1e-4)
    assert part["specificity"]["value"] == pytest.approx(261 / 262, abs=1e-4)
    assert part["raw_rate"] == 0.1
    assert part["corrected_rate"]["value"] == pytest.approx(38 / 300, abs=1e-4)
    assert part["corrected_rate"]["low"] < 38 / 300 < part["corrected_rate"]["high"]
    groups = {row["group"]: row for row in part["groups"]}
    assert groups["answer_language=en"]["sensitivity"] == part["sensitivity"]
    said = run("label", "refusal", "--report").stdout
    assert "sensitivity 76" in said
    assert "corrected 12.7 % (" in said
    status = json.loads(run("status", "--json").stdout)
    assert status["labels"] == [report(run)]
    assert "sensitivity 76" in run("status").stdout.replace("\n", " ")


def test_twice_the_rate_is_told_for_the_signals_own_share_of_the_alarms(run: Run, folder: Path, tmp_path: Path) -> None:
    import_truth(run, folder, tmp_path, wrong=10)

    def told(**coverage: Any) -> Any:
        with Store.open(folder) as store, store.transaction():
            store.put_setting("coverage", {"budget_per_30_days": 1.0, "streams": 10**6, **coverage})
        return report(run)["parts"][0]["twice_the_rate"]

    assert told() is None, "nothing is known of its stream"
    assert told(alarm_shares={"slices": {"all traffic": 0.001}, "signals": {"empty": 1.0}}) is None
    found = told(alarm_shares={"slices": {"all traffic": 0.001}, "signals": {"refusal": 0.5}})
    per_day = 600 / (599 / (24 * 60))
    rate = report(run)["parts"][0]["corrected_rate"]["value"]
    assert found["perfect"] == pytest.approx(turns_to_detect(rate, 2.0, 1.0, 1.0, per_day, 0.0005), abs=1)


def test_too_few_labels_give_no_number(run: Run) -> None:
    nothing = run("label", "refusal", "--report")
    assert "no labels yet: run `unquiet label refusal`" in nothing.stdout
    run("label", "refusal", "--count", "6", typed="y\nn\n" * 3)
    (part,) = report(run)["parts"]
    assert "sensitivity" not in part
    assert "not enough labels, needed: " in run("label", "refusal", "--report").stdout
    assert part["not_enough"][-1] == "2 more that are answered no"


def test_labels_of_unknown_chance_say_nothing_of_rates(run: Run, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("turn_id,label,labeller\n" + "".join(f"t{n:05d},{int(n % 10 == 0)},eve\n" for n in range(300)))
    assert "300 of them have no `inclusion`" in run("label", "refusal", "--import", str(path)).stderr
    (part,) = report(run)["parts"]
    assert part["chance_unknown"] == 300
    assert "10 more of turns that are 'clear no'" in part["not_enough"]


def test_export_and_import_round_trip_without_text(run: Run, folder: Path, tmp_path: Path) -> None:
    run("label", "refusal", "--count", "5", typed="y\nn\nu\nn\nn\n")
    path = tmp_path / "out.csv"
    assert "5 labels -> " in run("label", "refusal", "--export", str(path)).stderr
    text = path.read_text()
    assert "refund" not in text
    assert REFUSED not in text
    assert HELPED not in text
    other = fill(tmp_path / "other", [turn(number) for number in range(600)])
    assert "5 labels taken over" in run("label", "refusal", "--import", str(path), db=other).stderr
    assert labels(other) == labels(folder)
    again = run("label", "refusal", "--import", str(path), db=other).stderr
    assert "0 labels taken over, 5 rows not used\n  5 x labelled already" in again


def test_rows_that_cannot_be_taken_are_counted_with_reasons(run: Run, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    rows = ["t00001,yes,,", "nope,yes,,", "t00002,maybe,,", "t00003,no,2,", "t00004,no,,soon", "t00001,no,,", "t00005"]
    path.write_text("turn_id,label,inclusion,at\n" + "\n".join(rows) + "\n")
    said = run("label", "refusal", "--import", str(path)).stderr
    assert "1 label taken over, 6 rows not used" in said
    for part in (
        "no such turn in this folder",
        "label 'maybe': expected yes, no, unsure",
        "label '': expected yes, no, unsure",
        "inclusion '2': expected more than 0",
        "at 'soon': expected ISO 8601",
        "labelled already, and otherwise: the first stays",
        "l.csv:3: no such turn",
    ):
        assert part in said


WRONG = [
    (["refusals"], "refusals: no signal that says yes or no of a turn. Expected one of abstention,"),
    (["output_chars"], "output_chars: no signal that says yes or no"),
    (["loop"], "loop: no signal that says yes or no"),
    (["refusal", "--count", "0"], "--count 0: expected a number of turns, from 1"),
    (["refusal", "--labeller", "judge:me"], "that does not begin with judge:"),
    (["refusal", "--labeller", ""], "--labeller '': expected a name"),
    (["refusal", "--slice", "locale"], "--slice locale: expected FACET=VALUE"),
    (["refusal", "--slice", "a=1", "--slice", "a=2"], "a given twice"),
    (["refusal", "--slice", "locale=fr"], "no turn has locale=fr. Facets: locale; locale has de-DE, en-US."),
    (["refusal", "--slice", "tenant=x"], "no turn has tenant=x. Facets: locale."),
    (["refusal", "--report", "--export", "x"], "exclude each other"),
    (["refusal", "--import", "nope.csv"], "nope.csv: cannot be read (No such file"),
    (["refusal", "--export", "nowhere/x.csv"], "nowhere/x.csv: cannot be written"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_wrong_input(run: Run, arguments: list[str], said: str) -> None:
    result = run("label", *arguments)
    assert isinstance(result.exception, UnquietError), result.output
    assert said in str(result.exception)


def test_files_that_are_no_labels(run: Run, tmp_path: Path) -> None:
    for content, said in (
        (b"a,b\n1,2\n", "no column label and turn_id; got 'a', 'b'"),
        (b"\xff\xfe\x00", "not a CSV in UTF-8"),
    ):
        path = tmp_path / "x.csv"
        path.write_bytes(content)
        assert said in str(run("label", "refusal", "--import", str(path)).exception)


def test_folders_without_turns(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no unquiet data" in str(run("label", "refusal", db=tmp_path / "empty").exception)
    none = fill(tmp_path / "none", [])
    assert "there is no turn in this folder" in str(run("label", "refusal", db=none).exception)
    silent = fill(tmp_path / "silent", [turn(number, output=None) for number in range(3)])
    assert "refusal applies to none of the 3 turns" in str(run("label", "refusal", db=silent).exception)


def test_another_version_of_the_signal_measures_labels_again(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("label", "refusal", "--count", "40", typed="n\n" * 40)
    with Store.open(folder) as store:
        kept = store.labels.of_signal("refusal")
        store.labels.put([type(label)(**{**fields(label), "version": 0, "stratum": "old"}) for label in kept])
    assert report(run)["parts"][0]["not_enough"]
    run("label", "refusal", typed="q\n")
    assert {label.version for label in labels(folder)} == {labelled("refusal").version}
    assert "old" not in {label.stratum for label in labels(folder)}


def fields(label: Label) -> dict[str, Any]:
    return {name: getattr(label, name) for name in Label.__dataclass_fields__}


def test_turns_that_came_since_are_said(run: Run, folder: Path) -> None:
    run("label", "refusal", "--count", "2", typed="n\nn\n")
    fill(folder, [turn(number) for number in range(600, 650)])
    assert "50 turns came since" in run("label", "refusal", "--report").stdout
