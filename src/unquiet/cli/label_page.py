"""What `unquiet label` prints: a turn to be labelled, and what labels say of a signal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from unquiet.cli.moments import moment
from unquiet.model.wording import counted

Row = Mapping[str, Any]

HEAD, TAIL = 3000, 1000
"""Characters of a longer text that are shown of its beginning and of its end."""

MOST_CALLS = 12
OF_CALL = 300
OF_EARLIER = 400
WARN = "yellow"


def show_turn(console: Console, turn: Row, earlier: Row | None, place: str) -> None:
    """A request, the calls of tools and the answer, after what was said before; what the signal says is not shown.

    It would be repeated.
    """
    console.print(Text(f"\n{place}  session {visible(turn['session_id'], 200)}", style="bold"), soft_wrap=True)
    if earlier is not None:
        said = [visible(text or "", OF_EARLIER).replace("\n", " ") for text in (earlier["input"], earlier["output"])]
        console.print(Text(f"before, not to be labelled: {said[0]} -> {said[1]}", style="dim"), soft_wrap=True)
    for name, text in (("asked", turn["input"]), *_calls(turn["tool_calls"]), ("answered", turn["output"])):
        _show(console, name, "(content was not captured)" if text is None else visible(text))
    if turn["error"]:
        _show(console, "error", visible(turn["error"]))


def _show(console: Console, name: str, text: str) -> None:
    console.print(Text(f"{name}:", style="dim"))
    for line in text.split("\n"):
        console.print(Text(f"  {line}"), soft_wrap=True)


def _calls(calls: Sequence[Row] | None) -> Iterator[tuple[str, str]]:
    if not calls:
        return
    lines: list[str] = []
    for call in calls[:MOST_CALLS]:
        parts = [f"{visible(call['name'] or '', OF_CALL)}({visible(call['arguments'] or '', OF_CALL)})"]
        parts += [f"{said} {visible(call[said], OF_CALL)}" for said in ("result", "error") if call[said]]
        lines.append(" -> ".join(parts))
    if len(calls) > MOST_CALLS:
        lines.append(f"and {counted(len(calls) - MOST_CALLS, 'more call')}")
    yield "called", "\n".join(lines)


def visible(text: str, most: int = HEAD + TAIL) -> str:
    """A text in which every character can be seen: others than line ends are written as escapes; a long one is cut."""
    if len(text) > most:
        head = most * HEAD // (HEAD + TAIL)
        text = f"{text[:head]} [... {len(text) - most} characters ...] {text[head - most :]}"
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def show_label_report(console: Console, report: Row) -> None:
    """One signal: by slice and panel what its labels say, or what they lack."""
    for line, warn in label_lines(report):
        console.print(Text(line, style=WARN if warn else ""), soft_wrap=True)


def label_lines(report: Row, *, groups: bool = True) -> Iterator[tuple[str, bool]]:
    """The lines of a report, and which of them are warnings; without `groups` of the whole slices only."""
    version = f" (version {report['version']})" if report["version"] else ""
    if report["note"]:
        yield f"{report['signal']}{version}: {report['note']}", True
    for part in report["parts"]:
        yield from _part(f"{report['signal']}{version}", part)
        if groups and "groups" in part:
            yield from _groups(part["groups"])
    for row in report["agreement"]:
        yield _agreement(row), False


def _part(signal: str, part: Row) -> Iterator[tuple[str, bool]]:
    counts = part["labels"]
    told = ", ".join(f"{count} {answer}" for answer, count in counts.items() if count or answer in ("yes", "no"))
    yield f"{signal}, {part['slice']}: {counted(part['turns'], 'turn')}, labels of {part['panel']}: {told}", False
    if part["turns_since"]:
        yield f"  {counted(part['turns_since'], 'turn')} came since; run `unquiet label` again to count them", True
    if part["chance_unknown"]:
        count = counted(part["chance_unknown"], "labelled turn")
        yield f"  {count} chosen with unknown chance, which says nothing of rates", True
    if part["not_enough"]:
        raw = f"the signal says {_percent(part['raw_rate'])}, uncorrected; " if part["raw_rate"] is not None else ""
        yield f"  {raw}not enough labels, needed: {'; '.join(part['not_enough'])}", True
        return
    yield f"  {_accuracy(part)}", False
    yield f"  rate: the signal says {_percent(part['raw_rate'])}, corrected {_interval(part['corrected_rate'])}", False
    if part["twice_the_rate"]:
        yield f"  {_twice(part['twice_the_rate'])}", False


def _groups(groups: Sequence[Row]) -> Iterator[tuple[str, bool]]:
    for group in groups:
        if "not_enough" not in group:
            rate = f"rate {_interval(group['corrected_rate'])}"
            yield f"  {visible(group['group'], 200)}: {_accuracy(group)}; {rate}", False
    poor = [group for group in groups if "not_enough" in group]
    if poor:
        names = ", ".join(f"{visible(group['group'], 100)} ({counted(group['labels'], 'label')})" for group in poor[:8])
        more = f" and {len(poor) - 8} more" if len(poor) > 8 else ""
        yield f"  not enough labels in {names}{more}", False


def _accuracy(row: Row) -> str:
    return f"sensitivity {_interval(row['sensitivity'])}, specificity {_interval(row['specificity'])}"


def _interval(estimate: Row) -> str:
    return f"{_percent(estimate['value'])} ({_percent(estimate['low'])} to {_percent(estimate['high'])})"


def _percent(share: float) -> str:
    """With a decimal: whether 99.6 % or 98.6 % are spared decides what a signal of a rare behaviour is worth."""
    return f"{100 * share:.1f} %"


def _twice(row: Row) -> str:
    if row["signal"] is None or row["perfect"] is None:
        return "twice the rate: not to be seen by this signal, or no rate that can double"
    ends = [row["best"], row["worst"]]
    between = " to ".join("never" if turns is None else str(turns) for turns in ends)
    return (
        f"twice the rate is seen after about {counted(row['signal'], 'turn')} ({between}); perfect labels would need "
        f"{row['perfect']}: the signal keeps {_percent(row['perfect'] / row['signal'])} of the information"
    )


def _agreement(row: Row) -> str:
    who = f"  {visible(row['judge'], 200)} and people:"
    if "not_enough" in row:
        return f"{who} {counted(row['turns'], 'turn')} labelled by both; not enough, needed: {row['not_enough']}"
    kappa = "not defined, one answer only" if row["kappa"] is None else f"{row['kappa']:.2f}"
    return f"{who} the same answer on {row['same']} of {counted(row['turns'], 'turn')}, Cohen's kappa {kappa}"


def judge_line(labeller: str, condition: Row) -> tuple[str, bool]:
    """How the last run of a judge ended, and whether that is a warning."""
    counts = f"{condition['labelled']} of {counted(condition['asked'], 'answer')} were labels"
    for name in ("malformed", "refused", "retried"):
        counts += f", {condition[name]} {name}" if condition[name] else ""
    state = {"done": "done", "cost cap": "stopped at its cost cap", "dead": "DEAD", "interrupted": "stopped by hand"}
    why = f": {visible(condition['why'], 400)}" if condition["why"] and condition["ended"] != "interrupted" else ""
    text = (
        f"{visible(labeller, 200)} on {condition['signal']} at {moment(condition['at'])}: {state[condition['ended']]}"
    )
    # Why a cap stopped it says what was spent.
    cost = f"; {condition['cost_usd']:.4f} USD" if condition["ended"] != "cost cap" else ""
    return f"{text}{why}; {counts}{cost}", condition["ended"] != "done"
