"""Badges that a plan changes (R35): those for balances and levels, which follow what is posted. What members did, their
streaks and programmes are the same under any rules; the end of a period that a percentile goes by is final."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from kit.database import Tx
from services.rewards.domain import badges as domain
from services.rewards.domain.badges import Badge, Standing
from services.rewards.handlers import badges, levels
from services.rewards.handlers.awarding import measure_of
from services.rewards.handlers.granting import Held
from services.rewards.store import badges as store
from services.rewards.store import scratch as scratch_store

SOME = 10
STEP = 2000
Measured = list[tuple[Badge, Callable[[int], int]]]


async def changes(live: Tx, scratch: Tx, plan: Any) -> list[dict[str, Any]]:
    """Of each such badge that changes how many would be granted it and lose it, and some of them; by its id."""
    version = await levels.current(live, plan.community_id)
    by_unit: dict[str, Measured] = {}
    for one in (await badges.in_force(live, [plan.community_id])).get(plan.community_id, []):
        unit = one.badge.criterion.unit or version.unit
        measure = measure_of(one.badge, unit, (version.unit, version.scheme))
        if measure is not None:
            by_unit.setdefault(unit, []).append((one.badge, measure))
    found: dict[str, dict[str, Any]] = {}
    for unit, measured in by_unit.items():
        after: UUID | None = None
        while rows := await scratch_store.changed_members(scratch, unit, after, STEP):
            await _note(live, plan.community_id, measured, rows, found)
            after = rows[-1].member_id
    return [found[badge_id] for badge_id in sorted(found)]


async def _note(
    live: Tx, community_id: UUID, measured: Measured, rows: list[Any], found: dict[str, dict[str, Any]]
) -> None:
    keys = [(community_id, badge.id, row.member_id) for badge, _ in measured for row in rows]
    standings = await store.standings_of(live, keys)
    for badge, measure in measured:
        for row in rows:
            there = standings.get((community_id, badge.id, row.member_id))
            standing = Standing() if there is None else Held.read(there)
            value = measure(row.balance + row.now - row.was)
            if not domain.may_change(badge, standing, value, live.now):
                continue
            granted = value >= badge.criterion.least
            if granted and standing.expires_at is not None and row.now < row.was:
                # One that expired is reached again by what brings something.
                continue
            told = found.setdefault(badge.id, {"badge_id": badge.id, "granted": 0, "ended": 0, "some": []})
            told["granted" if granted else "ended"] += 1
            if len(told["some"]) < SOME:
                told["some"].append({"member_id": str(row.member_id), "granted": granted})
