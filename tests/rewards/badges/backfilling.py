"""Backfills in tests: asked for and taken on part by part, without the loop."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from kit.database import Database
from services.rewards.handlers.backfills import asking, running
from services.rewards.tables.badges import badge_grants, badge_marks, badge_standings
from tests.rewards.badges.support import defined
from tests.rewards.guild import Guild


async def ask(guild: Guild, id: str = "later", *, since: datetime | None = None, silent: bool = True) -> Any:
    one = await defined(guild, id)
    async with guild.db.begin() as tx:
        return await asking.ask(tx, one, since=since, silent=silent)


async def work(guild: Guild, id: str = "later", *, steps: int = 10_000, db: Database | None = None) -> None:
    for _ in range(steps):
        if not await running.step(db or guild.db, guild.id, id):
            return


async def backfill(guild: Guild, id: str = "later", **more: Any) -> Any:
    """Asked for and carried out: how it stands."""
    await ask(guild, id, **more)
    await work(guild, id)
    return await found(guild, id)


async def cancel(guild: Guild, id: str = "later") -> Any:
    one = await defined(guild, id)
    async with guild.db.begin() as tx:
        return await asking.cancel(tx, one)


async def found(guild: Guild, id: str = "later") -> Any:
    async with guild.db.read() as tx:
        return await asking.found(tx, guild.id, id)


async def everything(guild: Guild, id: str) -> dict[UUID, Any]:
    """Member → all grants of a badge (when, for what, how long, when and why they ended), whether it is held, how much
    is counted, and what is noted for it."""
    g, s, m = badge_grants.c, badge_standings.c, badge_marks.c
    out: dict[UUID, dict[str, Any]] = {}
    async with guild.db.read() as tx:
        columns = g.member_id, g.number, g.granted_at, g.expires_at, g.event_id, g.ended_at, g.ended_why
        mine = g.community_id == guild.id, g.badge_id == id
        for row in await tx.all(select(*columns).where(*mine).order_by(g.member_id, g.number)):
            out.setdefault(row.member_id, {}).setdefault("grants", []).append(tuple(row)[1:])
        of = s.member_id, s.held, s.number, s.progress
        for row in await tx.all(select(*of).where(s.community_id == guild.id, s.badge_id == id)):
            if row.number or row.progress:
                out.setdefault(row.member_id, {})["stands"] = tuple(row)[1:]
        marks = m.member_id, m.value, m.event_id, m.at
        noted = select(*marks).where(m.community_id == guild.id, m.badge_id == id).order_by(*marks)
        for row in await tx.all(noted):
            out.setdefault(row.member_id, {}).setdefault("marks", []).append(tuple(row)[1:])
    return out
