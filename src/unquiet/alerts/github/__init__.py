"""GitHub issues: one issue an incident, comments for updates, closed on resolution.

https://docs.github.com/en/rest/issues/issues. Every issue and comment bears a mark, and is looked for before it is made:
a retry after a lost reply finds what was made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from unquiet.alerts.kinds import SinkKind
from unquiet.alerts.options import Options
from unquiet.alerts.posting import TIMEOUT_S, Poster
from unquiet.alerts.texts import about, headline, iso, lines_of, link, one_line
from unquiet.model.alerts import DeliveryError, Notice

URL = "https://api.github.com"
TITLE = 250
PAGE, PAGES = 100, 30
DAY_US = 86_400_000_000
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

Issue = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GitHub:
    """Keeps issues of `repository` (owner/name)."""

    name: str
    url: str
    repository: str
    token: str = field(repr=False)
    labels: tuple[str, ...]
    poster: Poster

    def send(self, notice: Notice) -> None:
        """Deliver one notice; a test opens an issue and closes it.

        Raises:
            DeliveryError: it was not delivered.
        """
        issue = self._find(notice)
        if issue is None or _opens_anew(notice, issue):
            issue = self._create(notice)
        elif mark("notice", notice.id) not in _marks(issue):
            self._comment(notice, issue)
        closed, number = issue.get("state") == "closed", issue["number"]
        if notice.phase in ("resolved", "test") and not closed:
            self._call("PATCH", f"issues/{number}", {"state": "closed", "state_reason": "completed"})
        if notice.phase == "updated" and closed:
            self._call("PATCH", f"issues/{number}", {"state": "open", "state_reason": "reopened"})

    def _find(self, notice: Notice) -> Issue | None:
        """The newest issue of the notice's key, the open one if there is one.

        The list is read, not the search: that learns of a new issue only after a while.
        """
        own = mark("key", notice.key)
        since = iso(_began_us(notice) - DAY_US)
        query = f"issues?state=all&sort=created&direction=desc&since={since}"
        found: Issue | None = None
        for issue in self._pages(query):
            if "pull_request" in issue or own not in _marks(issue):
                continue
            if issue.get("state") == "open":
                return issue
            found = found or issue
        return found

    def _create(self, notice: Notice) -> Issue:
        payload: dict[str, Any] = {"title": _title(notice), "body": body(notice)}
        if self.labels:
            payload["labels"] = list(self.labels)
        found = self._call("POST", "issues", payload)
        if not isinstance(found, dict) or not isinstance(found.get("number"), int):
            raise DeliveryError(f"{self.poster.who} answered without the number of the new issue. Check its url.")
        return cast("Issue", found)

    def _comment(self, notice: Notice, issue: Issue) -> None:
        place = f"issues/{issue['number']}/comments"
        own = mark("notice", notice.id)
        for comment in self._pages(f"{place}?since={iso(notice.at_us - DAY_US)}"):
            if own in _marks(comment):
                return
        self._call("POST", place, {"body": body(notice)})

    def _pages(self, query: str) -> Iterator[Issue]:
        """All items of a list."""
        for page in range(1, PAGES + 1):
            found = self._call("GET", f"{query}&per_page={PAGE}&page={page}")
            if not isinstance(found, list):
                raise DeliveryError(f"{self.poster.who} answered without a list. Check its url.")
            items = cast("Sequence[object]", found)
            yield from (cast("Issue", item) for item in items if isinstance(item, dict))
            if len(items) < PAGE:
                return

    def _call(self, method: str, path: str, payload: object = None) -> object:
        headers = {**HEADERS, "Authorization": f"Bearer {self.token}"}
        return self.poster.call(method, f"{self.url}/repos/{self.repository}/{path}", payload, headers).json()


def mark(what: str, text: str) -> str:
    """A line that is not shown, by which an issue (`key`) or one message (`notice`) is found again."""
    return f"<!-- unquiet {what} {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:40]} -->"


def _marks(item: Issue) -> list[str]:
    """The marks of an issue or comment: its last two lines. What stands further up may be quoted."""
    return str(item.get("body")).splitlines()[-2:]


def body(notice: Notice) -> str:
    """The text of an issue or comment. What others wrote stands in a code block, where it cannot mention, link or format."""
    text = "\n".join([headline(notice), *lines_of(notice)])
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    page = link(notice)
    named = f"`{about(notice).replace('`', ' ')}`"
    where = f"[Open the page of {named}](<{page}>)" if page else named
    parts = [f"{fence}text", text, fence, "", where, "", mark("key", notice.key), mark("notice", notice.id)]
    return "\n".join(parts)


def _title(notice: Notice) -> str:
    """A title is shown as it is; a sign that makes mentions in mails about it is kept apart."""
    shown = headline(notice) if notice.phase == "test" else one_line(notice.title)
    return one_line(shown, TITLE).replace("@", "@\u2060")[:TITLE]


def _opens_anew(notice: Notice, issue: Issue) -> bool:
    """Whether the notice opens what an earlier issue of the same key was closed about, as conditions do."""
    done = mark("notice", notice.id) in _marks(issue)
    return notice.phase == "opened" and issue.get("state") == "closed" and not done


def _began_us(notice: Notice) -> int:
    """A moment before which there can be no issue of this key."""
    raised = notice.document.get("raised_at")
    since = notice.document.get("failing_since_us")
    try:
        began = round(datetime.fromisoformat(str(raised)).timestamp() * 1e6) if raised else notice.at_us
    except ValueError:
        began = notice.at_us
    return min(began, notice.at_us, since if isinstance(since, int) and since > 0 else began)


def make(options: Options) -> GitHub:
    """A repository's issues from its options."""
    repository, token = options.text("repository"), options.secret("token")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", repository) and repository != "-":
        options.wrong("repository", "expected owner/name")
    poster = Poster(f"GitHub ({options.name})", (token,), options.number("timeout_s", TIMEOUT_S, 0.1, 60.0))
    url = options.url("url", URL).rstrip("/")
    return GitHub(options.name, url, repository, token, options.texts("labels", ("unquiet",)), poster)


KIND = SinkKind("github", make)
