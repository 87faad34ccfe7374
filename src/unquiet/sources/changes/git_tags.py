"""Changes as Git tags: of a repository on this machine, or as the text that `git for-each-ref` printed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from unquiet.model.changes import Change
from unquiet.model.errors import UnreadableSource
from unquiet.model.rejections import ReadReport
from unquiet.sources.changes.lines import chained
from unquiet.sources.changes.rows import moment
from unquiet.sources.glimpse import Glimpse
from unquiet.sources.stream import Lines

COMMAND = (
    "git",
    "for-each-ref",
    "refs/tags",
    "--sort=creatordate",
    "--format=%(creatordate:iso-strict)%09%(refname:short)",
)
_LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:?\d\d)\t\S")
_VERSION = re.compile(r"v?\d.*$")
WAIT_S = 60.0


class GitTags:
    """The text of `git for-each-ref`: a time, a tab, a tag."""

    name = f"Git tags, as printed by `{shlex.join(COMMAND)}`"

    def sniff(self, glimpse: Glimpse) -> float:
        """Sure with a time and a tab in the first line."""
        return 0.9 if glimpse.shape == "text" and _LINE.match(glimpse.head.lstrip()) else 0.0

    def read(self, path: Path, report: ReadReport) -> list[Change]:
        """One release a tag."""
        lines = Lines(path, report, 64 * 1024)
        texts = ((first + i, line) for first, block in lines for i, line in enumerate(block))
        return _tagged(((f"{path}:{number}", line.decode("utf-8", "replace")) for number, line in texts), report)


def tags_of(repository: Path, report: ReadReport) -> list[Change]:
    """The tags of a repository, in order of time.

    Raises:
        UnreadableSource: there is no repository, or no git.
    """
    git = shutil.which(COMMAND[0])
    if git is None:
        raise UnreadableSource("git is not installed here; print the tags elsewhere and name the file.")
    try:
        done = subprocess.run(  # noqa: S603 - git itself, and a folder that the user named
            [git, "-C", str(repository), *COMMAND[1:]], capture_output=True, timeout=WAIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnreadableSource(f"{repository}: git did not answer within {WAIT_S:.0f} s.") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UnreadableSource(f"{repository}: git found no repository ({said[-1] if said else 'no reason given'}).")
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return _tagged(((str(repository), line) for line in lines), report)


def _tagged(lines: Iterable[tuple[str, str]], report: ReadReport) -> list[Change]:
    found: list[Change] = []
    for place, line in lines:
        if not line.strip():
            continue
        report.rows += 1
        at, tab, tag = line.strip().partition("\t")
        tag = tag.partition("\t")[0]
        try:
            if not tab or not tag:
                raise ValueError(f"expected a time, a tab and a tag, got {line[:60]!r}")
            found.append(Change(moment(at), "release", None, tag, f"Git tag {tag}", event_id=f"Git tag {tag}"))
        except ValueError as error:
            report.reject(place, str(error), "unreadable change")
    return chained(found, lambda change: _VERSION.sub("", change.after or ""))
