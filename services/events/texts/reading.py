"""What the door makes of a text before anything is written down (E9)."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from services.events.texts.language import language
from services.events.texts.similarity import ROOM, Pieces, similarity

_LINK = re.compile(r"https?://", re.IGNORECASE)

TEXT, SIMILARITY, PROVED = "text", "similarity", "proved"
OURS = frozenset({TEXT, SIMILARITY, PROVED})
"""What never goes on as it was sent: what is written is reduced, and the others only we say."""


def reduced(data: Mapping[str, Any], pieces: Pieces | None) -> dict[str, Any]:
    """The data without what people wrote, and with what is kept of it.

    `similarity` and `proved` are never the sender's: who has not our key cannot know them. The rest is the sender's
    where it says so, because it may know more than a text alone tells.
    """
    kept = {name: value for name, value in data.items() if name not in OURS}
    text = data.get(TEXT)
    if not isinstance(text, str):
        return kept
    kept.setdefault("length", len(text))
    kept.setdefault("distinct", distinct(text))
    kept.setdefault("has_link", _LINK.search(text) is not None)
    if kept.get("language") is None and (spoken := language(text)) is not None:
        kept["language"] = spoken
    if pieces is not None and (like := similarity(text, pieces)) is not None:
        kept[SIMILARITY] = like
    return kept


def distinct(text: str) -> int:
    """How many different characters of it can be seen, whatever their case: "hahaha" has two."""
    return sum(c.isprintable() and not c.isspace() for c in set(text.casefold()))


class Readers:
    """The pieces of each community, under a key of its own; at most `ROOM` of all communities together."""

    def __init__(self, key_of: Callable[[UUID], bytes]) -> None:
        self._key_of = key_of
        self._of: dict[UUID, Pieces] = {}

    def of(self, community_id: UUID) -> Pieces:
        if sum(map(len, self._of.values())) > ROOM:
            self._of.clear()
        found = self._of.get(community_id)
        if found is None:
            found = self._of[community_id] = Pieces(self._key_of(community_id))
        return found
