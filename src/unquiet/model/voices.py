"""The voice: a ticket, a complaint, a rating or a post, as an Arrow table of fixed schema."""

from __future__ import annotations

import pyarrow as pa

TICKET, RATING, POST = "ticket", "rating", "post"
KINDS = (TICKET, RATING, POST)

SESSION, USER, SIMILARITY, UNJOINED = "session", "user", "similarity", "none"
JOINS = (SESSION, USER, SIMILARITY, UNJOINED)
"""How a voice was joined to a session: it names the session; it is of the session's user; it reads like the request; not."""

VOICES = pa.schema(
    [
        pa.field("voice_id", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("text", pa.large_string()),
        pa.field("user_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("rating", pa.float64()),
        pa.field("facets", pa.map_(pa.string(), pa.string())),
    ]
)
"""The table of voices.

`voice_id` identifies a voice across exports: the same id twice is a duplicate. `time` is when somebody said it. `kind` is one
of KINDS, `origin` the system or format that it came from (csv, zendesk, intercom ...). `rating` runs from 0 (worst) to 1
(best). `user_id` and `session_id` are null where the export does not tell them. `facets` holds every other scalar attribute,
as text, keys unique.
"""

VOICE_JOINS = pa.schema(
    [
        pa.field("voice_id", pa.string(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("how", pa.string(), nullable=False),
        pa.field("session_id", pa.string()),
        pa.field("similarity", pa.float64()),
        pa.field("rank", pa.float64()),
    ]
)
"""To which session each voice belongs.

`how` is one of JOINS, `time` that of the voice. `similarity` is the cosine of the voice and the request of the session that is
most like it, `rank` the share of all requests that are less like it; null where there is no text, or the voice names the session.
"""
