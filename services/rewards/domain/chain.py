"""The chain over a community's ledger: transactions are sealed in blocks, each with a hash over them and over the block
before. Whoever knows a later hash can tell that nothing sealed before it was changed, left out or put in since.

The form that is hashed is a public promise (docs/rewards.md): exports are verified with it, by anybody's program.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

NO_HASH = bytes(32)
"""What stands before the first block."""

MOST = 1000
"""Transactions in one block."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Line(NamedTuple):
    """One line of a transaction, without what may change later (how much of it was taken back)."""

    line: int
    owner_id: UUID
    unit: str
    amount: int
    effective_at: datetime
    day: date
    scored: int


class Transaction(NamedTuple):
    """A transaction as it was posted."""

    id: UUID
    community_id: UUID
    idem_key: bytes
    payload_hash: bytes
    kind: str
    rule_id: str | None
    rule_version: int | None
    source_event_id: UUID | None
    reverses: UUID | None
    reason: str
    actor: str
    approver: str | None
    created_at: datetime
    lines: Sequence[Line]


class Block(NamedTuple):
    """`number` counts from 1. `ids` are its transactions, ascending. It holds what was posted behind `after_id` up to
    `through_id` and was there when it was sealed; a block of what came later to sealed ground has neither."""

    community_id: UUID
    number: int
    hash: bytes
    ids: tuple[UUID, ...]
    after_id: UUID | None
    through_id: UUID | None
    sealed_at: datetime


def written(t: Transaction) -> bytes:
    """The bytes that stand for a transaction: a JSON array without spaces, in UTF-8. Ids are lower case with hyphens,
    keys and hashes hexadecimal, instants whole microseconds since 1970, days ISO; what is absent is null."""
    lines = [
        [one.line, str(one.owner_id), one.unit, one.amount, _micros(one.effective_at), one.day.isoformat(), one.scored]
        for one in sorted(t.lines)
    ]
    values = [
        str(t.id),
        str(t.community_id),
        t.idem_key.hex(),
        t.payload_hash.hex(),
        t.kind,
        t.rule_id,
        t.rule_version,
        _id(t.source_event_id),
        _id(t.reverses),
        t.reason,
        t.actor,
        t.approver,
        _micros(t.created_at),
        lines,
    ]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def _id(id: UUID | None) -> str | None:
    return None if id is None else str(id)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def digest(written: bytes) -> bytes:
    """What a transaction goes into a block by, unless an erasure made it another: then it is the one of before."""
    return sha256(written).digest()


def block_hash(before: bytes, number: int, digests: Iterable[bytes]) -> bytes:
    """SHA-256 over the hash before, the number in eight bytes (big-endian), and the digest of each transaction."""
    made = sha256(before + number.to_bytes(8, "big"))
    for one in digests:
        made.update(one)
    return made.digest()


def packed(ids: Sequence[UUID]) -> bytes:
    return b"".join(id.bytes for id in ids)


def unpacked(ids: bytes) -> tuple[UUID, ...]:
    return tuple(UUID(bytes=ids[at : at + 16]) for at in range(0, len(ids), 16))
