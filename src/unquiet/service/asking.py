"""Asking a running service: it owns its folder, so commands ask it over HTTP instead of opening the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from unquiet.model.errors import UnquietError
from unquiet.store import owner

ADDRESS = "service.json"
"""Where a running service says how it is reached: commands ask it instead of opening its folder."""

TOKENS = ("UNQUIET_ACT_TOKEN", "UNQUIET_READ_TOKEN")
RAW = {"content-type": "application/octet-stream"}
WAIT_S = 60.0
FORGET_S = 900.0
VOICES_S = 300.0


class NotAnswered(UnquietError):
    """The service did not answer, or refused; the text says why and what to do."""


def served(folder: Path, environ: Mapping[str, str]) -> Served | None:
    """The service that owns a folder; None where none runs.

    A service that died leaves an address, at which nobody answers or, by now, the service of another folder.
    """
    path = folder / ADDRESS
    try:
        address = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    if owner(folder) != address["pid"]:
        return None
    service = Served(str(address["url"]), next((environ[name] for name in TOKENS if environ.get(name)), None))
    return service if service.alive() else None


def ended_without_a_word(folder: Path) -> bool:
    """Whether a service that nobody answers for any more left its address: it was killed, or the machine went down."""
    return (folder / ADDRESS).exists()


class Served:
    """The API of a running service. Every method may raise NotAnswered."""

    def __init__(self, url: str, token: str | None) -> None:
        # Where there are no tokens, what changes something must say that no other site made it.
        headers = {"authorization": f"Bearer {token.strip()}"} if token else {"origin": url}
        self.url = url
        self._client = httpx.Client(base_url=url, headers=headers, timeout=WAIT_S, trust_env=False)

    def alive(self) -> bool:
        """Whether something answers at the address."""
        try:
            self._client.get("/healthz", timeout=5.0)
        except httpx.HTTPError:
            return False
        return True

    def status(self) -> dict[str, Any]:
        """As `unquiet status --json`, with what the service says of itself."""
        return self._asked("GET", "status")

    def incidents(self) -> list[dict[str, Any]]:
        """The documents of all incidents."""
        return self._asked("GET", "incidents")["incidents"]

    def incident(self, incident_id: str) -> dict[str, Any]:
        """The document of one incident, with its voices where there are any."""
        return self._asked("GET", f"incidents/{quote(incident_id, safe='')}")

    def voices(self) -> dict[str, Any]:
        """How many voices there are, how they were joined, and what they alone would have told."""
        return self._asked("GET", "voices", wait_s=VOICES_S)

    def add_voices(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Add voices; how many of them were new. The last of several bodies takes as long as joining all of them."""
        return self._asked("POST", "voices", body, wait_s=VOICES_S)

    def turns(self, session_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The turns of sessions, by session and time."""
        found = [self._asked("GET", "turns", params={"session": each})["turns"] for each in session_ids]
        return [turn for turns in found for turn in turns]

    def evals(self) -> dict[str, Any]:
        """The runs of evaluation suites, schema unquiet.evals/1."""
        return self._asked("GET", "evals")

    def send_evals(self, path: Path) -> dict[str, Any]:
        """Send a report of an evaluation suite: how many of its results were new, and what was read.

        Raises:
            UnquietError: the file cannot be read.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UnquietError(
                f"{path}: cannot be read ({error.strerror or error}). Allow this user to read it."
            ) from error
        return self._asked("POST", "evals", params={"name": path.name}, content=content)

    def act(self, incident_id: str, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do something about an incident; its document afterwards."""
        return self._asked("POST", f"incidents/{quote(incident_id, safe='')}/{verb}", body)

    def changes(self) -> dict[str, Any]:
        """Announced changes and those that the traffic showed."""
        return self._asked("GET", "changes")

    def mark(self, body: Mapping[str, Any]) -> None:
        """Announce a change."""
        self._asked("POST", "changes", body)

    def forget(self, body: Mapping[str, str]) -> dict[str, int]:
        """Forget a user or a session; how many of what. It takes as long as it takes to write the folder anew."""
        return self._asked("POST", "forget", body, wait_s=FORGET_S)["deleted"]

    def alerts_test(self) -> list[dict[str, Any]]:
        """Send a test notice to every sink."""
        return self._asked("POST", "alerts/test", {})["results"]

    def _asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        wait_s: float | None = None,
        content: bytes | None = None,
    ) -> dict[str, Any]:
        limit_s = WAIT_S if wait_s is None else wait_s
        said: dict[str, Any] = {"json": body} if content is None else {"content": content, "headers": RAW}
        try:
            answer = self._client.request(method, f"/api/v1/{path}", params=params, timeout=limit_s, **said)
        except httpx.HTTPError as error:
            raise NotAnswered(
                f"the service at {self.url} did not answer ({type(error).__name__}). Try again in a minute; if it stays so, look "
                "at its output, and stop and start it."
            ) from error
        if answer.is_success:
            return answer.json()
        raise NotAnswered(f"the service at {self.url} refused ({answer.status_code}): {_why(answer)}")


def _why(answer: httpx.Response) -> str:
    if answer.status_code == 401:
        return f"it asks for a token: set {' or '.join(TOKENS)}"
    try:
        problem = answer.json()
    except ValueError:
        return answer.text[:200]
    # What to do next is told for who speaks HTTP; of an incident and its state the detail says enough.
    fields = ("detail",) if answer.status_code in (404, 409) else ("detail", "next")
    said = [str(problem.get(name)) for name in fields if problem.get(name)]
    if answer.status_code == 403:
        said.append(f"Commands send the one in {TOKENS[0]}.")
    flaws = [f"{flaw.get('where')}: got {flaw.get('got')}, {flaw.get('allowed')}" for flaw in problem.get("errors", [])]
    return ". ".join([*said, *flaws])
