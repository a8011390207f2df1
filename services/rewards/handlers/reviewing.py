"""Grants that wait until somebody has looked at them (R19).

They were decided like any other and count under the caps; nothing of them is in the ledger. Approved, one is posted as
the grant it would have been, for the day of its event; refused, it is nothing. What undoes the event undoes it too.
Locks in this order: the things it can be undone by (`store.counters`), the review, the ledger's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from kit import outbox
from kit.contracts.rewards import ActivityScored, Decision
from kit.database import Tx
from services.rewards.domain.engine import DECLINED, GRANTED, UNDONE
from services.rewards.domain.groups import beneficiary
from services.rewards.domain.ledger import MINT, MOST, system_account_id
from services.rewards.domain.reasons import Reason, read, with_basis
from services.rewards.domain.rules import grant_key
from services.rewards.domain.undoing import Way
from services.rewards.handlers.ledger import Grant, post_grants
from services.rewards.handlers.settling import Settled
from services.rewards.handlers.undoing import Stopped
from services.rewards.store import counters, decisions, erasures
from services.rewards.store import ledger as ledger_store
from services.rewards.store import reviews as store
from services.rewards.store import undoing as undoing_store

Verdict = Literal["approve", "refuse"]


class Reviewed(NamedTuple):
    """What became of one: its row as it is now (None: there is no such review), whether this call decided it, and
    whether it waits on because an account can hold no more."""

    id: UUID
    row: Mapping[str, Any] | None
    decided: bool
    too_much: bool = False


async def keep(
    tx: Tx,
    settled: Sequence[Settled],
    ways: Mapping[tuple[UUID, str], tuple[Way, ...]],
    types: Mapping[UUID, str],
    history: Mapping[UUID, bool],
) -> None:
    """Put what waits into the queue."""
    rows: dict[tuple[UUID, str, UUID | None, str], dict[str, Any]] = {}
    for one in settled:
        if one.pending is None:
            continue
        want = one.verdict.want
        row = {
            "id": one.pending.id,
            "community_id": want.community_id,
            "event_id": want.event_id,
            "event_type": types[want.event_id],
            "rule_id": want.rule.id,
            "rule_version": want.rule_version,
            "rule_name": want.rule.name or want.rule.id,
            "actor_id": want.actor_id,
            "member_id": want.member_id,
            "unit": want.unit,
            "wanted": want.amount,
            "amount": one.pending.amount,
            "at": want.at,
            "notify": want.rule.notify,
            "history": history[want.event_id],
            "things": [str(way.thing) for way in ways.get((want.event_id, want.rule.id), ())],
            "state": store.PENDING,
            "reason": "",
            "decided_by": None,
            "decided_at": None,
            "transaction_id": None,
            "created_at": tx.now,
            "grounds": want.grounds,
        }
        rows.setdefault((want.event_id, want.rule.id, want.member_id, want.unit), row)
    await store.add(tx, list(rows.values()))


async def stop(tx: Tx, stopped: Sequence[Stopped]) -> None:
    """What was undone while it waited is nothing, and its decision says so."""
    if not stopped:
        return
    rows = [{**one.row._mapping, "state": store.UNDONE, "decided_at": tx.now} for one in stopped]
    await store.put(tx, rows)
    told = [_decision_row(tx, row, UNDONE, 0, one.inverse.type) for row, one in zip(rows, stopped, strict=True)]
    await decisions.put(tx, rows=told)
    for row, decision in zip(rows, told, strict=True):
        outbox.add(tx, _scored(row, decision))


async def decide(
    tx: Tx, community_id: UUID, ids: Sequence[UUID], verdict: Verdict, *, reason: str, actor: str
) -> list[Reviewed]:
    """Approve or refuse these, each once: one that was decided before stays what it is, and one that an account cannot
    hold waits on. In their order."""
    ahead = await store.among(tx, community_id, ids)
    things = {UUID(thing) for row in ahead.values() for thing in row.things}
    await counters.lock(tx, kept=dict.fromkeys(things, tx.now))
    held = await store.among(tx, community_id, ahead, lock=True)
    now = {id: dict(row._mapping) for id, row in held.items()}
    fresh = {id: now[id] for id in dict.fromkeys(ids) if id in now and now[id]["state"] == store.PENDING}
    too_much = await _too_much(tx, fresh) if verdict == "approve" else set()
    if verdict == "approve":
        # Who is being erased gets nothing: these are refused with the rest of them, in a moment.
        closed = await erasures.closed(tx, community_id, {row["member_id"] for row in fresh.values()})
        fresh = {id: row for id, row in fresh.items() if row["member_id"] not in closed}
    fresh = {id: row for id, row in fresh.items() if id not in too_much}
    state = store.APPROVED if verdict == "approve" else store.REFUSED
    for row in fresh.values():
        row |= {"state": state, "reason": reason, "decided_by": actor, "decided_at": tx.now}
    if verdict == "approve":
        await _pay(tx, community_id, fresh)
    await store.put(tx, list(fresh.values()))
    if verdict == "approve":
        told = [_decision_row(tx, row, GRANTED, row["amount"], why) for row, why in await _approvals(tx, fresh, reason)]
    else:
        told = [_decision_row(tx, row, DECLINED, 0, reason) for row in fresh.values()]
    await decisions.put(tx, rows=told)
    for row, decision in zip(fresh.values(), told, strict=True):
        outbox.add(tx, _scored(row, decision))
    return [Reviewed(id, now.get(id), id in fresh, id in too_much) for id in dict.fromkeys(ids)]


async def _approvals(
    tx: Tx, fresh: Mapping[UUID, Mapping[str, Any]], reason: str
) -> list[tuple[Mapping[str, Any], str]]:
    """Each row with the reason and what its amount was computed from, which it was decided with and which no person's
    words replace."""
    before = await decisions.reasons(tx, event_ids={row["event_id"] for row in fresh.values()})
    out = []
    for row in fresh.values():
        kept = read(before.get((row["event_id"], row["rule_id"], str(row["member_id"]), row["unit"]), ""))
        out.append((row, with_basis(Reason(reason), kept.basis.reason) if kept.basis is not None else reason))
    return out


async def _too_much(tx: Tx, fresh: Mapping[UUID, Mapping[str, Any]]) -> set[UUID]:
    """Those that would take the receiver's account or `mint` out of its range. The accounts are not held, so that what
    comes at the same moment may still refuse all of them."""

    def moves(row: Mapping[str, Any]) -> tuple[tuple[tuple[UUID, UUID, str], int], ...]:
        community_id, unit, amount = row["community_id"], row["unit"], row["amount"]
        mint = system_account_id(community_id, MINT)
        return ((community_id, row["member_id"], unit), amount), ((community_id, mint, unit), -amount)

    balances = await ledger_store.balances(tx, {key for row in fresh.values() for key, _ in moves(row)})
    out = set()
    for id, row in fresh.items():
        after = {key: balances.get(key, 0) + change for key, change in moves(row)}
        if any(abs(balance) > MOST for balance in after.values()):
            out.add(id)
        else:
            balances |= after
    return out


async def _pay(tx: Tx, community_id: UUID, fresh: Mapping[UUID, dict[str, Any]]) -> None:
    """Post the grants, and let what undoes them find them."""
    keys = {id: grant_key(r["rule_id"], r["event_id"], r["member_id"], r["unit"]) for id, r in fresh.items()}
    grants = [
        Grant(
            community_id=community_id,
            member_id=row["member_id"],
            unit=row["unit"],
            amount=row["amount"],
            rule_id=row["rule_id"],
            rule_version=row["rule_version"],
            source_event_id=row["event_id"],
            effective_at=row["at"],
            idem_key=keys[id],
            reason=row["rule_name"],
        )
        for id, row in fresh.items()
    ]
    await post_grants(tx, grants, history={row["event_id"]: row["history"] for row in fresh.values()})
    there = await ledger_store.posted(tx, community_id, keys.values())
    for id, row in fresh.items():
        row["transaction_id"] = there[keys[id]][0]
    things = {UUID(thing) for row in fresh.values() for thing in row["things"]}
    await undoing_store.rename_grants(tx, {id: row["transaction_id"] for id, row in fresh.items()}, things)


def _decision_row(tx: Tx, row: Mapping[str, Any], verdict: str, amount: int, reason: str) -> dict[str, Any]:
    same = (
        "event_id", "rule_id", "unit", "community_id", "member_id", "rule_version", "event_type", "wanted",
        "transaction_id", "notify",
    )  # fmt: skip
    return {
        **{name: row[name] for name in same},
        "receiver": str(row["member_id"]),
        "verdict": verdict,
        "amount": amount,
        "reason": reason,
        "effective_at": row["at"],
        "decided_at": tx.now,
    }


def _scored(row: Mapping[str, Any], told: Mapping[str, Any]) -> ActivityScored:
    names = (
        "rule_id", "rule_version", "unit", "verdict", "wanted", "amount", "reason", "transaction_id", "notify",
    )  # fmt: skip
    member_id, group_account = beneficiary(told["member_id"])
    same = {name: told[name] for name in names}
    return ActivityScored(
        community_id=row["community_id"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        actor_id=row["actor_id"],
        effective_at=row["at"],
        history=row["history"],
        decisions=(Decision(member_id=member_id, group_account=group_account, **same),),
    )
