"""Replays (E16): stored activities go onto the log once more, with the ids they have, for whoever lacks them.

Who has them drops them: each consumer knows the events it handled, and after that the ledger what it paid and the
timeline what it holds. Nobody is told of anything because of one.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kit import codec
from kit.clock import uuid7
from kit.codec import ActivityWire
from kit.contracts import ACTIVITY_TOPIC
from kit.database import Database, Tx, try_lock
from kit.errors import Conflict, NotFound
from kit.log import Record
from kit.metrics import REPLAYED
from kit.service import ServiceRuntime
from services.events.store import activities
from services.events.store import replays as store
from services.events.store.replays import CANCELLED, DONE, OPEN, PAUSED, RUNNING, Chosen

AT_ONCE = 500
LEASE = timedelta(seconds=15)


async def chosen_of(
    tx: Tx,
    *,
    community_id: UUID,
    since: datetime,
    until: datetime,
    types: Sequence[str],
    members: Sequence[UUID],
    groups: Sequence[str],
) -> Chosen:
    """Members with every identity that is theirs now."""
    ids = [id for member in members for id in await activities.ids_of(tx, community_id=community_id, member_id=member)]
    return Chosen(community_id, since, until, tuple(types), tuple(ids), tuple(groups))


async def start(tx: Tx, *, row: dict[str, Any]) -> dict[str, Any]:
    """The replay, counted; Conflict while another of the community is not over."""
    community_id = row["community_id"]
    await _alone(tx, community_id)
    chosen = await chosen_of(tx, **{name: row[name] for name in _CHOICE}, community_id=community_id)
    made = {
        **row,
        "id": uuid7(tx.now),
        "members": [str(member) for member in row["members"]],
        "state": RUNNING,
        "total": await store.count(tx, chosen=chosen),
        "sent": 0,
        **dict.fromkeys(("cursor_at", "cursor_id", "claimed_by", "claimed_until")),
        "created_at": tx.now,
        "changed_at": tx.now,
    }
    await store.add(tx, row=made)
    return made


_CHOICE = ("since", "until", "types", "members", "groups")


async def _alone(tx: Tx, community_id: UUID) -> None:
    # Two that begin at once would not see each other's row.
    locked = await try_lock(tx, f"replays {community_id}")
    if not locked or await store.open_one(tx, community_id=community_id) is not None:
        raise Conflict("another replay is not over; wait for it or cancel it", code="replay_open")


async def found(tx: Tx, *, community_id: UUID, replay_id: UUID, lock: bool = False) -> Any:
    row = await store.one(tx, community_id=community_id, replay_id=replay_id, lock=lock)
    if row is None:
        raise NotFound("no such replay", code="replay_unknown")
    return row


async def turn(tx: Tx, *, community_id: UUID, replay_id: UUID, to: str) -> Any:
    """Paused, cancelled or running again from where it is. What is on its way to the log at this moment still goes.
    Conflict for one that is over, or is to run again while another does."""
    row = await found(tx, community_id=community_id, replay_id=replay_id, lock=True)
    if row.state == to:
        return row
    if row.state == DONE or (row.state == CANCELLED and to == PAUSED):
        raise Conflict(f"this replay is {row.state}", code="replay_over")
    if to == RUNNING and row.state not in OPEN:
        await _alone(tx, community_id)
    await store.change(tx, community_id=community_id, replay_id=replay_id, values={"state": to, "changed_at": tx.now})
    return await found(tx, community_id=community_id, replay_id=replay_id)


async def step(one: ServiceRuntime, replay_id: UUID, me: UUID, most: int) -> int:
    """Send up to `most` more of a replay; how many went. First onto the log, then the cursor: who is killed in between
    leaves some that are sent again, and never one that is not sent."""
    async with one.db.begin() as tx:
        row = await store.claim(tx, replay_id=replay_id, by=me, until=tx.now + LEASE)
        if row is None:
            return 0
        chosen = await chosen_of(
            tx,
            community_id=row.community_id,
            since=row.since,
            until=row.until,
            types=row.types,
            members=[UUID(member) for member in row.members],
            groups=row.groups,
        )
    sent, place = 0, _place(row)
    while sent < most:
        wanted = min(AT_ONCE, most - sent)
        async with one.db.read() as tx:
            rows = await store.activities(tx, chosen=chosen, after=place, limit=wanted)
        if rows:
            await one.log.append(ACTIVITY_TOPIC, [_record(activity, replay_id) for activity in rows])
            REPLAYED.inc(len(rows))
            place, sent = (rows[-1].effective_at, rows[-1].event_id), sent + len(rows)
        if not await _keep_place(one.db, replay_id, me, place, row.sent + sent, over=len(rows) < wanted):
            break
        if len(rows) < wanted:
            break
    return sent


def _place(row: Any) -> tuple[datetime, UUID] | None:
    return None if row.cursor_at is None else (row.cursor_at, row.cursor_id)


async def _keep_place(
    db: Database, replay_id: UUID, me: UUID, place: tuple[datetime, UUID] | None, sent: int, *, over: bool
) -> bool:
    async with db.begin() as tx:
        values: dict[str, Any] = {"sent": sent, "claimed_until": tx.now + LEASE, "changed_at": tx.now}
        if place is not None:
            values |= {"cursor_at": place[0], "cursor_id": place[1]}
        if over:
            values |= {"state": DONE, "claimed_by": None, "claimed_until": None}
        return await store.advance(tx, replay_id=replay_id, by=me, values=values)


def _record(a: Any, replay_id: UUID) -> Record:
    """As it stood on the log: the same key, the same attributes, and which replay it is of."""
    flags: dict[str, Any] = dict.fromkeys(a.flags, True)
    wire = ActivityWire(
        specversion="1.0",
        id=a.source_id,
        source=a.source,
        type=a.type,
        time=a.occurred_at,
        communityid=a.community_id,
        receivedtime=a.received_at,
        data=a.data,
        effectivetime=a.effective_at if a.effective_at != a.occurred_at else None,
        subject=a.subject,
        importname=a.import_name,
        replayid=str(replay_id),
        connection=str(a.connection_id) if a.connection_id is not None else None,
        **flags,
    )
    whose = a.actor_id or hashlib.sha256(a.source_id.encode()).hexdigest()[:16]
    return Record(f"{a.community_id}:{whose}".encode(), codec.encode_activity(wire))
