"""What the commands print for people."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from unquiet.app.saying import plain_name
from unquiet.app.scanning import ScanResult
from unquiet.app.status import OPEN
from unquiet.app.status_lines import slice_name, visible_line
from unquiet.cli.behaviours import moved_with, readable
from unquiet.cli.evidence import show_pairs
from unquiet.cli.moments import interval, moment
from unquiet.cli.picture import picture
from unquiet.cli.status import WARN
from unquiet.incidents.wording import percent
from unquiet.model.errors import UnquietError
from unquiet.model.rejections import DAMAGED, DUPLICATE, UNREADABLE, ReadReport
from unquiet.model.wording import counted

DEEDS = {
    "acknowledge": "acknowledged",
    "unacknowledge": "given back",
    "accept": "accepted as the new normal",
    "mute": "muted",
    "unmute": "unmuted",
}


class Bar:
    """A progress bar on standard error; silent where that is not a terminal."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        """Start."""
        self._progress.start()
        self._task = self._progress.add_task("starting", total=1.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._progress.stop()

    def update(self, what: str, share: float) -> None:
        """Show what is being done and how far it is, 0 to 1."""
        if self._task is not None:
            self._progress.update(self._task, description=what, completed=share)

    def print(self, text: str) -> None:
        """Say something above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Output(Console):
    """Standard output, and what is printed as it is: brackets and colons in names and texts of others mean nothing here.

    Where its reader goes away (`| head`), the error is raised instead of ending the program.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, highlight=False, emoji=False, **options)

    def on_broken_pipe(self) -> None:
        """Tell `printing`."""
        raise BrokenPipeError


@contextmanager
def printing() -> Generator[None]:
    """Around what writes to standard output: a reader who has seen enough is no error, a full disk is one.

    Raises:
        UnquietError: the output cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
    except OSError as error:
        _silence()
        raise UnquietError(
            f"standard output cannot be written ({error.strerror}). Send it elsewhere and run the same command again."
        ) from error


def _silence() -> None:
    """Let what is still to be written vanish, so that the end of the program does not fail on it again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def show_reports(console: Console, reports: Sequence[tuple[str, ReadReport]], what: str = "turn") -> None:
    """What was rejected in each file, with examples, and the notes. `what` is what the files hold."""
    for path, report in reports:
        _show_report(console, path, report, what)
        for note in report.notes:
            console.print(f"note: {note}", soft_wrap=True)
    unread = sum(UNREADABLE in report.rejected for _, report in reports)
    if unread and len(reports) > 1:
        console.print(f"{unread} of {counted(len(reports), 'file')} could not be read", style=WARN, soft_wrap=True)


def _show_report(console: Console, path: str, report: ReadReport, what: str) -> None:
    lost, known = report.lost_rows, report.rejected.get(DUPLICATE, 0)
    whole = [text for kind, text in ((UNREADABLE, "file not used"), (DAMAGED, "damaged")) if kind in report.rejected]
    if lost or whole:
        said = ", ".join([*whole, *([f"{counted(lost, 'row')} not used"] if lost else [])])
        console.print(f"{path}: {said}", style=WARN, soft_wrap=True)
    for kind, count in sorted(report.rejected.items()):
        if kind not in (UNREADABLE, DAMAGED, DUPLICATE):
            console.print(f"  {count} x {kind}", soft_wrap=True)
    for example in report.examples[:5]:
        where = "" if example.where == path else f"{example.where}: "
        console.print(f"  {where}{example.reason}", soft_wrap=True)
    if known:
        console.print(f"{path}: {counted(known, what)} known already", soft_wrap=True)


def show_steps(console: Console, steps: Sequence[tuple[str, str]]) -> None:
    """Commands to copy, each whole on a line of its own, below what it is for."""
    for command, why in steps:
        console.print(f"  {why}:", style="dim", soft_wrap=True)
        console.print(f"    {program()} {command}", soft_wrap=True)


def program() -> str:
    """How to call the command from here: by its name if the shell finds it, else by its path."""
    if shutil.which("unquiet"):
        return "unquiet"
    called = Path(sys.argv[0]).resolve()
    if called.name != "unquiet":
        return "python -m unquiet"
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)


def show_scan(console: Console, result: ScanResult, folder: Path, found_at: str) -> None:
    """The answer of a scan; `found_at` is the option by which other commands find the folder, where they need one."""
    document = result.document
    show_reports(console, result.reports)
    console.print(read_line(document), soft_wrap=True)
    coverage: dict[str, Any] = document["coverage"] if isinstance(document["coverage"], dict) else {}
    if "left_out" in coverage:
        console.print(str(coverage["left_out"]), style=WARN, soft_wrap=True)
    incidents = document["incidents"]
    show_incidents(console, incidents if isinstance(incidents, list) else [], coverage)
    visible = visible_line(coverage)
    if visible is not None:
        console.print(visible, soft_wrap=True)
    console.print(f"kept in {folder}", style="dim", soft_wrap=True)
    if isinstance(incidents, list) and incidents:
        console.print("\nGo on with")
        open_ones = [each for each in incidents if each["status"] in OPEN] or incidents
        show_steps(
            console,
            [
                (f"incident {open_ones[-1]['id']}{found_at}", "the newest, with the same request before and after"),
                (f"status{found_at}", "what was read, and how small a change could have been seen"),
            ],
        )


def read_line(document: Mapping[str, Any], where: str = "") -> str:
    """What was read and is watched, in one sentence; `where` says from what."""
    read = f"{counted(document['sessions'], 'session')}, {counted(document['turns'], 'turn')}{where}"
    budget = counted(float(document["budget_per_30_days"]), "false incident")
    return f"{read}; {counted(document['streams'], 'stream')} watched; alarm budget {budget} per 30 days"


def show_incidents(console: Console, documents: Sequence[Mapping[str, Any]], coverage: Mapping[str, Any]) -> None:
    """The incidents, each with its sentence; or a sentence that there is none, or that none could have been found."""
    if "not_judged" in coverage:
        console.print(str(coverage["not_judged"]), style=WARN, soft_wrap=True)
        if not documents:
            return
    if not documents:
        console.print("no incident: nothing that was judged changed beyond the budget")
        return
    for document in documents:
        head = f"{document['id']}  {document['status']}, raised {moment(str(document['raised_at']))}"
        console.print(head, style="bold", soft_wrap=True)
        console.print(f"  {document['title']}", soft_wrap=True)


def show_incident(
    console: Console,
    document: Mapping[str, Any],
    turns_of: Callable[[Sequence[str]], list[dict[str, Any]]],
    found_at: str,
    *,
    brief: bool = False,
) -> None:
    """One incident: the sentence, the days, the numbers, suspects and the same request before and after.

    `brief`: of each suspect only when it came and how likely that is by chance, not what else speaks for and against it.
    """
    console.print(str(document["title"]), style="bold", soft_wrap=True)
    console.print()
    for line in picture(document, plain="utf" not in console.encoding.lower()):
        console.print(line, soft_wrap=True)
    console.print()
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _numbers(document).items():
        table.add_row(name, value)
    console.print(table)
    console.print("the ids of the affected sessions:", style="dim")
    console.print(f"  {program()} incident {document['id']} --sessions{found_at}", soft_wrap=True)
    _show_answers(console, document)
    _show_suspects(console, document, brief=brief)
    changed = document.get("provider_change")
    if changed:
        console.print(str(changed["said"]), style=WARN, soft_wrap=True)
    show_pairs(console, document, turns_of)


def _numbers(document: Mapping[str, Any]) -> dict[str, str]:
    before, after, excess, onset = (document[name] for name in ("before", "after", "excess_sessions", "onset"))
    over, told, mixed = document["resolved_at"], document["told_at"], percent(before["rate_mix_adjusted"])
    users, kinds, moved = document["users_reached"], document.get("kinds", ()), moved_with(document)
    since = f"back to before since {moment(over)}" if over else f"still going on as of {moment(told)}"
    rows = {
        "status": f"{document['status']}, {since}",
        "handled": "; ".join(deed_line(each) for each in document.get("handled") or ()),
        "raised at": moment(document["raised_at"]),
        "onset": interval(onset),
        "where": slice_name(document["slice"]),
        "signal": f"{readable(plain_name(document['event']))} {document['direction']}",
        "before": f"{percent(before['rate'])} of {counted(before['n'], 'session')} ({mixed} for today's mix)",
        "after": f"{percent(after['rate'])} of {counted(after['n'], 'session')}",
        "beyond expected": f"{counted(round(excess['estimate']), 'session')} ({excess['low']:.0f} to {excess['high']:.0f}), "
        + (f"about {counted(users, 'user')}" if users else "users unknown"),
        "moved with it": ", ".join(moved),
        "affected": f"{counted(len(document['session_ids']), 'session')} that look like it; some would have gone the same way "
        "anyway",
        "asked for": "; ".join(f"{kind['label']}: {counted(kind['sessions'], 'session')}" for kind in kinds),
        "also in": "; ".join(slice_name(where) for where in document["also_in"]),
    }
    return {name: text for name, text in rows.items() if text}


def deed_line(entry: Mapping[str, Any]) -> str:
    """What a person did about an incident: `acknowledged by ann Tue 10 Mar 16:31 UTC: mine`."""
    said = "; ".join(str(entry[name]) for name in ("reason", "note") if entry.get(name))
    return f"{DEEDS[entry['verb']]} by {entry['who']} {moment(entry['at'])}" + (f": {said}" if said else "")


def _show_answers(console: Console, document: Mapping[str, Any]) -> None:
    """What the agent began, stopped, or says and does more or less often."""
    answers = document.get("answers") or []
    if answers:
        console.print("in its answers there (0 stands for any number, ¶ for a new line, • for an item of a list):")
    for each in answers:
        rates = f"{percent(each['before']['rate'])} -> {percent(each['after']['rate'])}"
        example = f", as in {each['examples'][-1]}" if each["examples"] else ""
        console.print(f"  {each['change']}: {each['said']}: {rates}{example}", soft_wrap=True)


def _show_suspects(console: Console, document: Mapping[str, Any], *, brief: bool) -> None:
    if not document["suspects"]:
        console.print("no change is known near the onset (announce changes with `scan --changes` or `unquiet mark`)")
        return
    console.print("changes consistent with the onset (not proof of a cause):")
    for rank, suspect in enumerate(document["suspects"], start=1):
        text = (
            f"{suspect['kind']} {suspect['from']} -> {suspect['to']} at {moment(suspect['at'])} ({suspect['source']})"
        )
        console.print(f"  {rank}. {'likely: ' if suspect.get('likely') else ''}{text}", soft_wrap=True)
        why = suspect.get("why") or []
        if brief and len(why) > 2:
            why = [why[0], why[-1]]
        if why:
            console.print(f"     {'; '.join(why)}", soft_wrap=True, highlight=False)
