"""What a service knows of the members service's entities: the newest version, whatever the order of arrival (K23)."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from kit import copies
from kit.contracts import Envelope, identity_member_id
from kit.contracts.members import (
    CommunityChanged,
    IdentityLinked,
    KeyChanged,
    MemberChanged,
    MemberTokensRevoked,
    SessionChanged,
    SigningKeyChanged,
)
from kit.database import Database, metadata_for

METADATA = metadata_for("scratch")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
COMMUNITY = UUID(int=1)


@pytest.fixture
async def db(scratch: Callable[[object], Awaitable[Database]]) -> Database:
    return await scratch(METADATA)


def community(id: UUID = COMMUNITY, version: int = 1, **more: Any) -> CommunityChanged:
    base = CommunityChanged(
        community_id=id, version=version, name="n", zone="UTC", day_start=0, locale="en", state="active"
    )
    return replace(base, **more)


def member(id: UUID, version: int = 1, **more: Any) -> MemberChanged:
    base = MemberChanged(
        community_id=COMMUNITY,
        member_id=id,
        version=version,
        display_name=f"v{version}",
        state="active",
        kind="person",
        locale=None,
        zone=None,
        identities=(),
        changed_at=NOW,
    )
    return replace(base, **more)


def key(id: UUID, version: int) -> KeyChanged:
    return KeyChanged(
        key_id=id,
        version=version,
        name=f"v{version}",
        hash="0" * 64,
        kind="bot",
        mode="live",
        communities=(COMMUNITY,),
        scopes=("events:write",),
        expires_at=None,
        revoked_at=NOW if version > 2 else None,
    )


def history(draw: random.Random) -> list[Any]:
    """Some versions of some entities of every kind."""
    events: list[Any] = []
    for number in range(1, 4):
        id = UUID(int=100 + number)
        for version in range(1, draw.randrange(2, 6)):
            events += [
                community(UUID(int=number), version, name=f"v{version}"),
                member(id, version),
                key(id, version),
                IdentityLinked(
                    community_id=COMMUNITY, identity=f"chat:{number}", member_id=UUID(int=version), version=version
                ),
                SigningKeyChanged(kid=f"k{number}", version=version, x=f"x{version}", created_at=NOW, retired_at=None),
                MemberTokensRevoked(
                    community_id=COMMUNITY,
                    member_id=id,
                    version=version,
                    issued_before=NOW + timedelta(seconds=version),
                ),
                SessionChanged(
                    session_id=id,
                    version=version,
                    hash=f"h{version}",
                    operator="o",
                    role="owner",
                    communities=(),
                    expires_at=NOW,
                    revoked_at=None,
                ),
            ]
    return events


async def snapshot(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    tables = [table for name, table in METADATA.tables.items() if name.startswith("known_")]
    async with db.read() as tx:
        return {t.name: sorted(tuple(map(str, row)) for row in await tx.all(select(t))) for t in tables}


async def consume(db: Database, events: list[Any], draw: random.Random) -> None:
    """In batches of any size, as a consumer does: one transaction each, handlers by class."""
    while events:
        size = draw.randrange(1, 12)
        batch, events = events[:size], events[size:]
        async with db.begin() as tx:
            for cls, handler in copies.SUBSCRIPTIONS.items():
                mine = [Envelope(uuid4(), NOW, None, None, e) for e in batch if type(e) is cls]
                if mine:
                    await handler(tx, mine)


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_and_any_repetition_leaves_the_newest_version_of_each(db: Database, seed: int) -> None:
    draw = random.Random(seed)
    events = history(draw)
    await consume(db, events, draw)
    in_order = await snapshot(db)
    assert all(in_order.values()), "every kind of copy was made"
    async with db.begin() as tx:
        for table in METADATA.tables.values():
            if table.name.startswith("known_"):
                await tx.execute(table.delete())
    shuffled = [*events, *draw.sample(events, len(events) // 2)]
    draw.shuffle(shuffled)
    await consume(db, shuffled, draw)
    assert await snapshot(db) == in_order


async def test_a_topic_read_again_from_the_beginning_changes_nothing(db: Database) -> None:
    draw = random.Random(9)
    events = history(draw)
    await consume(db, events, draw)
    before = await snapshot(db)
    await consume(db, events, draw)
    assert await snapshot(db) == before


async def test_a_service_that_starts_empty_rebuilds_from_the_newest_of_each_key(db: Database) -> None:
    """What compaction leaves of the topic is enough."""
    draw = random.Random(3)
    events = history(draw)
    await consume(db, events, draw)
    whole = await snapshot(db)
    async with db.begin() as tx:
        for table in METADATA.tables.values():
            if table.name.startswith("known_"):
                await tx.execute(table.delete())
    newest: dict[tuple[Any, ...], Any] = {}
    for event in events:
        entity = getattr(event, "identity", None) or getattr(event, "kid", None) or getattr(event, "key_id", None)
        about = entity or getattr(event, "session_id", None) or getattr(event, "member_id", None) or event.community_id
        newest[type(event), about] = event
    await consume(db, list(newest.values()), draw)
    assert await snapshot(db) == whole


async def test_an_identity_leads_to_the_member_it_was_linked_to_or_to_itself(db: Database) -> None:
    person = uuid4()
    linked, free = identity_member_id(COMMUNITY, "chat:1"), identity_member_id(COMMUNITY, "chat:2")
    async with db.begin() as tx:
        link = IdentityLinked(community_id=COMMUNITY, identity="chat:1", member_id=person, version=1)
        await copies.apply(tx, [link])
        got = await copies.resolve_members(tx, [(COMMUNITY, linked), (COMMUNITY, free), (UUID(int=2), linked)])
    assert got == {(COMMUNITY, linked): person, (COMMUNITY, free): free, (UUID(int=2), linked): linked}


async def test_members_of_another_community_are_not_known_under_ours(db: Database) -> None:
    id = uuid4()
    async with db.begin() as tx:
        await copies.apply(tx, [member(id, display_name="ours"), replace(member(id), community_id=UUID(int=2))])
        assert (await copies.known_members(tx, COMMUNITY, [id]))[id].display_name == "ours"
        assert await copies.known_members(tx, UUID(int=3), [id]) == {}
        assert await copies.known_community(tx, UUID(int=3)) is None
