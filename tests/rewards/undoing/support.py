"""Posts, reactions and what undoes them, and how a batch is consumed."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from kit import inbox
from kit.contracts.events import Activity
from services.rewards.handlers import earning
from services.rewards.tables.rules import decisions
from tests.rewards.guild import MORNING, Guild, envelope

POST = {"id": "post", "on": ["message.created"], "give": [{"to": "actor", "unit": "xp", "amount": 3}]}
LIKED = {"id": "liked", "on": ["reaction.added"], "give": [{"to": "subject_author", "unit": "xp", "amount": 2}]}


def minute(number: float) -> datetime:
    return MORNING + timedelta(minutes=number)


def post(guild: Guild, subject: str = "m1", by: str = "ann", at: datetime = MORNING, **more: Any) -> Activity:
    return guild.act("message.created", by, at, subject=subject, **more)


def react(
    guild: Guild, subject: str = "m1", by: str = "bob", at: datetime = MORNING, *, of: str = "ann", kind: str = "heart"
) -> Activity:
    return guild.act("reaction.added", by, at, subject=subject, of=of, data={"kind": kind})


def unreact(
    guild: Guild,
    subject: str = "m1",
    by: str = "bob",
    at: datetime = MORNING,
    *,
    kind: str = "heart",
    **more: Any,
) -> Activity:
    return guild.act("reaction.removed", by, at, subject=subject, data={"kind": kind}, **more)


def delete(
    guild: Guild,
    subject: str = "m1",
    by: str | None = "mod",
    at: datetime = MORNING,
    *,
    type: str = "message.deleted",
    **more: Any,
) -> Activity:
    return guild.act(type, by, at, subject=subject, **more)


async def consume(guild: Guild, *some: Activity) -> None:
    """A batch as the consumer takes it: what the inbox knows is dropped."""
    async with guild.db.begin() as tx:
        fresh = await inbox.keep_new(tx, [envelope(a, a.event_id) for a in some])
        if fresh:
            await earning.score(tx, fresh)


async def explained(guild: Guild, name: str, unit: str = "xp") -> int:
    """What the decisions on a member's account say in sum."""
    t = decisions
    where = t.c.community_id == guild.id, t.c.member_id == guild.member(name), t.c.unit == unit
    async with guild.db.read() as tx:
        return int(await tx.scalar(select(func.coalesce(func.sum(t.c.amount), 0)).where(*where)))
