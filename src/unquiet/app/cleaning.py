"""Cleaning: what settings of privacy mean for the traffic of each source, before anything of it reaches a disk."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from unquiet.conventions.privacy import Cleaner, clean_logs
from unquiet.conventions.private_json import clean_json_logs, clean_json_spans, clean_turn
from unquiet.conventions.private_names import Kinds, Lengths, Told
from unquiet.conventions.private_spans import clean_spans
from unquiet.model.privacy import PrivacySettings
from unquiet.privacy import Redactor, UserHasher


class Cleaning:
    """Cleans requests, documents and rows; what is cleaned in place says whether anything changed.

    `source` names who sent it: the name of its token. Safe for several threads at once.
    """

    def __init__(self, settings: PrivacySettings, key: bytes) -> None:
        """Cleaning as set, with the key of the folder (see `unquiet.privacy.folder_key`).

        Raises:
            ConfigError: patterns that cannot be used, all of them.
        """
        redactor, hasher = Redactor(settings.redact, settings.custom), UserHasher(key)
        self.hasher = hasher
        """What makes the pseudonym of an id: who must find the traffic of a user asks it."""
        self._settings = settings
        kinds, told, lengths = Kinds(), Told(), Lengths()
        on, off = (
            Cleaner(
                text=redactor if redactor.used else None,
                find=redactor.find if redactor.sees_raw else _anywhere,
                user=hasher if settings.hash_users else None,
                pseudonym=hasher,
                content=content,
                kinds=kinds,
                told=told,
                lengths=lengths,
            )
            for content in (True, False)
        )
        self._cleaners = {True: on, False: off}

    def traces(self, raw: bytes, source: str) -> bytes:
        """A serialised request of spans, cleaned; the same object where nothing is to be done, as it mostly is."""
        return clean_spans(raw, self._of(source))

    def logs(self, request: ExportLogsServiceRequest, source: str, raw: bytes | None = None) -> bool:
        """Clean log records."""
        return clean_logs(request, self._of(source), raw)

    def json_spans(self, document: dict[str, Any], source: str) -> bool:
        """Clean an OTLP/JSON document of spans."""
        return clean_json_spans(document, self._of(source))

    def json_logs(self, document: dict[str, Any], source: str) -> bool:
        """Clean an OTLP/JSON document of log records."""
        return clean_json_logs(document, self._of(source))

    def turn(self, row: dict[str, Any], source: str) -> bool:
        """Clean a row of the turn table."""
        return clean_turn(row, self._of(source))

    def _of(self, source: str) -> Cleaner:
        return self._cleaners[self._settings.content_of(source)]


def _anywhere(_data: bytes, start: int) -> int:
    """The raw bytes cannot tell: there may be something anywhere."""
    return start
