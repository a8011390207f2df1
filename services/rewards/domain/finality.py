"""What a finalised period comes to: one hash over its lines, which anybody can work out who has them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

from services.rewards.domain.boards import Slot

VERSION = "guildhall board 1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Lines:
    """SHA-256 over JSON arrays without spaces, one a line: what is finalised, then each member with score and time
    (whole microseconds since 1970), in the order of the ids."""

    def __init__(self, slot: Slot) -> None:
        board = slot.board
        self.count = 0
        self._hash = sha256()
        self._add([VERSION, str(board.community_id), board.id, str(board.generation), slot.kind, slot.key])

    def add(self, lines: Iterable[tuple[UUID, int, datetime]]) -> None:
        for member_id, score, reached_at in lines:
            self._add([str(member_id), score, (reached_at - _EPOCH) // timedelta(microseconds=1)])
            self.count += 1

    def _add(self, values: list[object]) -> None:
        self._hash.update(json.dumps(values, separators=(",", ":")).encode() + b"\n")

    @property
    def digest(self) -> bytes:
        return self._hash.digest()
