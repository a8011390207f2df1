"""SQL of the codes that verify posters."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from kit.database import Tx, insert_new
from services.rewards.tables.badges import poster_codes

_KEY = ("community_id", "member_id", "month")


async def code_of(tx: Tx, community_id: UUID, member_id: UUID, month: date) -> str | None:
    t = poster_codes.c
    where = t.community_id == community_id, t.member_id == member_id, t.month == month
    found: str | None = await tx.scalar(select(t.code).where(*where))
    return found


async def add_code(tx: Tx, community_id: UUID, member_id: UUID, month: date, code: str) -> None:
    """One that is there already stays as it is."""
    key = dict(zip(_KEY, (community_id, member_id, month), strict=True))
    await insert_new(tx, poster_codes, [{**key, "code": code, "created_at": tx.now}], key=_KEY)


async def with_code(tx: Tx, code: str) -> Row[Any] | None:
    return await tx.first(select(poster_codes).where(poster_codes.c.code == code))
