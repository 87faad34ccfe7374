"""From the shell to a command and back: the exit code, and one sentence for whatever ends a command early."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

COULD_NOT_LOOK = 2
FAILED = 3
"""A mistake in unquiet itself: never 1, which says that an incident is open."""

INTERRUPTED = 130
"""What shells say of a program that Ctrl-C ended: 128 and the number of the signal."""

_READS = "interrupted; nothing was changed"
_KEPT = {
    "scan": "interrupted; what was read completely is kept, run the same command again to go on",
    "demo": "interrupted; run `unquiet demo` again to play it anew",
    "measure": "interrupted; nothing was written",
    "label": "interrupted; the labels that were given before are kept",
    "forget": "interrupted; run the same command again: what is left of them goes then",
    "judge": "interrupted; the labels that were given before are kept",
}
"""What an interrupted command leaves behind."""


def main() -> None:
    """Run the command line; errors that a user can act on end in one sentence and exit code 2."""
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        _say(_KEPT.get(_command(), _READS))
        sys.exit(INTERRUPTED)
    except Exception:  # noqa: BLE001 - nothing may end with 1, the code of an open incident
        traceback.print_exc()
        _say("unquiet failed. That is a mistake in unquiet, not in your data: please report it with the lines above.")
        sys.exit(FAILED)


def _run() -> int:
    """Run the command that the arguments name; its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with _ending_at_once():
        import click

        from unquiet.cli.commands import unquiet
        from unquiet.model.errors import UnquietError
    try:
        unquiet.main(prog_name="unquiet", standalone_mode=False)
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return COULD_NOT_LOOK
    except click.ClickException as error:
        _say(f"unquiet: {_usage(error)}")
        return COULD_NOT_LOOK
    except UnquietError as error:
        _say(f"unquiet: {error}")
        return COULD_NOT_LOOK
    return 0


@contextmanager
def _ending_at_once() -> Generator[None]:
    """Ctrl-C ends the program inside: an extension that is being loaded would make another error of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(*_: object) -> None:
    sys.stderr.write(f"\n{_READS}\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def _command() -> str:
    """The command that was called; a text that names none where there is none."""
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "")


def _usage(error: click.ClickException) -> str:
    """What is wrong with the arguments, and where to read what they may be."""
    text = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{text}. See `{context.command_path} --help`." if context is not None else f"{text}."


def _say(text: str) -> None:
    """Write a line to standard error, whatever characters it can take."""
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    sys.stderr.write(text + "\n")
