"""What the user asked for: texts become vectors, vectors become cells whose ids persist; new kinds show by their words."""

from __future__ import annotations

from unquiet.intents.embedding import DIMENSIONS, embed
from unquiet.intents.grouping import grouped, joining
from unquiet.intents.labels import label_cells
from unquiet.intents.model import NO_TEXT, NOVEL, IntentModel
from unquiet.intents.novelty import NEW, ORDINARY, UNKNOWN, Novelty, Request, Waiting, marks_of, request_keys
from unquiet.intents.outlook import Outlook
from unquiet.intents.pairing import nearest

__all__ = [
    "DIMENSIONS",
    "NEW",
    "NOVEL",
    "NO_TEXT",
    "ORDINARY",
    "UNKNOWN",
    "IntentModel",
    "Novelty",
    "Outlook",
    "Request",
    "Waiting",
    "embed",
    "grouped",
    "joining",
    "label_cells",
    "marks_of",
    "nearest",
    "request_keys",
]
