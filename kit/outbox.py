"""Leaving a service: events written in the same transaction as the state they tell of, carried out by the relay.

Guaranteed: an event is on the log if and only if its transaction committed, at least once, in order per key.
With `not_before` it leaves no earlier than that instant and as soon after as the relay runs: due work (K35) that
survives restarts, can be cancelled or moved in a transaction, and is consumed once in effect like any event.
Not guaranteed: a punctual minute, or an order between keys.
"""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Table, delete, func, or_, select, update

from kit import codec
from kit.clock import uuid7
from kit.contracts import contract_of
from kit.database import Database, DatabaseUnavailable, Leadership, Tx, delete_among, insert_many
from kit.log import MAX_RECORD_BYTES, Log, LogUnavailable, Record, RecordTooLarge
from kit.logging import request_id
from kit.metrics import LOG_APPEND_FAILURES, OUTBOX_OLDEST_SECONDS, OUTBOX_ROWS, OUTBOX_SENT

logger = structlog.get_logger(__name__)

RELAY_BATCH = 1000
RELAY_IDLE_SECONDS = 1.0


def outbox_of(tx: Tx) -> Table:
    return tx.database.table("outbox")


def add(
    tx: Tx, event: Any, *, not_before: datetime | None = None, due_key: str | None = None, id: UUID | None = None
) -> UUID:
    """Announce `event` (a contract instance) when this transaction commits; returns the event's id.

    `due_key` names due work inside the service, so that it can be cancelled or moved; adding a second row with a
    `due_key` that is still waiting raises an IntegrityError at commit. The row is written last (design rule 2).
    """
    contract = contract_of(type(event))
    if contract.event not in tx.database.publishes:
        raise ValueError(f"{tx.database.service} does not publish {contract.type}; list it in Service.publishes")
    event_id = id or uuid7(tx.now)
    key = contract.key(event)
    if not tx.outbox:
        # What another of the last steps announces comes after a flush, and needs one of its own.
        tx.last.append(_flush)
        tx.request_id = request_id()
    body = codec.encode(event, id=event_id, time=tx.now, request_id=tx.request_id)
    if len(key.encode()) + len(body) > MAX_RECORD_BYTES:
        # On the way out it would be too late: the relay could neither send it nor anything behind it.
        raise RecordTooLarge(f"{contract.type} of {len(body)} bytes is over the log's limit of {MAX_RECORD_BYTES}")
    tx.outbox.append(
        {
            "id": event_id,
            "topic": contract.topic,
            "key": key,
            "body": body,
            "created_at": tx.now,
            "not_before": not_before,
            "due_key": due_key,
        }
    )
    return event_id


async def _flush(tx: Tx) -> None:
    rows, tx.outbox = tx.outbox, []
    await insert_many(tx, outbox_of(tx), rows)
    tx.after_commit.append(tx.database.outbox_written.set)


async def cancel(tx: Tx, due_key: str) -> bool:
    """Take due work back; False when it has left already or never was."""
    table = outbox_of(tx)
    return (await tx.execute(delete(table).where(table.c.due_key == due_key))).rowcount > 0


async def move(tx: Tx, due_key: str, not_before: datetime) -> bool:
    """Give due work another time; False when it has left already or never was."""
    table = outbox_of(tx)
    done = await tx.execute(update(table).where(table.c.due_key == due_key).values(not_before=not_before))
    tx.after_commit.append(tx.database.outbox_written.set)
    return done.rowcount > 0


async def relay(db: Database, log: Log, stopping: asyncio.Event) -> None:
    """Carry outbox rows to the log until `stopping`; the one relay of its service (the others stand by).

    A row is deleted only after the log has it durably, so a crash in between sends it twice and the inbox of the
    reader drops the second. No cursor over `seq` is kept: a row committed late with a low number is found too.
    """
    while not stopping.is_set():
        try:
            async with db.leadership("relay") as lead:
                await _lead(db, log, stopping, lead)
        except (DatabaseUnavailable, LogUnavailable, OSError) as error:
            logger.warning("relay.waiting", service=db.service, error=str(error))
            await _pause(stopping, 1.0)
        except asyncio.CancelledError:
            raise
        except Exception:
            # A relay that died silently would stop every notification of the service: say it, wait, go on.
            logger.exception("relay.failed", service=db.service)
            await _pause(stopping, 2.0)


async def _lead(db: Database, log: Log, stopping: asyncio.Event, lead: Leadership) -> None:
    while not stopping.is_set():
        if not await lead.acquire():
            await _pause(stopping, 2.0)
            continue
        # Cleared before looking: a row committed while we look sets it again and the wait is short.
        db.outbox_written.clear()
        if await carry(db, log) == 0:
            await _wait(db, stopping)
    # What the last requests and batches announced leaves now rather than at the next start.
    if await lead.acquire():
        while await carry(db, log):
            pass


async def carry(db: Database, log: Log) -> int:
    """Move one batch of due rows to the log; returns how many left."""
    async with db.read() as tx:
        table = outbox_of(tx)
        due = or_(table.c.not_before.is_(None), table.c.not_before <= tx.now)
        sent = table.c.seq, table.c.topic, table.c.key, table.c.body
        rows = await tx.all(select(*sent).where(due).order_by(table.c.seq).limit(RELAY_BATCH))
    if not rows:
        return 0
    by_topic: dict[str, list[Record]] = {}
    for row in rows:
        by_topic.setdefault(row.topic, []).append(Record(row.key.encode(), row.body))
    for topic, records in by_topic.items():
        with LOG_APPEND_FAILURES.labels(db.service).count_exceptions(LogUnavailable):
            await log.append(topic, records)
    async with db.begin() as tx:
        await delete_among(tx, table, [table.c.seq], [(row.seq,) for row in rows])
    OUTBOX_SENT.labels(db.service).inc(len(rows))
    return len(rows)


async def _wait(db: Database, stopping: asyncio.Event) -> None:
    """Until this process writes a row, or a second has passed (other replicas' rows, due work)."""
    waits = [asyncio.ensure_future(db.outbox_written.wait()), asyncio.ensure_future(stopping.wait())]
    try:
        await asyncio.wait(waits, timeout=RELAY_IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return


async def waiting(tx: Tx) -> tuple[int, float]:
    """Rows that should have left by now, and the age in seconds of the oldest."""
    table = outbox_of(tx)
    due = or_(table.c.not_before.is_(None), table.c.not_before <= tx.now)
    since = func.min(func.coalesce(table.c.not_before, table.c.created_at), type_=table.c.created_at.type)
    row = await tx.one(select(func.count().label("rows"), since.label("since")).where(due))
    return int(row.rows), (tx.now - row.since).total_seconds() if row.since is not None else 0.0


async def refresh_metrics(db: Database) -> None:
    async with db.read() as tx:
        count, age = await waiting(tx)
    OUTBOX_ROWS.labels(db.service).set(count)
    OUTBOX_OLDEST_SECONDS.labels(db.service).set(max(age, 0.0))
