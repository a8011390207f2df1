"""Who is to be erased, as it is told, and the transactions in which that is done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from kit import copies
from kit.contracts import Envelope
from kit.contracts.members import MemberChanged
from kit.database import Database, Tx
from services.rewards.domain.erasing import ERASED
from services.rewards.store import erasures as store


class Waiting(Exception):
    """Something has to be over first; the step is taken again later."""


class Overtaken(Exception):
    """Another process took this step."""


async def follow_members(tx: Tx, batch: list[Envelope[MemberChanged]]) -> None:
    """Who is erased is put down for it, once however often it is told. What is known of them now counts, not what the
    batch says."""
    pairs = sorted({(e.event.community_id, e.event.member_id) for e in batch if e.event.state == ERASED})
    if not pairs:
        return
    known = await copies.known_members_of(tx, pairs)
    rows = [_row(tx, *pair) for pair in pairs if pair in known and known[pair].state == ERASED]
    await store.ask(tx, rows)


def _row(tx: Tx, community_id: UUID, member_id: UUID) -> dict[str, Any]:
    return {
        "community_id": community_id,
        "member_id": member_id,
        # Of nothing but chance: no secret, and nothing that is known of the member, leads to it.
        "pseudonym": uuid4(),
        "state": store.WORKING,
        "step": 0,
        "kept": 0,
        "asked_at": tx.now,
        "again_at": None,
    }


@asynccontextmanager
async def held(db: Database, one: Any) -> AsyncIterator[Tx]:
    """A transaction of a step, with the erasure held; Overtaken where it is no longer at that step."""
    async with db.begin() as tx:
        now = await store.hold(tx, one.community_id, one.member_id)
        if now is None or (now.state, now.step) != (one.state, one.step):
            raise Overtaken
        yield tx
