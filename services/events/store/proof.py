"""SQL of what the door looks for in check-ins."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from kit.database import Tx, upsert
from services.events.tables import checkin_series as t

KEY = ("community_id", "series_id")


async def put(tx: Tx, *, rows: Sequence[dict[str, Any]]) -> None:
    """One a series, of its newest version; an older one than is there changes nothing."""
    names = [column.name for column in t.columns if column.name not in KEY]
    await upsert(tx, t, rows, key=KEY, update=names, newer="version")


async def asked(tx: Tx, *, community_id: UUID) -> list[Any]:
    """The series of a community that ask for something that only the door sees."""
    asks = or_(t.c.code_word.is_not(None), t.c.place.is_not(None))
    return await tx.all(select(t).where(t.c.community_id == community_id, asks).order_by(t.c.series_id))
