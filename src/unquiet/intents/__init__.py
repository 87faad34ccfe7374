"""What the user asked for: texts become vectors, vectors become cells whose ids persist."""

from __future__ import annotations

from unquiet.intents.embedding import DIMENSIONS, embed
from unquiet.intents.labels import label_cells
from unquiet.intents.model import NO_TEXT, NOVEL, IntentModel
from unquiet.intents.pairing import nearest

__all__ = ["DIMENSIONS", "NOVEL", "NO_TEXT", "IntentModel", "embed", "label_cells", "nearest"]
