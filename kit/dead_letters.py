"""Events given up on: the original bytes with the reason, listed, retried, edited, discarded (K32, K33).

A retry runs the service's own handlers on the stored bytes inside the caller's transaction: it either has all its
effects and the row is `retried`, or none and the row stays `dead` with one attempt more.
"""

import hashlib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from kit import codec, inbox
from kit.clock import uuid7
from kit.contracts import Envelope
from kit.contracts.events import Activity
from kit.database import Tx, insert_many, is_infrastructure
from kit.errors import BadMessage, Conflict, NotFound, Unprocessable
from kit.log import Stored
from kit.metrics import DEAD_LETTERS_WRITTEN
from kit.service import Handler

Handlers = Mapping[type, Sequence[Handler]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`state` is dead, retried or discarded; `body` the original bytes; `stack_digest` groups equal failures."""

    id: UUID
    event_id: UUID | None
    community_id: UUID | None
    consumer: str
    topic: str
    code: str
    message: str
    stack_digest: str
    attempts: int
    state: str
    reason: str | None
    created_at: datetime
    body: bytes


_FIELDS = tuple(field.name for field in fields(DeadLetter))


async def give_up(tx: Tx, consumer: str, record: Stored, envelope: Envelope[Any] | None, error: Exception) -> None:
    """Write the dead letter of `record` in the transaction of its batch."""
    code = error.code if isinstance(error, BadMessage) else f"bug.{type(error).__name__}"
    frames = "\n".join(f"{f.filename}:{f.name}" for f in traceback.extract_tb(error.__traceback__))
    tx.after_commit.append(DEAD_LETTERS_WRITTEN.labels(tx.database.service).inc)
    row = {
        "id": uuid7(tx.now),
        "event_id": envelope.id if envelope else None,
        "community_id": envelope.community_id if envelope else None,
        "consumer": consumer,
        "topic": record.topic,
        "log_partition": record.partition,
        "log_offset": record.offset,
        "key": record.key,
        "body": record.value or b"",
        "code": code[:100],
        "message": str(error)[:2000],
        "stack_digest": hashlib.sha256(f"{type(error).__name__}\n{frames}".encode()).hexdigest()[:16],
        "attempts": 1,
        "state": "dead",
        "reason": None,
        "created_at": tx.now,
        "changed_at": tx.now,
    }
    await insert_many(tx, tx.database.table("dead_letters"), [row])


def _columns(tx: Tx) -> list[ColumnElement[Any]]:
    table = tx.database.table("dead_letters")
    return [table.c[name] for name in _FIELDS]


async def list_dead(
    tx: Tx,
    *,
    community_id: UUID | None = None,
    code: str | None = None,
    state: str = "dead",
    limit: int = 50,
    before: tuple[datetime, UUID] | None = None,
) -> list[DeadLetter]:
    """Newest first; `before` is the (created_at, id) of the last one of the page before.

    With `community_id` only that community's: a letter nobody could decode belongs to no community.
    """
    t = tx.database.table("dead_letters").c
    stmt = select(*_columns(tx)).where(t.state == state)
    if community_id is not None:
        stmt = stmt.where(t.community_id == community_id)
    if code is not None:
        stmt = stmt.where(t.code == code)
    if before is not None:
        at, last = before
        stmt = stmt.where(or_(t.created_at < at, and_(t.created_at == at, t.id < last)))
    rows = await tx.all(stmt.order_by(t.created_at.desc(), t.id.desc()).limit(limit))
    return [DeadLetter(**row._mapping) for row in rows]


async def count_dead(tx: Tx) -> int:
    t = tx.database.table("dead_letters").c
    return int(await tx.scalar(select(func.count()).where(t.state == "dead")))


async def _dead(tx: Tx, id: UUID, community_id: UUID | None) -> tuple[DeadLetter, Stored]:
    table = tx.database.table("dead_letters")
    t = table.c
    row = await tx.first(
        select(*_columns(tx), t.log_partition, t.log_offset, t.key).where(t.id == id).with_for_update()
    )
    if row is None or (community_id is not None and row.community_id != community_id):
        raise NotFound("no such dead letter")
    letter = DeadLetter(**{name: getattr(row, name) for name in _FIELDS})
    if letter.state != "dead":
        raise Conflict(f"this dead letter was {letter.state} already", code="dead_letter_closed")
    return letter, Stored(row.topic, row.log_partition, row.log_offset, row.key, row.body)


async def retry(
    tx: Tx, handlers: Handlers, id: UUID, *, body: bytes | None = None, community_id: UUID | None = None
) -> DeadLetter:
    """Handle the event again, or `body` in its place (which must keep the event's id and community).

    Returns the letter: `retried` when it went through, still `dead` with the new error when it did not.
    """
    letter, stored = await _dead(tx, id, community_id)
    try:
        envelope = codec.decode(stored._replace(value=body if body is not None else stored.value))
        if envelope is None or type(envelope.event) not in handlers:
            raise BadMessage("unknown_type", "no handler of this service takes this event")
        _same_event(letter, envelope)
        if body is not None and isinstance(envelope.event, Activity) and "text" in envelope.event.data:
            # The door reduces it; whoever comes in behind the door has to leave it out.
            raise Unprocessable("a mended activity has no data.text: what people write is not kept", code="event_text")
        async with tx.savepoint():
            fresh = await inbox.keep_new(tx, [envelope])
            if letter.event_id is None and not fresh:
                raise BadMessage("duplicate", "this event was handled already")
            for handler in handlers[type(envelope.event)]:
                await handler(tx, [envelope])
    except Unprocessable:
        raise
    except Exception as error:
        # The same rule as in the consumer: passing trouble is the caller's to retry, all else is the letter's.
        if is_infrastructure(error):
            raise
        code = error.code if isinstance(error, BadMessage) else f"bug.{type(error).__name__}"
        failed = replace(letter, code=code[:100], message=str(error)[:2000], attempts=letter.attempts + 1)
        return await _save(tx, failed)
    return await _save(tx, replace(letter, state="retried", attempts=letter.attempts + 1, body=stored.value or b""))


def _same_event(letter: DeadLetter, envelope: Envelope[Any]) -> None:
    if letter.event_id is not None and envelope.id != letter.event_id:
        raise Unprocessable("an edited event keeps its id", code="event_id_changed")
    if letter.community_id is not None and envelope.community_id != letter.community_id:
        raise Unprocessable("an edited event keeps its community", code="community_changed")


async def discard(tx: Tx, id: UUID, reason: str, *, community_id: UUID | None = None) -> DeadLetter:
    """Close the letter without effect; `reason` is kept."""
    letter, _ = await _dead(tx, id, community_id)
    return await _save(tx, replace(letter, state="discarded", reason=reason))


async def bulk(
    tx: Tx,
    handlers: Handlers,
    *,
    code: str,
    action: str,
    reason: str = "",
    limit: int = 500,
    community_id: UUID | None = None,
) -> list[DeadLetter]:
    """`retry` or `discard` up to `limit` letters with this error code, oldest last; returns each as it is now."""
    letters = await list_dead(tx, community_id=community_id, code=code, limit=limit)
    if action == "discard":
        return [await discard(tx, letter.id, reason, community_id=community_id) for letter in letters]
    return [await retry(tx, handlers, letter.id, community_id=community_id) for letter in letters]


async def _save(tx: Tx, letter: DeadLetter) -> DeadLetter:
    table = tx.database.table("dead_letters")
    values = {name: getattr(letter, name) for name in ("code", "message", "attempts", "state", "reason")}
    await tx.execute(update(table).where(table.c.id == letter.id).values(**values, changed_at=tx.now))
    return letter
