"""`unquiet label` and `unquiet judge`: people, and on request a model, say of turns whether a signal is right."""

from __future__ import annotations

import math
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.text import Text

from unquiet.app.folders import known_folder
from unquiet.app.judging import Judge, JudgeSettings, Outcome
from unquiet.app.label_files import export_labels, import_labels
from unquiet.app.label_report import label_report
from unquiet.app.labelling import MOST_NAME, Queue, check_labeller, open_queue, parse_slice
from unquiet.app.surveying import Candidate, labelled_signal
from unquiet.cli.label_page import judge_line, show_label_report, show_turn, visible
from unquiet.cli.options import read_db
from unquiet.cli.running import INTERRUPTED
from unquiet.cli.showing import Bar, Output, printing
from unquiet.labelling.endpoint import HttpEndpoint, Patience, is_loopback, parse_endpoint
from unquiet.labelling.spending import Spending
from unquiet.model.errors import ConfigError, UnquietError
from unquiet.model.labels import JUDGE, Answer
from unquiet.model.wording import counted
from unquiet.store import Store

KEY = "UNQUIET_JUDGE_KEY"
KEYS: dict[str, Answer] = {"y": "yes", "n": "no", "u": "unsure"}
HINT = "y yes  n no  u unsure  s skip  z undo  q quit"
MOST_LINE = 1000
MOST_COUNT = 100_000

_slice = click.option("--slice", "slices", multiple=True, metavar="FACET=VALUE", help="Only turns of this slice.")
_seed = click.option("--seed", type=int, default=7, show_default=True, help="Another seed draws other turns.")


@click.command("label", short_help="Label turns, and see how right a signal is.")
@click.argument("signal")
@read_db
@_slice
@click.option("--count", type=int, default=20, show_default=True, help="Labels to ask for.")
@click.option("--labeller", default="person", show_default=True, help="Who labels.")
@_seed
@click.option("--import", "read", type=click.Path(path_type=Path), help="Take labels from a CSV: turn_id, label.")
@click.option("--export", "write", type=click.Path(path_type=Path), help="Write the labels as CSV, without any text.")
@click.option("--report", is_flag=True, help="Say what the labels tell of the signal.")
@click.option("--json", "as_json", is_flag=True, help="With --report: print as JSON.")
def label_command(
    signal: str,
    db: Path | None,
    slices: tuple[str, ...],
    count: int,
    labeller: str,
    seed: int,
    read: Path | None,
    write: Path | None,
    report: bool,
    as_json: bool,
) -> None:
    """Label turns: does this turn show what SIGNAL is for? The most informative turns come first.

    \b
    unquiet label refusal
    unquiet label refusal --slice locale=de-DE --count 50
    unquiet label refusal --report
    """  # noqa: D301
    if sum((read is not None, write is not None, report)) > 1:
        raise ConfigError("--import, --export and --report exclude each other. Give one of them.")
    if as_json and not report:
        raise ConfigError("--json is for the report. Give --report too.")
    labelled_signal(signal)
    check_labeller(labeller)
    _check_count(count)
    where = parse_slice(slices)
    with Store.open(known_folder(db), create=False) as store:
        if report:
            _report(store, signal, as_json=as_json)
        elif write is not None:
            click.echo(f"{counted(export_labels(store, signal, write), 'label')} -> {write}", err=True)
        elif read is not None:
            _import(store, signal, read, labeller, seed)
        else:
            with Bar(Console(stderr=True)) as bar:
                queue = open_queue(
                    store, signal, where, labeller=labeller, count=count, seed=seed, clock=_now, progress=bar.update
                )
            with printing():
                _ask(Output(), queue, signal, count)


def _ask(console: Console, queue: Queue, signal: str, count: int) -> None:
    """Ask until there are enough labels, no more turns, or the person has had enough; Ctrl-C keeps what was given."""
    info = labelled_signal(signal).info
    console.print(Text(f"{signal}: {info.definition}"), soft_wrap=True)
    console.print(Text(f"Does the turn show that the agent {info.phrase_up}?  {HINT}"), soft_wrap=True)
    interrupted = more = True
    try:
        candidate = queue.next()
        while candidate is not None and queue.given < count:
            place = f"{queue.given + 1} of {count}"
            show_turn(console, queue.turn(candidate), queue.earlier(candidate), place)
            key = _key(console)
            if key == "q":
                break
            candidate = _step(console, queue, candidate, key)
        interrupted, more = False, candidate is not None
    except KeyboardInterrupt:
        console.print("interrupted")
    if not more:
        console.print("no more turns to label here")
    kept = counted(queue.given, "label")
    console.print(Text(f"{kept} kept; `unquiet label {signal} --report` says what they tell"), soft_wrap=True)
    if interrupted:
        sys.exit(INTERRUPTED)


def _step(console: Console, queue: Queue, candidate: Candidate, key: str) -> Candidate | None:
    """Do what a key says about a turn; the turn to ask about next."""
    if key == "z":
        before = queue.undo()
        if before is None:
            console.print("nothing to undo")
            return candidate
        queue.put_back(candidate)
        return before
    if key in KEYS:
        queue.put(candidate, KEYS[key])
    return queue.next()


def _key(console: Console) -> str:
    """The next key that means something; a line's first letter where input is no terminal, `q` at its end."""
    while True:
        console.print("> ", end="")
        if sys.stdin.isatty():
            try:
                text = click.getchar()
            except EOFError:
                text = "q"
        else:
            text = sys.stdin.readline(MOST_LINE) or "q"
        key = text.strip().lower()[:1]
        console.print(Text(visible(key, 10)))
        if key in (*KEYS, "s", "z", "q"):
            return key
        console.print(HINT)


def _report(store: Store, signal: str, *, as_json: bool) -> None:
    known = label_report(store, signal)
    with printing():
        if as_json:
            click.echo(orjson.dumps(known, option=orjson.OPT_INDENT_2).decode())
        else:
            show_label_report(Output(), known)


def _import(store: Store, signal: str, path: Path, labeller: str, seed: int) -> None:
    with Bar(Console(stderr=True)) as bar:
        done = import_labels(store, signal, path, labeller=labeller, seed=seed, clock=_now, progress=bar.update)
    rejected = sum(done.rejected.values())
    click.echo(f"{counted(done.new, 'label')} taken over, {counted(rejected, 'row')} not used", err=True)
    for reason, count in sorted(done.rejected.items()):
        click.echo(f"  {count} x {reason}", err=True)
    for example in done.examples[:5]:
        click.echo(f"  {example}", err=True)
    if done.unknown_chance:
        click.echo(
            f"{done.unknown_chance} of them have no `inclusion`: chosen with unknown chance, they say nothing of rates",
            err=True,
        )


@click.command("judge", short_help="Let a model label turns too.")
@click.argument("signal")
@click.option("--endpoint", required=True, help="Base URL of an OpenAI-compatible server, http://127.0.0.1:8000/v1.")
@click.option("--model", required=True, help="The model to ask for.")
@read_db
@_slice
@click.option("--count", type=int, default=50, show_default=True, help="Turns to ask about.")
@_seed
@click.option("--send-text", is_flag=True, help="Allow the text of users and agent to leave this machine.")
@click.option("--max-cost-usd", type=float, help="Stop before this would be exceeded; needs both prices.")
@click.option("--price-in", type=float, help="US dollars per million tokens of the question.")
@click.option("--price-out", type=float, help="US dollars per million tokens of the answer.")
@click.option("--timeout", "timeout_s", type=float, default=30.0, show_default=True, help="Seconds for one answer.")
@click.option("--answer-tokens", type=int, default=200, show_default=True, help="Most tokens of one answer.")
@click.option("--key-file", type=click.Path(path_type=Path), help=f"File with the key, in place of {KEY}.")
def judge_command(
    signal: str,
    endpoint: str,
    model: str,
    db: Path | None,
    slices: tuple[str, ...],
    count: int,
    seed: int,
    send_text: bool,
    max_cost_usd: float | None,
    price_in: float | None,
    price_out: float | None,
    timeout_s: float,
    answer_tokens: int,
    key_file: Path | None,
) -> None:
    """Let a model label turns of SIGNAL, beside people. Off unless you run it; nothing is judged by it.

    The text of turns goes to the endpoint. One on this machine needs no more; any other needs --send-text and a cost cap.
    The key comes from UNQUIET_JUDGE_KEY or --key-file.

    \b
    unquiet judge refusal --endpoint http://127.0.0.1:8000/v1 --model qwen3
    """  # noqa: D301
    labelled_signal(signal)
    _check_count(count)
    address, where = parse_endpoint(endpoint), parse_slice(slices)
    spending = _spending(max_cost_usd, price_in, price_out)
    _check_judge(model, timeout_s, answer_tokens)
    if not is_loopback(address):
        _check_far(address.hostname or "", send_text=send_text, capped=max_cost_usd is not None)
    door = HttpEndpoint(address, _secret(key_file))
    settings = JudgeSettings(model, count, timeout_s, answer_tokens, address.hostname or "")
    labeller = JUDGE + model
    with Store.open(known_folder(db), create=False) as store, Bar(Console(stderr=True)) as bar:
        queue = open_queue(
            store, signal, where, labeller=labeller, count=count, seed=seed, clock=_now, progress=bar.update
        )
        if not is_loopback(address):
            clear = "" if address.scheme == "https" else ", unencrypted"
            click.echo(f"the text of up to {counted(count, 'turn')} is sent to {settings.host}{clear}", err=True)
        patience = Patience(time.monotonic, time.sleep, bar.print)
        judge = Judge(queue, labelled_signal(signal).info, settings, door, spending, patience)
        outcome = judge.run(bar.update)
    _say(labeller, signal, outcome)


def _say(labeller: str, signal: str, outcome: Outcome) -> None:
    """How it went; a judge that died is an error."""
    counts = {
        name: getattr(outcome, name) for name in ("asked", "labelled", "malformed", "refused", "retried", "cost_usd")
    }
    condition = {**counts, "signal": signal, "ended": outcome.ended, "why": outcome.why, "at": _now().isoformat()}
    line, _ = judge_line(labeller, condition)
    if outcome.sample:
        got = visible(outcome.sample).replace("\n", " ")
        click.echo(
            f'an answer that is no label: {got}\nexpected, and nothing else: {{"label": true}} or {{"label": false}}',
            err=True,
        )
    if outcome.ended == "dead":
        raise UnquietError(
            f"{line}. {counted(outcome.labelled, 'label')} kept. See to the endpoint, then run the command again."
        )
    click.echo(line, err=True)
    if outcome.ended == "interrupted":
        sys.exit(INTERRUPTED)
    if not outcome.labelled and outcome.ended == "cost cap":
        raise UnquietError("no label was gained. Raise --max-cost-usd.")
    if not outcome.labelled and outcome.asked:
        turns = counted(outcome.asked, "turn")
        raise UnquietError(f"no answer of {turns} was a label. Try another --model, or more --answer-tokens.")


def _spending(cap: float | None, price_in: float | None, price_out: float | None) -> Spending:
    amounts = {"--max-cost-usd": cap, "--price-in": price_in, "--price-out": price_out}
    wrong = [
        f"{name} {amount:g}: expected US dollars, 0 or more"
        for name, amount in amounts.items()
        if amount is not None and not 0.0 <= amount < math.inf
    ]
    if cap is not None and (price_in is None or price_out is None):
        wrong.append("--max-cost-usd needs --price-in and --price-out: without prices no cost is known")
    if wrong:
        raise ConfigError("; ".join(wrong))
    return Spending(price_in or 0.0, price_out or 0.0, cap)


def _check_judge(model: str, timeout_s: float, answer_tokens: int) -> None:
    wrong: list[str] = []
    if not model.strip() or len(model) > MOST_NAME or not model.isprintable():
        wrong.append(f"--model {model[:MOST_NAME]!r}: expected a name of 1 to {MOST_NAME} printable characters")
    if not 1.0 <= timeout_s <= 110.0:
        wrong.append(f"--timeout {timeout_s:g}: expected seconds, from 1 to 110")
    if not 1 <= answer_tokens <= 100_000:
        wrong.append(f"--answer-tokens {answer_tokens}: expected tokens, from 1 to 100000")
    if wrong:
        raise ConfigError("; ".join(wrong))


def _check_far(host: str, *, send_text: bool, capped: bool) -> None:
    """Text leaves the machine only on request, and money is spent only up to a cap."""
    wrong: list[str] = []
    if not send_text:
        wrong.append(
            f"{host} is not this machine, and the judge would send it what users wrote and the agent answered. If that may "
            "be, say --send-text; otherwise use an endpoint on 127.0.0.1"
        )
    if not capped:
        wrong.append("an endpoint elsewhere needs --max-cost-usd with --price-in and --price-out (0 where it is free)")
    if wrong:
        raise ConfigError(". ".join(wrong))


def _secret(key_file: Path | None) -> str | None:
    """The key; None where none is given. It never comes from the command line, which others can read."""
    source, key = KEY, os.environ.get(KEY, "")
    if key_file is not None:
        source = f"--key-file {key_file}"
        try:
            key = key_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigError(f"{source}: cannot be read ({why}). Check the path.") from error
    key = key.strip()
    if not all("!" <= c <= "~" for c in key) or (key_file is not None and not key):
        raise ConfigError(f"{source}: expected one key of printable ASCII characters on one line.")
    return key or None


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST_COUNT:
        raise ConfigError(f"--count {count}: expected a number of turns, from 1 to {MOST_COUNT}")


def _now() -> datetime:
    return datetime.now(UTC)
