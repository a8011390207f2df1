"""One row an inbox: the last position, the number of unread messages, a count of changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select

from kit.database import Tx, add_up, insert_new, select_among
from services.notify.tables import inboxes as t

KEY = ("community_id", "member_id")
Owner = tuple[UUID, UUID]
"""(community, member)."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """`last` is the newest position, `changes` rises with everything that happens to the inbox."""

    last: int
    unread: int
    changes: int


async def count_in(tx: Tx, *, arriving: Mapping[Owner, int]) -> dict[Owner, int]:
    """Make room for so many messages each; the last position of every inbox afterwards.

    Holds the inboxes until the transaction ends: positions appear in the order in which they are given.
    """
    rows = [{"community_id": c, "member_id": m, "last": n, "unread": n, "changes": 1} for (c, m), n in arriving.items()]
    columns = (*KEY, "last")
    after = await add_up(tx, t, rows, key=KEY, add=("last", "unread", "changes"), returning=columns)
    return {(c, m): last for c, m, last in after}


async def count_out(tx: Tx, *, leaving: Mapping[Owner, int]) -> dict[Owner, int]:
    """Undo `count_in` for so many messages each, in the same transaction; the last position of every inbox after."""
    rows = [
        {"community_id": c, "member_id": m, "last": -n, "unread": -n, "changes": 0} for (c, m), n in leaving.items()
    ]
    after = await add_up(tx, t, rows, key=KEY, add=("last", "unread"), returning=(*KEY, "last"))
    return {(c, m): last for c, m, last in after}


async def remove(tx: Tx, *, community_id: UUID, member_id: UUID) -> None:
    await tx.execute(delete(t).where(t.c.community_id == community_id, t.c.member_id == member_id))


async def count_read(tx: Tx, *, read: Mapping[Owner, int]) -> None:
    """So many unread messages fewer."""
    rows = [
        {"community_id": c, "member_id": m, "last": 0, "unread": -n, "changes": 1} for (c, m), n in read.items() if n
    ]
    await add_up(tx, t, rows, key=KEY, add=("unread", "changes"))


async def hold(tx: Tx, *, owners: Iterable[Owner]) -> None:
    """The inboxes, those there are, held until the transaction ends."""
    await select_among(tx, [t.c.last], (t.c.community_id, t.c.member_id), list(owners), lock=True)


async def lock(tx: Tx, *, community_id: UUID, member_id: UUID) -> Inbox:
    """The inbox, held until the transaction ends."""
    row = {"community_id": community_id, "member_id": member_id, "last": 0, "unread": 0, "changes": 0}
    await insert_new(tx, t, [row], key=KEY)
    where = t.c.community_id == community_id, t.c.member_id == member_id
    found = await tx.one(select(t).where(*where).with_for_update())
    return Inbox(found.last, found.unread, found.changes)


async def one(tx: Tx, *, community_id: UUID, member_id: UUID) -> Inbox:
    row = await tx.first(select(t).where(t.c.community_id == community_id, t.c.member_id == member_id))
    return Inbox(row.last, row.unread, row.changes) if row is not None else Inbox(0, 0, 0)
