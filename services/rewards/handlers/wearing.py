"""Badges as they are looked at: a member's with how far each is, and who holds one. Nothing is written."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from kit.database import Tx
from services.rewards.domain import badges as domain
from services.rewards.domain.badges import (
    BALANCE,
    HAND,
    LEVEL,
    PERCENTILE,
    PERMANENT,
    PROGRAMME,
    STREAK,
    Standing,
)
from services.rewards.domain.streaks import State
from services.rewards.handlers import badges, levels, mending
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.granting import Held
from services.rewards.handlers.mending import Seat
from services.rewards.store import badges as store
from services.rewards.store.entries import accounts_of


class Worn(NamedTuple):
    """A badge and a member. `grant` is the row of the last grant, None where there never was one; `progress` is how
    much of `of` there is, which may be more."""

    defined: Defined
    standing: Standing
    grant: Any
    progress: int
    of: int


class _Sources(NamedTuple):
    seats: Mapping[str, Seat]
    balances: Mapping[str, int]
    level: int


async def of_member(tx: Tx, community_id: UUID, member_id: UUID) -> list[Worn]:
    """The badges that are granted at present, and those that the member was ever granted."""
    found = (await badges.of_communities(tx, [community_id])).get(community_id, [])
    stored = await store.of_member(tx, community_id, member_id)
    grants = {row.badge_id: row for row in await store.grants_of_member(tx, community_id, member_id)}
    shown = [one for one in found if one.badge.enabled or one.badge.id in grants]
    sources = await _sources(tx, community_id, member_id, shown)
    out = []
    for one in shown:
        row = stored.get(one.badge.id)
        standing = Standing() if row is None else Held.read(row).at(tx.now)
        grant = grants.get(one.badge.id)
        out.append(Worn(one, standing, grant, _progress(one, standing, sources), one.badge.criterion.least))
    return out


async def holders(
    tx: Tx, community_id: UUID, badge_id: str, *, after: UUID | None, limit: int
) -> tuple[list[tuple[UUID, Standing]], bool]:
    """Members who hold it in the order of their ids, and whether there are more."""
    await badges.existing(tx, community_id, badge_id)
    rows = await store.holders(tx, community_id, badge_id, after=after, limit=limit + 1)
    return [(row.member_id, Held.read(row)) for row in rows[:limit]], len(rows) > limit


async def _sources(tx: Tx, community_id: UUID, member_id: UUID, shown: Sequence[Defined]) -> _Sources:
    """What the badges measure, read once; a few statements for each check-in series among them."""
    wanted = [one.badge.criterion for one in shown]
    seats = {
        id: await mending.look(tx, community_id, id, member_id)
        for id in sorted({one.series for one in wanted if one.kind in (STREAK, PROGRAMME)})
    }
    balances: dict[str, int] = {}
    if any(one.kind == BALANCE for one in wanted):
        balances = {row.unit: row.balance for row in await accounts_of(tx, community_id, member_id)}
    level = 0
    if any(one.kind == LEVEL for one in wanted):
        level = (await levels.member_level(tx, community_id, member_id)).level.level
    return _Sources(seats, balances, level)


def _progress(one: Defined, standing: Standing, sources: _Sources) -> int:
    badge, wanted = one.badge, one.badge.criterion
    if wanted.kind == HAND or standing.fixed or (standing.held and badge.kind == PERMANENT):
        return wanted.least if standing.held else 0
    if wanted.kind == STREAK:
        walked = sources.seats[wanted.series].walked()
        return int(getattr(walked[-1].state if walked else State(), wanted.measure))
    if wanted.kind == PROGRAMME:
        return int(wanted.result in mending.results(sources.seats[wanted.series]))
    if wanted.kind == PERCENTILE:
        return int(standing.held)
    if wanted.kind == BALANCE:
        return max(0, sources.balances.get(wanted.unit, 0))
    if wanted.kind == LEVEL:
        return sources.level
    return wanted.least if standing.held and badge.kind == domain.EXPIRING else standing.progress
