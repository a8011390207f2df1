"""Erasing people in tests, step by step and without the loop, and looking for what is left of them."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import cramjam
from sqlalchemy import Table, select

from kit import copies
from kit.contracts.members import MemberChanged
from kit.database import Database
from services.rewards.audits import AUDITS
from services.rewards.handlers import know_members
from services.rewards.handlers.erasing.running import erase_some
from services.rewards.handlers.sealing import seal_some
from services.rewards.store import erasures
from services.rewards.tables.erasures import closed_owners
from tests.rewards.guild import Guild, envelope
from tests.rewards.ledger.support import Place, member_changed

TOMBSTONES = frozenset({"known_members", "known_identities", "known_token_revocations", "erasures", "board_absences"})
"""What says of an id no more than that it is one of somebody who was erased."""

PASSING = frozenset({"outbox", "inbox", "dead_letters", "idempotency"})
"""What goes by itself within a day, or when it was sent."""


def gone(community_id: UUID, member_id: UUID) -> MemberChanged:
    """As the members service tells it."""
    event: MemberChanged = member_changed(community_id, member_id, "")
    return replace(event, state="erased", version=99)


async def hear(place: Place, *members: UUID) -> None:
    """The news, as the consumer takes it."""
    news = [gone(place.id, member) for member in members]
    async with place.db.begin() as tx:
        await copies.apply(tx, news)
        await know_members(tx, [envelope(one) for one in news])


async def steps(db: Database) -> int:
    """What can be done now."""
    done = 0
    while some := await erase_some(db, asyncio.Event()):
        done += some
    return done


async def finish(place: Place) -> None:
    """What was asked for, to its end."""
    await steps(place.db)
    place.db.clock.advance(timedelta(minutes=11))  # type: ignore[attr-defined]  # the test's ManualClock
    await steps(place.db)
    async with place.db.read() as tx:
        assert await erasures.open_ones(tx) == []


async def erase(guild: Guild, *names: str) -> None:
    await hear(guild, *[guild.member(name) for name in names])
    await finish(guild)


async def pseudonyms(place: Place) -> set[UUID]:
    async with place.db.read() as tx:
        rows = await tx.all(select(closed_owners).where(closed_owners.c.community_id == place.id))
    return {row.member_id for row in rows}


async def naming(db: Database, *texts: str) -> list[tuple[str, str]]:
    """(table, row) of what is kept of any of these, ids in all their forms; tombstones and what passes aside."""
    tables = [table for name, table in db.metadata.tables.items() if table.name not in TOMBSTONES | PASSING]
    return [
        (table.name, line)
        for table in tables
        for line in [line async for line in _lines(db, table)]
        if any(text in line for text in texts)
    ]


def forms(ids: Iterable[UUID]) -> Iterator[str]:
    for id in ids:
        yield from (str(id), id.hex)


async def _lines(db: Database, table: Table) -> Any:
    async with db.read() as tx:
        for row in await tx.all(select(table)):
            yield " ".join(_plain(value) for value in row)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            whole = bytes(cramjam.lz4.decompress_block(value))
        except cramjam.DecompressionError:
            whole = value
        return f"{value.hex()} {whole.hex()} {whole.decode('latin-1')}"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


async def faults(place: Place) -> list[str]:
    """All that the nightly audit would find, once everything is sealed."""
    place.db.clock.advance(timedelta(seconds=6))  # type: ignore[attr-defined]  # the test's ManualClock
    while await seal_some(place.db):
        pass
    async with place.db.read() as tx:
        return [fault for audit in AUDITS for fault in await audit.look(tx)]
