"""What a plan comes to, once everything was compared (R35, R74), and the hash that stands for it."""

import hashlib
from datetime import date
from typing import Any

import msgspec

from kit.database import Database, Tx
from kit.service import ServiceRuntime
from services.rewards.domain.boards import key_of
from services.rewards.handlers import levels
from services.rewards.handlers.plans import wearers
from services.rewards.handlers.plans.posting import Posted
from services.rewards.store import boards as boards_store
from services.rewards.store import plans as store
from services.rewards.store import scratch as scratch_store

TOP = 10
STEP = 2000


async def figure(one: ServiceRuntime, scratch: Database, plan: Any) -> dict[str, Any]:
    """The plan's result as JSON."""
    await _take_balances(one, scratch, plan)
    async with one.db.read() as live, scratch.read() as tx:
        units = await scratch_store.sums(tx, "unit")
        days = {(row.day, row.unit) for row in await scratch_store.sums(tx, "day", "unit") if row.changes}
        posted: Posted = {
            "entries": sum(row.entries for row in units),
            "units": {r.unit: {"added": r.added, "taken": r.taken} for r in units if r.added or r.taken},
        }
        return {
            "activities": plan.total,
            "members_affected": await scratch_store.affected(tx),
            "postings": posted,
            "units": [await _unit(tx, row, len(await _days(tx, row.unit))) for row in units],
            "rules": [_sums(row, "rule_id", "unit") for row in await scratch_store.sums(tx, "rule_id", "unit")],
            "days": [_sums(row, "day", "unit") for row in await scratch_store.sums(tx, "day", "unit")],
            "levels": await _levels(live, tx, plan),
            "boards": await _boards(live, plan, days),
            "badges": await wearers.changes(live, tx, plan),
        }


def hash_of(plan: Any, result: dict[str, Any]) -> str:
    """Over the rules, what they are to be run over, and all that it comes to."""
    parts = {
        "community": str(plan.community_id),
        "draft": plan.draft,
        "mode": plan.mode,
        "since": plan.since.isoformat(),
        "base": plan.base,
        "head": plan.head,
        "result": result,
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


async def _take_balances(one: ServiceRuntime, scratch: Database, plan: Any) -> None:
    after = None
    while True:
        async with one.db.read() as tx:
            rows = await store.balances(tx, plan.community_id, after, STEP)
        if not rows:
            return
        async with scratch.begin() as tx:
            await scratch_store.add_balances(tx, rows)
        after = rows[-1].owner_id, rows[-1].unit


async def _days(tx: Tx, unit: str) -> list[Any]:
    return [row for row in await scratch_store.sums(tx, "unit", "day") if row.unit == unit]


def _sums(row: Any, *by: str) -> dict[str, Any]:
    keys = {name: value.isoformat() if isinstance(value := getattr(row, name), date) else value for name in by}
    return {**keys, "was": row.was, "now": row.now, "grants": row.grants}


async def _unit(tx: Tx, row: Any, days: int) -> dict[str, Any]:
    unit = row.unit
    return {
        **_sums(row, "unit"),
        "a_day": round(row.now / days, 2) if days else 0,
        "added": row.added,
        "taken": row.taken,
        "spared": row.spared,
        "gini": {
            "before": await scratch_store.gini(tx, unit, after=False),
            "after": await scratch_store.gini(tx, unit, after=True),
        },
        "winners": [_member(r) for r in await scratch_store.extremes(tx, unit, TOP, losers=False)],
        "losers": [_member(r) for r in await scratch_store.extremes(tx, unit, TOP, losers=True)],
    }


def _member(row: Any) -> dict[str, Any]:
    return {"member_id": str(row.member_id), "was": row.was, "now": row.now}


async def _levels(live: Tx, tx: Tx, plan: Any) -> dict[str, Any]:
    """Who would change level, and some of them, of either direction."""
    version = await levels.current(live, plan.community_id)
    up = down = 0
    some: list[dict[str, Any]] = []
    after = None
    while rows := await scratch_store.changed_members(tx, version.unit, after, STEP):
        for row in rows:
            before = version.scheme.level_at(row.balance)
            then = version.scheme.level_at(row.balance + row.now - row.was)
            up, down = up + (then > before), down + (then < before)
            if then != before and (up if then > before else down) <= TOP:
                some.append({"member_id": str(row.member_id), "was": before, "now": then})
        after = rows[-1].member_id
    return {"unit": version.unit, "up": up, "down": down, "some": some}


async def _boards(live: Tx, plan: Any, days: set[tuple[date, str]]) -> list[dict[str, Any]]:
    """Boards that change, and in how many of their periods."""
    units = {(plan.community_id, unit) for _, unit in days}
    out = []
    for (_, unit), boards in sorted((await boards_store.boards_on(live, units)).items()):
        for board in boards:
            periods = {(kind, key_of(kind, day)) for day, of in days if of == unit for kind in board.periods}
            out.append({"board_id": board.id, "unit": unit, "periods": len(periods)})
    return out
