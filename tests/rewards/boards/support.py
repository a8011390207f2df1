"""Boards read as a member reads them: pages, ranks, names, and a second way of working them out."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from kit.clock import uuid7
from kit.database import Database
from kit.days import PERIOD_KINDS
from services.rewards.domain.boards import Board
from services.rewards.handlers import boards, ranking
from services.rewards.store import account_pages
from tests.rewards.ledger.support import Place

Row = tuple[int, int, int]
"""(rank, number of the member in the place, score)"""


async def make_board(
    place: Place, id: str = "b", *, unit: str = "points", policy: str = "competition", periods: tuple[str, ...] = ()
) -> None:
    async with place.db.begin() as tx:
        kinds = periods or PERIOD_KINDS
        board = Board(place.id, id, uuid7(tx.now), "Board", unit, policy, kinds, tx.now)
        await boards.create(tx, board)


def rows_of(place: Place, lines: ranking.Lines) -> list[Row]:
    return [(line.rank, place.members.index(line.member_id), line.score) for line in lines.items]


async def page(
    place: Place,
    id: str = "b",
    kind: str = "all",
    key: str | None = None,
    limit: int = 100,
    after: ranking.Line | None = None,
    before: ranking.Line | None = None,
    member: UUID | None = None,
    db: Database | None = None,
) -> ranking.Lines:
    a, b = after.position if after else None, before.position if before else None
    asked = ranking.Asked(place.id, id, kind, key)
    return await ranking.page(db or place.db, asked, limit, after=a, before=b, member=member)


async def shown(place: Place, id: str = "b", kind: str = "all", key: str | None = None) -> list[Row]:
    return rows_of(place, await page(place, id, kind, key))


async def around(place: Place, member: UUID, above: int, below: int, id: str = "b") -> ranking.Lines:
    return await ranking.around(place.db, ranking.Asked(place.id, id, "all"), member, above, below)


async def rank_of(place: Place, member: UUID, id: str = "b") -> int | None:
    me = (await page(place, id, limit=1, member=member)).me
    return me.rank if me else None


def ranked(scores: Iterable[tuple[int, datetime, UUID]], policy: str) -> list[tuple[int, UUID, int, datetime]]:
    """(rank, member, score, reached_at), worked out by sorting and counting everybody."""
    ordered = sorted(scores, key=lambda s: (-s[0], s[1], s[2]))
    out = []
    for position, (score, at, member) in enumerate(ordered):
        better = [s for s, _, _ in ordered if s > score]
        rank = {"competition": len(better) + 1, "dense": len(set(better)) + 1, "ordinal": position + 1}[policy]
        out.append((rank, member, score, at))
    return out


async def entry_ids(db: Database, place: Place, member: UUID, unit: str = "points") -> list[UUID]:
    """The member's transactions that are no reversals, latest effective first."""
    rows = await account_pages.page(db, place.id, owner_id=member, units=[unit], limit=1000)
    return [row.transaction_id for row in rows if row.kind != "reversal"]
