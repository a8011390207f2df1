"""What verdicts lead to: grants in the ledger, a decision kept for each, one event per activity for the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from kit import outbox
from kit.clock import uuid7
from kit.contracts.events import Activity
from kit.contracts.rewards import ActivityScored, Decision
from kit.copies import KnownCommunity
from kit.database import Tx
from kit.turns import in_turns
from services.rewards.domain.engine import DUPLICATE, PENDING, Verdict, Want
from services.rewards.domain.groups import beneficiary
from services.rewards.domain.ledger import Posting, Unit
from services.rewards.domain.reasons import Why
from services.rewards.domain.rules import grant_key
from services.rewards.handlers.ledger import Grant, post_grants
from services.rewards.handlers.purging import is_history
from services.rewards.store import decisions


class Pending(NamedTuple):
    """What waits for review under this id."""

    id: UUID
    amount: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A verdict and the transaction that paid it; None: it gives nothing (yet, when it is `pending`), or was paid
    before."""

    verdict: Verdict
    transaction_id: UUID | None
    pending: Pending | None = None


async def post(
    tx: Tx,
    verdicts: Sequence[Verdict],
    takebacks: Sequence[Posting],
    *,
    units: Mapping[tuple[UUID, str], Unit],
    places: Mapping[UUID, KnownCommunity],
    history: Mapping[UUID, bool],
    besides: Sequence[Posting] = (),
) -> tuple[list[Settled], dict[bytes, UUID]]:
    """Pay what the verdicts give, then take back; one answer per verdict, in their order, and the transaction of each
    idempotency key that is new.

    `units` are those of what is taken back; `places` the communities by id, `history` says of each event id whether it
    was imported as history. `besides` is posted with the grants.
    """
    keys: list[bytes | None] = []
    grants = []
    async for part in in_turns(verdicts):
        for verdict in part:
            grant = _grant(verdict)
            keys.append(None if grant is None else grant.idem_key)
            if grant is not None:
                grants.append(grant)
    posted = await post_grants(
        tx, grants, history=history, places=places, takebacks=takebacks, units=units, besides=besides
    )
    return [_settled(tx, v, posted.get(key) if key else None) for v, key in zip(verdicts, keys, strict=True)], posted


def _settled(tx: Tx, verdict: Verdict, transaction_id: UUID | None) -> Settled:
    if _waits(verdict):
        return Settled(verdict._replace(verdict=PENDING, amount=0), None, Pending(uuid7(tx.now), verdict.amount))
    if verdict.amount != 0 and transaction_id is None:
        # The ledger had it already, though the decision is no longer kept.
        verdict = verdict._replace(verdict=DUPLICATE, amount=0, reason=Why.PAID.reason())
    return Settled(verdict, transaction_id)


def _waits(verdict: Verdict) -> bool:
    return verdict.want.review and verdict.amount > 0


def _grant(verdict: Verdict) -> Grant | None:
    want = verdict.want
    if verdict.amount == 0 or want.member_id is None or _waits(verdict):
        return None
    return Grant(
        community_id=want.community_id,
        member_id=want.member_id,
        unit=want.unit,
        amount=verdict.amount,
        rule_id=want.rule.id,
        rule_version=want.rule_version,
        source_event_id=want.event_id,
        effective_at=want.at,
        idem_key=grant_key(want.rule.id, want.event_id, want.member_id, want.unit),
        reason=want.rule.name or want.rule.id,
    )


def first(settled: Sequence[Settled]) -> list[Settled]:
    """One verdict per key of the decisions table; what was decided before is not written again."""
    out: dict[decisions.Key, Settled] = {}
    for one in settled:
        if one.verdict.verdict != DUPLICATE:
            out.setdefault(_key(one.verdict.want), one)
    return list(out.values())


def _key(want: Want) -> decisions.Key:
    receiver = str(want.member_id) if want.member_id else decisions.NOBODY
    return want.event_id, want.rule.id, receiver, want.unit


def row_of(settled: Settled, types: Mapping[UUID, str], now: datetime) -> dict[str, Any]:
    verdict, want = settled.verdict, settled.verdict.want
    event_id, rule_id, receiver, unit = _key(want)
    return {
        "event_id": event_id,
        "rule_id": rule_id,
        "receiver": receiver,
        "unit": unit,
        "community_id": want.community_id,
        "member_id": want.member_id,
        "rule_version": want.rule_version,
        "event_type": types[event_id],
        "verdict": verdict.verdict,
        "wanted": want.amount,
        "amount": verdict.amount,
        "reason": verdict.reason,
        "transaction_id": settled.transaction_id,
        "notify": want.rule.notify,
        "effective_at": want.at,
        "decided_at": now,
    }


async def announce(
    tx: Tx,
    found: Sequence[Activity],
    settled: Sequence[Settled],
    taken: Mapping[UUID, Sequence[Decision]],
    actors: Mapping[tuple[UUID, UUID], UUID],
) -> None:
    """One event per activity on which a rule had something to say; nothing for pure repeats.

    `taken` is what activities undid; `actors` the members that (community, computed id) are.
    """
    by_event: dict[UUID, list[Settled]] = {}
    for one in settled:
        by_event.setdefault(one.verdict.want.event_id, []).append(one)
    async for part in in_turns(found):
        for a in part:
            told, undid = by_event.get(a.event_id, ()), taken.get(a.event_id, ())
            if undid or any(one.verdict.verdict != DUPLICATE for one in told):
                decided = (*(decision(one) for one in told), *undid)
                outbox.add(tx, _scored(a, actors[a.community_id, a.actor_id] if a.actor_id else None, decided))


def _scored(a: Activity, actor_id: UUID | None, decisions: tuple[Decision, ...]) -> ActivityScored:
    return ActivityScored(
        community_id=a.community_id,
        event_id=a.event_id,
        event_type=a.type,
        actor_id=actor_id,
        effective_at=a.effective_at,
        history=is_history(a),
        decisions=decisions,
    )


def decision(settled: Settled) -> Decision:
    verdict, want = settled.verdict, settled.verdict.want
    member_id, group_account = beneficiary(want.member_id)
    return Decision(
        rule_id=want.rule.id,
        rule_version=want.rule_version,
        member_id=member_id,
        unit=want.unit,
        verdict=verdict.verdict,
        wanted=want.amount,
        amount=verdict.amount,
        reason=verdict.reason,
        transaction_id=settled.transaction_id,
        notify=want.rule.notify,
        group_account=group_account,
    )
