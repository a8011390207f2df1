"""Badges in a guild, for the tests of them."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from kit.database import Database
from services.rewards.domain.badges import Badge, Criterion, Standing
from services.rewards.handlers import badges, granting
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.granting import Held
from services.rewards.store import badges as store
from services.rewards.tables.badges import badge_grants, badge_marks
from tests.rewards.guild import Guild, make_guild


def badge(id: str = "ten", *, kind: Any = "permanent", **fields: Any) -> Badge:
    """A badge for messages of one's own, unless the fields say otherwise; those of a criterion are its."""
    names = Criterion.__dataclass_fields__.keys() - {"kind"}
    of = {name: fields.pop(name) for name in [*fields] if name in names}
    what = fields.pop("what", "events")
    if what == "events":
        of = {"on": ("message.created",), "least": 3, **of}
    return Badge(id=id, name=id.title(), kind=kind, criterion=Criterion(kind=what, **of), **fields)


async def define(guild: Guild, *some: Badge) -> None:
    async with guild.db.begin() as tx:
        for one in some:
            await badges.create(tx, guild.id, one, "operator:o")


async def bare(db: Database, *some: Badge) -> Guild:
    """A guild with these badges and none of those that a community begins with."""
    guild = await make_guild(db)
    async with guild.db.begin() as tx:
        for one in (await badges.of_communities(tx, [guild.id]))[guild.id]:
            await change(tx, one, enabled=False)
    await define(guild, *some)
    return guild


async def change(tx: Any, one: Defined, **fields: Any) -> Defined:
    values = {name: getattr(one.badge, name) for name in Badge.__dataclass_fields__}
    return await badges.change(tx, one, Badge(**{**values, **fields}), "operator:o")


async def defined(guild: Guild, id: str) -> Defined:
    async with guild.db.read() as tx:
        return await badges.existing(tx, guild.id, id)


async def standing(guild: Guild, name: str = "ann", id: str = "ten") -> Standing:
    """How the member stands, as of now."""
    key = guild.id, id, guild.member(name)
    async with guild.db.read() as tx:
        row = (await store.standings_of(tx, [key])).get(key)
        return Standing() if row is None else Held.read(row).at(tx.now)


async def held(guild: Guild, name: str = "ann", id: str = "ten") -> datetime | None:
    """Since when the member holds the badge."""
    found = await standing(guild, name, id)
    return found.granted_at if found.held else None


async def grants(guild: Guild, id: str = "ten") -> list[tuple[int, datetime, str | None]]:
    """(number, granted_at, why it ended) of all grants of a badge."""
    g = badge_grants.c
    async with guild.db.read() as tx:
        stmt = select(g.number, g.granted_at, g.ended_why).where(g.community_id == guild.id, g.badge_id == id)
        return [tuple(row) for row in await tx.all(stmt.order_by(g.member_id, g.number))]


async def marks(guild: Guild) -> int:
    async with guild.db.read() as tx:
        return int(await tx.scalar(select(func.count()).select_from(badge_marks)))


async def expire(guild: Guild) -> int:
    async with guild.db.begin() as tx:
        return await granting.expire(tx)


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)
