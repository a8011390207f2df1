"""Making a plan, publishing by its hash, cancelling."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from kit.clock import uuid7
from kit.database import Tx, try_lock
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from services.rewards.domain.recomputing import CANCELLED, FOLDING, OPEN, POSTING, READY
from services.rewards.domain.rules import RuleSet
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.plans.posting import no_posted
from services.rewards.store import erasures, kept
from services.rewards.store import plans as store
from services.rewards.store import rules as rules_store

FRESH = timedelta(hours=24)


async def make(tx: Tx, *, community_id: UUID, rules: RuleSet, mode: str, since: datetime, actor: str) -> Any:
    """A plan, to be worked out in the background; Conflict while another of the community is open."""
    await rule_sets.checked(tx, community_id=community_id, rules=rules)
    if since > tx.now:
        wrong = FieldError("/since", "out_of_range", "in the past")
        raise Unprocessable("`since` must not be in the future", code="times_contradict", errors=[wrong])
    extent = await kept.extent(tx, community_id)
    row: dict[str, Any] = {
        "id": uuid7(tx.now),
        "community_id": community_id,
        "mode": mode,
        "since": since,
        "draft": msgspec.to_builtins(rules),
        "base": await rule_sets.current_version(tx, community_id),
        "head": extent.head,
        "kept_from": extent.since,
        "state": FOLDING,
        "total": extent.activities,
        "done": 0,
        "note": "",
        "created_by": actor,
        "created_at": tx.now,
        "changed_at": tx.now,
        **dict.fromkeys(("result", "plan_hash", "version", "posted", "error", "claimed_by", "claimed_until")),
    }
    await _alone(tx, community_id)
    await store.add(tx, row)
    return await found(tx, community_id, row["id"])


async def _alone(tx: Tx, community_id: UUID) -> None:
    # Two that begin at once would not see each other's row.
    locked = await try_lock(tx, f"plans {community_id}")
    if locked and await erasures.under_way(tx, community_id):
        what = "a member is being erased, and activities with them; try again in a quarter of an hour"
        raise Conflict(what, code="erasure_under_way")
    if not locked or await store.open_of(tx, community_id) is not None:
        what = "another simulation or recompute is not over; wait for it or cancel it"
        raise Conflict(what, code="simulation_open")


async def found(tx: Tx, community_id: UUID, plan_id: UUID, *, lock: bool = False) -> Any:
    row = await store.one(tx, community_id, plan_id, lock=lock)
    if row is None:
        raise NotFound("no such simulation", code="simulation_unknown")
    return row


async def publish(
    tx: Tx, *, community_id: UUID, rules: RuleSet, mode: str, plan_hash: str | None, actor: str, note: str
) -> Any:
    """The plan, on its way: its rules are the next version, which comes into force when everything is posted.

    Conflict where the plan is not of these rules, or what it was worked out on is no longer so.
    """
    if plan_hash is None:
        wrong = FieldError("/plan_hash", "missing", "the plan_hash of a simulation that is ready")
        raise Unprocessable(f"{mode} needs the plan of a simulation", code="plan_missing", errors=[wrong])
    plan = await store.by_hash(tx, community_id, plan_hash)
    if plan is None or plan.mode != mode or rule_sets.parse(plan.draft) != rules:
        raise Conflict("no simulation of these rules in this mode has this plan_hash", code="plan_unknown")
    if plan.state != READY:
        raise Conflict(f"this plan is {plan.state}", code="plan_over")
    version = await rules_store.newest(tx, community_id=community_id) + 1
    # What is scheduled goes by the counters of now, and would by none of them after a recompute.
    scheduled = await rules_store.scheduled_after(tx, community_id=community_id, at=tx.now)
    if scheduled:
        one = scheduled[0]
        when = f"{one.effective_from:%Y-%m-%d %H:%M} UTC"
        what = f"version {one.version} is scheduled for {when}; cancel it, and schedule it again afterwards"
        raise Conflict(what, code="version_scheduled")
    stale = await _stale(tx, plan)
    if stale:
        raise Conflict(f"the plan is stale: {stale}; simulate again", code="plan_stale")
    await _alone(tx, community_id)
    await rule_sets.add_version(
        tx, version, community_id=community_id, rules=rules, actor=actor, note=note, epoch=plan.id, in_force=False
    )
    values = {"state": POSTING, "version": version, "posted": no_posted(), "note": note, "done": 0}
    await store.change(tx, plan.id, values)
    return await found(tx, community_id, plan.id)


async def _stale(tx: Tx, plan: Any) -> str:
    """Why what the plan was worked out on is no longer so; "" where it is."""
    current = await rule_sets.current_version(tx, plan.community_id)
    if current != plan.base:
        return f"version {current} came into force"
    if plan.created_at < tx.now - FRESH:
        return "it is older than a day"
    history = await kept.history_since(tx, plan.community_id, plan.head)
    if history:
        return f"{history} activities of the past were imported or sent again"
    return ""


async def cancel(tx: Tx, community_id: UUID, plan_id: UUID) -> Any:
    """Given up. What a recompute has posted stays; its rules do not come into force."""
    plan = await found(tx, community_id, plan_id, lock=True)
    if plan.state == CANCELLED:
        return plan
    if plan.state not in (*OPEN, READY):
        raise Conflict(f"this one is {plan.state}", code="simulation_over")
    await store.change(tx, plan_id, {"state": CANCELLED, "claimed_by": None, "claimed_until": None})
    return await found(tx, community_id, plan_id)
