"""Saying things through a bot that stands at our door: over its socket, or in the answer to its delivery.

A call is recorded before it is made and made at most once: what was recorded and never ended is `unknown`.
"""

import asyncio
from collections.abc import Container, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from kit import outbox
from kit.contracts import Envelope
from kit.contracts.events import CallEnded
from kit.contracts.notify import CallWanted
from kit.database import Database, DatabaseUnavailable, Tx
from kit.metrics import CALLS
from kit.outside import NoAnswer, NotCalled
from kit.service import ServiceRuntime
from services.events.receivers.form import Answer, Receiver, Said
from services.events.sockets import Socket, sockets_of
from services.events.store import calls as store

SENT, FAILED, EXPIRED, UNKNOWN = "sent", "failed", "expired", "unknown"
OUTCOMES = (SENT, FAILED, EXPIRED, UNKNOWN)
QUICK_SECONDS = 0.8
"""How long a delivery that is a command is held for its answer; platforms wait a second and longer."""
LOOK_SECONDS = 0.1
ANSWER_SECONDS = 10.0
LOST_AFTER = timedelta(seconds=60)
AT_ONCE = 100


async def take_calls(tx: Tx, batch: list[Envelope[CallWanted]]) -> None:
    rows = [
        {
            "call_id": e.event.call_id,
            "community_id": e.event.community_id,
            "connection_id": e.event.connection_id,
            "cause_id": e.event.cause_id,
            "group_ref": e.event.group,
            "identity": e.event.identity,
            "text": e.event.text,
            "reply_to": e.event.reply_to,
            "state": store.WAITING,
            "state_at": tx.now,
            "expires_at": e.event.expires_at,
        }
        for e in batch
    ]
    await store.add(tx, rows=rows)


async def claim(db: Database, row: Any) -> bool:
    """Record that the call is being made; False when somebody else makes it, or its time is over."""
    async with db.begin() as tx:
        if row.expires_at <= tx.now:
            return False
        return await store.move(tx, call_id=row.call_id, before=[store.WAITING], after=store.CALLING)


async def end(db: Database, row: Any, outcome: str, reason: str = "", reference: str | None = None) -> None:
    """Say what became of it, once."""
    async with db.begin() as tx:
        if not await store.move(tx, call_id=row.call_id, before=[store.WAITING, store.CALLING], after=store.ENDED):
            return
        who = {name: getattr(row, name) for name in ("community_id", "connection_id", "call_id")}
        outbox.add(tx, CallEnded(outcome=outcome, reason=reason[:300], reference=reference, **who))
        tx.after_commit.append(CALLS.labels(outcome).inc)


async def answer_to(
    one: ServiceRuntime, receiver: Receiver[Any, Any], connection_id: UUID, event_id: UUID
) -> tuple[Any, Answer] | None:
    """What is to be said about this activity, claimed, and the answer to the delivery that says it. None when nothing
    came in time, or the bot has a socket, where it is told what came of it: it goes that way then, or not at all."""
    if receiver.speech is None or sockets_of(one).of(connection_id) is not None:
        return None
    try:
        async with asyncio.timeout(QUICK_SECONDS):
            row = await _appears(one, event_id)
        return (row, receiver.speech.quick(said(row))) if await claim(one.db, row) else None
    except (DatabaseUnavailable, TimeoutError):
        # The command itself is durable: the delivery is not to be sent again for want of an answer.
        return None


async def _appears(one: ServiceRuntime, event_id: UUID) -> Any:
    while True:
        async with one.db.read() as tx:
            row = await store.answering(tx, cause_id=event_id)
        if row is not None:
            return row
        await asyncio.sleep(LOOK_SECONDS)


def said(row: Any) -> Said:
    return Said(text=row.text, group=row.group_ref, identity=row.identity, reply_to=row.reply_to)


async def find_calls(one: ServiceRuntime, busy: Container[UUID]) -> dict[UUID, list[Any]]:
    """What waits for the bots whose sockets end in this process and that are not being called now."""
    here = [connection_id for connection_id in sockets_of(one).connections() if connection_id not in busy]
    if not here:
        return {}
    async with one.db.read() as tx:
        rows = await store.waiting(tx, connection_ids=here, limit=AT_ONCE)
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row.connection_id, []).append(row)
    return found


async def make_calls(one: ServiceRuntime, rows: Sequence[Any]) -> None:
    """To one bot, one after the other: it says them in this order."""
    for row in rows:
        socket = sockets_of(one).of(row.connection_id)
        if socket is None:
            return
        if await claim(one.db, row):
            outcome, reason, reference = await _called(socket, row)
            await end(one.db, row, outcome, reason, reference)


async def _called(socket: Socket, row: Any) -> tuple[str, str, str | None]:
    try:
        outcome = await socket.call(said(row), ANSWER_SECONDS)
    except NotCalled as error:
        return FAILED, str(error), None
    except NoAnswer as error:
        return UNKNOWN, str(error), None
    return (SENT if outcome.sent else FAILED), outcome.reason, outcome.reference


async def give_up(one: ServiceRuntime) -> None:
    """What nobody could say in time, and what began in a process that is gone."""
    async with one.db.read() as tx:
        rows = await store.overdue(tx, called_before=tx.now - LOST_AFTER, limit=AT_ONCE)
    for row in rows:
        if row.state == store.WAITING:
            await end(one.db, row, EXPIRED, "the bot was not there")
        else:
            await end(one.db, row, UNKNOWN, "its outcome was not written down")
