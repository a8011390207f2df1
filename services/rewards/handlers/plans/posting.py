"""Carrying a plan out (R34): the differences as entries of the recompute, and nothing else; then its rules come into
force with the counters that they would have had from the beginning.

Every step is a transaction of its own that compares anew what it posts, with the entries held: whoever was killed, or
does it twice, posts what is missing and no more.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from kit.clock import uuid7
from kit.database import Tx
from services.rewards.domain.groups import is_group
from services.rewards.domain.ledger import GRANT, MINT, RECORD_DEBT, REVERSAL, Posting, digest
from services.rewards.domain.recomputing import ACTOR_PREFIX, RECOMPUTED, Line
from services.rewards.domain.rules import grant_key
from services.rewards.domain.undoing import joined_places
from services.rewards.handlers import groups, ledger, refilling
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.plans.comparing import NO_LINES, Compared, Difference, compare, refusing
from services.rewards.store import counters, reviews
from services.rewards.store import ledger as ledger_store
from services.rewards.store import plans as store
from services.rewards.store import rules as rules_store
from services.rewards.store import scratch as scratch_store
from services.rewards.store import undoing as undoing_store

Posted = dict[str, Any]
"""`entries`, and by unit how much was `added` and `taken`."""


def no_posted() -> Posted:
    return {"entries": 0, "units": {}}


async def post(live: Tx, scratch: Tx, plan: Any, event_ids: Sequence[UUID]) -> list[Posting]:
    """Post what these events lack or have too much; the caller holds the plan. Returns what was posted."""
    if not event_ids:
        return []
    await _hold_things(live, scratch, plan, event_ids)
    spare = await refusing(live, plan.community_id)
    found = await compare(live, scratch, plan, event_ids, spare, lock=True)
    wanted = [(d, p) for d in found.differences for p in _postings(live, plan, d)]
    await groups.open_like(live, scratch, plan.community_id, {(p.member_id, p.unit) for _, p in wanted})
    fresh = {p.idem_key for p in await ledger.begin(live, [p for _, p in wanted])}
    done = [(d, p) for d, p in wanted if p.idem_key in fresh]
    await store.note_reversed(live, [(p.reverses, abs(p.amount)) for _, p in done if p.reverses is not None])
    units = (await ledger_store.units_of(live, plan.community_id)).values()
    owing = {(plan.community_id, unit.id) for unit in units if unit.clawback == RECORD_DEBT}
    await ledger.finish(live, [p for _, p in done], history=dict.fromkeys(event_ids, True), owing=owing)
    await store.link(live, [_link(plan, d, p) for d, p in done])
    in_force = await rules_store.epoch(live, community_id=plan.community_id, version=plan.base)
    await _keep_ways(live, scratch, plan, in_force, found, done)
    await _let_wait(live, plan, in_force, found, event_ids)
    await store.put_decisions(live, _decisions(live, plan, found, done))
    return [p for _, p in done]


def add_up(posted: Posted | None, postings: Sequence[Posting]) -> Posted:
    """The figures with these besides."""
    before = posted or no_posted()
    units = {unit: dict(figures) for unit, figures in before["units"].items()}
    for p in postings:
        figures = units.setdefault(p.unit, {"added": 0, "taken": 0})
        figures["added" if p.amount > 0 else "taken"] += abs(p.amount)
    return {"entries": before["entries"] + len(postings), "units": units}


async def _hold_things(live: Tx, scratch: Tx, plan: Any, event_ids: Sequence[UUID]) -> None:
    """What these events' grants can be undone by, as it was and will be, waits until they are posted, and is seen from
    then on."""
    outcomes = await scratch_store.outcomes(scratch, event_ids)
    ways = await scratch_store.undoable(scratch, [outcome.transaction_id for outcome in outcomes.values()])
    there = await store.existing(live, plan.community_id, event_ids, plan.id)
    grants = [line.transaction_id for some in there.lines.values() for line in some]
    waiting = (await reviews.reviewed(live, plan.community_id, event_ids)).values()
    old = await undoing_store.ways_of(live, [*grants, *waiting])
    things = {row.thing for rows in (*ways.values(), *old.values()) for row in rows}
    if things:
        await counters.lock(live, kept=dict.fromkeys(things, live.now))


def _postings(tx: Tx, plan: Any, d: Difference) -> list[Posting]:
    back = [_reversal(tx, plan, d, line, part) for line, part in d.change.back]
    return [*back, _grant(tx, plan, d)] if d.change.more else back


def _posting(tx: Tx, plan: Any, d: Difference, kind: str, amount: int, key: bytes, reverses: UUID | None) -> Posting:
    return Posting(
        id=uuid7(tx.now),
        community_id=plan.community_id,
        idem_key=key,
        payload_hash=digest(plan.id, *d.key, amount),
        kind=kind,
        member_id=d.key.member_id,
        counter=MINT,
        unit=d.key.unit,
        amount=amount,
        effective_at=d.effective_at,
        day=d.day,
        scored=not is_group(d.key.member_id),
        rule_id=d.key.rule_id,
        rule_version=plan.version,
        source_event_id=d.key.event_id,
        reverses=reverses,
        reason=f"Recomputed under version {plan.version} of the rules",
        actor=f"{ACTOR_PREFIX}{plan.id}",
    )


def _reversal(tx: Tx, plan: Any, d: Difference, line: Line, part: int) -> Posting:
    key = digest("recompute", plan.id, line.transaction_id, line.reversed)
    amount = -part if line.amount > 0 else part
    return _posting(tx, plan, d, REVERSAL, amount, key, line.transaction_id)


def _grant(tx: Tx, plan: Any, d: Difference) -> Posting:
    """The first grant of its key is a grant like any other: it is paid once, whatever happens to the key later."""
    if d.mark == NO_LINES:
        key = grant_key(d.key.rule_id, d.key.event_id, d.key.member_id, d.key.unit)
    else:
        key = digest("recompute", plan.id, *d.key, d.mark)
    return _posting(tx, plan, d, GRANT, d.change.more, key, None)


def _link(plan: Any, d: Difference, p: Posting) -> dict[str, Any]:
    return {
        "event_id": d.key.event_id,
        "transaction_id": p.id,
        "plan_id": plan.id,
        "community_id": plan.community_id,
        "rule_id": d.key.rule_id,
        "member_id": d.key.member_id,
        "unit": d.key.unit,
        "amount": p.amount,
        "reverses": p.reverses,
    }


async def _keep_ways(
    live: Tx,
    scratch: Tx,
    plan: Any,
    in_force: UUID | None,
    found: Compared,
    done: Sequence[tuple[Difference, Posting]],
) -> None:
    """What stands can be undone as the plan's rules say, whichever rules gave it; what stays, as before. Both hold
    places among the plan's counters besides those that they held."""
    wanted = await scratch_store.undoable(scratch, {d.outcome.transaction_id for d in found.differences if d.outcome})
    targets = {p.id: d for d, p in done if p.kind == GRANT and d.outcome is not None}
    targets |= {
        line.transaction_id: d
        for d in found.differences
        if d.outcome is not None
        for line in found.existing.lines.get(d.key, ())
    }
    staying = await _places_of_staying(scratch, plan, found)
    there = await undoing_store.ways_of(live, targets.keys() | staying.keys())
    gone, new = [], []
    for transaction_id, d in targets.items():
        assert d.outcome is not None
        old = {row.thing: _way(row) for row in there.get(transaction_id, ())}
        before = next((way["places"] for way in old.values()), None)
        ways = {row.thing: _way(row) for row in wanted.get(d.outcome.transaction_id, ())}
        gone += [(thing, transaction_id) for thing in old.keys() - ways.keys()]
        for thing, way in ways.items():
            way["places"] = joined_places(before, in_force, way["places"], plan.id)
            if old.get(thing) != way:
                new.append({"thing": thing, "transaction_id": transaction_id, **way})
    for id, places in staying.items():
        for row in there.get(id, ()):
            joined = joined_places(row.places, in_force, places, plan.id)
            if joined != row.places:
                new.append({"thing": row.thing, "transaction_id": id, **_way(row), "places": joined})
    await undoing_store.remove_grants(live, gone)
    await store.put_undoable(live, new)


async def _places_of_staying(scratch: Tx, plan: Any, found: Compared) -> dict[UUID, Any]:
    """Grants (and reviews) that stay → the places that they hold among the plan's counters."""
    out: dict[UUID, Any] = {}
    for key, places in (await scratch_store.held(scratch, plan.community_id, found.staying)).items():
        ids = [line.transaction_id for line in found.existing.lines.get(key, ())]
        out |= dict.fromkeys([*ids, *([found.reviews[key]] if key in found.reviews else [])], places)
    return out


async def _let_wait(live: Tx, plan: Any, in_force: UUID | None, found: Compared, event_ids: Sequence[UUID]) -> None:
    """What stays without anything, for want of a place that may become free, waits for it among the plan's counters
    too."""
    rows = await undoing_store.waiting_of(live, plan.community_id, event_ids)
    rows = [row for row in rows if row.at < plan.since or row.event_id in found.early]
    if rows:
        versions = {(plan.community_id, row.rule_version) for row in rows}
        epochs = await rule_sets.epochs(live, versions)
        rows = [row for row in rows if epochs[plan.community_id, row.rule_version] == in_force]
        rules = rule_sets.parse(plan.draft)
        await undoing_store.add_waiting(live, refilling.under(rows, rules, plan.version, plan.id))


def _way(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("at", "types", "lifetime", "notify", "places")}


def _decisions(tx: Tx, plan: Any, found: Compared, done: Sequence[tuple[Difference, Posting]]) -> list[dict[str, Any]]:
    """A row for each key that was changed, beside what had been decided; and what the plan's rules decided to give
    nothing for, where nothing had been decided."""
    there = {(r.event_id, r.rule_id, r.receiver, r.unit): r for r in found.existing.decisions}
    of_event = {r.event_id: r for r in (*found.existing.decisions, *found.rows)}
    changed: dict[Any, list[Posting]] = {}
    for d, p in done:
        changed.setdefault(d, []).append(p)
    rows = []
    for d, postings in changed.items():
        receiver = f"redo{d.key.member_id.hex}"
        before = there.get((d.key.event_id, d.key.rule_id, receiver, d.key.unit))
        rows.append({
            **_row(tx, plan, d.key, of_event[d.key.event_id].event_type, d.effective_at),
            "receiver": receiver,
            "verdict": RECOMPUTED,
            "wanted": d.wanted,
            "amount": sum(p.amount for p in postings) + (before.amount if before is not None else 0),
            "reason": str(plan.version),
            "transaction_id": postings[0].id if len(postings) == 1 else None,
        })  # fmt: skip
    decided = {(r.event_id, r.rule_id) for r in found.existing.decisions}
    rows += [_nothing(tx, plan, r) for r in found.rows if r.amount == 0 and (r.event_id, r.rule_id) not in decided]
    return rows


def _nothing(tx: Tx, plan: Any, r: Any) -> dict[str, Any]:
    same: Mapping[str, Any] = {name: getattr(r, name) for name in ("receiver", "verdict", "wanted", "amount", "reason")}
    key: Any = r
    return {**_row(tx, plan, key, r.event_type, r.effective_at), **same, "transaction_id": None}


def _row(tx: Tx, plan: Any, key: Any, event_type: str, effective_at: Any) -> dict[str, Any]:
    return {
        "event_id": key.event_id,
        "rule_id": key.rule_id,
        "unit": key.unit,
        "community_id": plan.community_id,
        "member_id": key.member_id,
        "rule_version": plan.version,
        "event_type": event_type,
        "notify": False,
        "effective_at": effective_at,
        "decided_at": tx.now,
    }
