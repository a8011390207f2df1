"""Activities as they were handled (`handlers.keeping`), without who was erased: the identities, ids and names of fields
that name them say the pseudonym instead, so that rules that are run over them decide on all others as they did."""

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import UUID

import msgspec

from kit.contracts import identity_member_id
from kit.database import Database
from kit.turns import in_turns
from services.rewards.domain.erasing import scrubbed
from services.rewards.handlers import keeping
from services.rewards.handlers.erasing.asking import Waiting, held
from services.rewards.handlers.keeping import Kept, Person
from services.rewards.store import erased, erasures
from services.rewards.store import kept as store
from services.rewards.tables.kept import kept_activities

PIECE = 20
"""Rows, of a batch each."""

LONGEST = 300
"""No identity is longer."""


class Names:
    """What of texts names the member: identities that compute to one of the ids, and the ids themselves."""

    def __init__(self, community_id: UUID, ids: Collection[UUID], pseudonym: UUID) -> None:
        self._community_id, self._ids, self._pseudonym = community_id, frozenset(ids), pseudonym
        self._known: dict[str, bool] = {}
        self._texts = {form for id in ids for form in (str(id), id.hex)}

    def said(self, text: str) -> str:
        """The text, or the pseudonym."""
        if text in self._texts:
            return str(self._pseudonym)
        if ":" not in text or len(text) > LONGEST:
            return text
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._names(text)
        return f"member:{self._pseudonym}" if known else text

    def _names(self, identity: str) -> bool:
        try:
            return identity_member_id(self._community_id, identity) in self._ids
        except ValueError:
            return False

    def id(self, id: UUID | None) -> UUID | None:
        return self._pseudonym if id in self._ids else id

    def person(self, person: Person | None) -> Person | None:
        if person is None or person.id not in self._ids:
            return person
        return msgspec.structs.replace(person, id=self._pseudonym)

    def item(self, item: Kept) -> Kept:
        data = msgspec.json.decode(item.data)
        now = scrubbed(data, self.said)
        return msgspec.structs.replace(
            item,
            subject=None if item.subject is None else self.said(item.subject),
            actor=None if item.actor is None else self.said(item.actor),
            actor_id=self.id(item.actor_id),
            author=None if item.author is None else self.said(item.author),
            author_id=self.id(item.author_id),
            data=item.data if now == data else msgspec.json.encode(now),
            who=self.person(item.who),
            whose=self.person(item.whose),
            inviter_id=self.id(item.inviter_id),
            inviter=self.person(item.inviter),
        )


async def replace(db: Database, one: Any, stopping: asyncio.Event) -> None:
    async with db.read() as tx:
        linked = await erased.computed_ids(tx, one.community_id, one.member_id)
        head = await store.head(tx, one.community_id)
    names, place = Names(one.community_id, {one.member_id, *linked}, one.pseudonym), one.kept
    while place < head:
        if stopping.is_set():
            raise Waiting("stopping")
        async with db.read() as tx:
            rows = await store.after(tx, one.community_id, place, head, PIECE)
        place = rows[-1].seq if rows else head
        changed = [
            {"community_id": one.community_id, "seq": r.seq, "body": b} for r in rows if (b := await _body(names, r))
        ]
        async with held(db, one) as tx:
            await erased.put_bodies(tx, kept_activities, ("community_id", "seq"), changed)
            await erasures.change(tx, one.community_id, one.member_id, kept=place)


async def _body(names: Names, row: Any) -> bytes | None:
    """None where the row does not name the member."""
    before = keeping.opened(row)
    items: list[Kept] = []
    async for part in in_turns(before.items):
        items += map(names.item, part)
    return None if items == before.items else keeping.packed(msgspec.structs.replace(before, items=items))
