"""Texts that a community keeps (E9): sealed at the door with a key of their writer, stored sealed, read by whoever may,
gone with the key.

The door waits for a key half a second at most; then the event is taken and its text is not kept. A key that was
destroyed may be used by another process for a minute more: what it seals then nobody can read, and it is not stored.
"""

import asyncio
import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from kit.clock import uuid7
from kit.contracts import Envelope, activity_event_id, identity_member_id
from kit.contracts.events import Activity
from kit.contracts.members import MemberChanged
from kit.database import DatabaseUnavailable, Tx
from kit.errors import NotFound
from kit.log import Record
from kit.metrics import TEXTS
from kit.sealing import Box
from kit.service import ServiceRuntime
from services.events.store import activities, keeping
from services.events.texts.sealing import KEY_BYTES, TextKey, Unreadable, key_id_of, packed, unpacked
from services.events.wire import Arrival, said_in

PURPOSE = "events: text keys"
FRESH = timedelta(minutes=1)
LOOKUP_SECONDS = 0.5
PATIENCE = timedelta(seconds=2)
"""How long a database that gave no keys in time is not asked again."""

MOST = 20_000
SEALED, NO_KEY, NO_WRITER = "sealed", "no_key", "no_writer"
OUTCOMES = (SEALED, NO_KEY, NO_WRITER)

Writer = tuple[UUID, UUID]
"""A community and a computed id."""


class Keyring:
    """The keys that this process used lately."""

    def __init__(self, one: ServiceRuntime) -> None:
        self._one = one
        self._box = Box(one.settings.secret_key, PURPOSE)
        self._keys: dict[Writer, tuple[datetime, TextKey]] = {}
        self._again: datetime | None = None

    async def of(self, writers: Iterable[Writer]) -> dict[Writer, TextKey]:
        """Those that could be had in time; made for who has none."""
        now = self._one.clock()
        wanted = sorted(set(writers))
        missing = [writer for writer in wanted if not self._fresh(writer, now)]
        if missing and (self._again is None or now >= self._again):
            try:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    await self._fetch(missing, now)
                self._again = None
            except (DatabaseUnavailable, TimeoutError):
                self._again = now + PATIENCE
        return {writer: self._keys[writer][1] for writer in wanted if self._fresh(writer, now)}

    def _fresh(self, writer: Writer, now: datetime) -> bool:
        kept = self._keys.get(writer)
        return kept is not None and now - kept[0] < FRESH

    async def _fetch(self, missing: Sequence[Writer], now: datetime) -> None:
        async with self._one.db.read() as tx:
            rows = await keeping.keys(tx, writers=missing)
        there = {(row.community_id, row.actor_id) for row in rows}
        new = [writer for writer in missing if writer not in there]
        if new:
            async with self._one.db.begin() as tx:
                await keeping.add_keys(tx, rows=[self._made(tx, writer) for writer in new])
                # Another process may have been first: the row that is there counts.
                rows += await keeping.keys(tx, writers=new)
        if len(self._keys) + len(rows) > MOST:
            self._keys.clear()
        for row in rows:
            self._keys[row.community_id, row.actor_id] = now, self.opened(row)

    def _made(self, tx: Tx, writer: Writer) -> dict[str, Any]:
        sealed = self._box.seal(os.urandom(KEY_BYTES))
        whose = {"community_id": writer[0], "actor_id": writer[1]}
        return {**whose, "key_id": uuid7(tx.now), "sealed": sealed, "made_at": tx.now}

    def opened(self, row: Any) -> TextKey:
        return TextKey(row.key_id, self._box.open(row.sealed))

    def forget(self, writers: Iterable[Writer]) -> None:
        for writer in writers:
            self._keys.pop(writer, None)


def keyring_of(one: ServiceRuntime) -> Keyring:
    kept = one.memory.get("keyring")
    if kept is None:
        kept = one.memory["keyring"] = Keyring(one)
    assert isinstance(kept, Keyring)
    return kept


async def with_texts(
    one: ServiceRuntime, arrival: Arrival, items: Sequence[msgspec.Raw | bytes], records: Sequence[Record]
) -> list[Record]:
    """The records of these items, with what was written sealed beside the data. History keeps no text."""
    if arrival.import_name is not None:
        return list(records)
    said = [said_in(item) for item in items]
    community = arrival.community_id
    writers = [(community, identity_member_id(community, s.actor)) if s is not None and s.actor else None for s in said]
    keys = await keyring_of(one).of(writer for writer in writers if writer is not None)
    out = []
    for record, words, writer in zip(records, said, writers, strict=True):
        key = keys.get(writer) if writer is not None else None
        if words is None:
            out.append(record)
        elif key is None:
            TEXTS.labels(NO_KEY if writer is not None else NO_WRITER).inc()
            out.append(record)
        else:
            TEXTS.labels(SEALED).inc()
            sealed = key.seal(words.text, activity_event_id(community, words.source, words.id))
            out.append(_beside(record, packed(sealed)))
    return out


def _beside(record: Record, sealed: str) -> Record:
    assert record.value is not None
    return Record(record.key, record.value[:-1] + b',"sealedtext":"%s"}' % sealed.encode())


async def store_texts(tx: Tx, fresh: Sequence[Activity]) -> None:
    """Those whose community keeps texts still, whose key exists still, and whose time is not over already."""
    sealed = [a for a in fresh if a.sealed_text is not None and a.actor_id is not None]
    if not sealed:
        return
    wishes = await keeping.wishes(tx, community_ids=[a.community_id for a in sealed])
    rows = await keeping.keys(tx, writers=[(a.community_id, a.actor_id) for a in sealed if a.actor_id is not None])
    keys = {(row.community_id, row.actor_id): row.key_id for row in rows}
    kept = []
    for a in sealed:
        wish, body = wishes.get(a.community_id), unpacked(a.sealed_text or "")
        since = tx.now - timedelta(days=wish.keep_text_days) if wish is not None else tx.now
        if a.effective_at > since and keys.get((a.community_id, a.actor_id)) == key_id_of(body):
            names = {"event_id": a.event_id, "community_id": a.community_id, "actor_id": a.actor_id}
            kept.append({**names, "at": a.effective_at, "sealed": body})
    await keeping.add_texts(tx, rows=kept)


async def read_text(
    tx: Tx, one: ServiceRuntime, *, community_id: UUID, event_id: UUID, by: str
) -> tuple[str, datetime]:
    """What was written, and until when it is kept; that it was read is written down with it. NotFound otherwise."""
    row = await keeping.text_of(tx, community_id=community_id, event_id=event_id)
    wish = (await keeping.wishes(tx, community_ids=[community_id])).get(community_id)
    key = None
    if row is not None and wish is not None and tx.now < row.at + timedelta(days=wish.keep_text_days):
        [*rows] = await keeping.keys(tx, writers=[(community_id, row.actor_id)])
        key = keyring_of(one).opened(rows[0]) if rows else None
    if row is None or wish is None or key is None:
        raise NotFound("no text is kept of this event (any more)", code="text_unknown")
    try:
        text = key.open(row.sealed, event_id)
    except Unreadable as error:
        raise NotFound("the key of this text was destroyed", code="text_unknown") from error
    names = {"id": uuid7(tx.now), "community_id": community_id, "event_id": event_id, "actor_id": row.actor_id}
    await keeping.note_reading(tx, row={**names, "at": tx.now, "by": by})
    return text, row.at + timedelta(days=wish.keep_text_days)


async def erase_texts(tx: Tx, one: ServiceRuntime, *, community_id: UUID, member_id: UUID) -> tuple[int, int]:
    """Destroy the keys of a member under all its identities, and what they sealed here; how many of each."""
    ids = await activities.ids_of(tx, community_id=community_id, member_id=member_id)
    tx.after_commit.append(lambda: keyring_of(one).forget((community_id, id) for id in ids))
    return await keeping.destroy(tx, community_id=community_id, actor_ids=ids)


async def forget_erased(tx: Tx, batch: list[Envelope[MemberChanged]]) -> None:
    """Who is erased leaves no readable text, on the log neither."""
    for e in batch:
        if e.event.state == "erased":
            community_id = e.event.community_id
            ids = await activities.ids_of(tx, community_id=community_id, member_id=e.event.member_id)
            await keeping.destroy(tx, community_id=community_id, actor_ids=ids)
