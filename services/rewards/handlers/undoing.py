"""Inverse events (R6 to R9): what they undo of a batch before it is paid, and of what was paid earlier.

An event and what undoes it may be handled by two replicas at once: both hold the lock of the thing that they are about
(a row of `counters`, taken with the caps' in one go), so that whichever comes second sees the first. What an event
brings and an inverse event takes in one batch is never posted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from kit import outbox
from kit.clock import uuid7
from kit.contracts.events import Activity
from kit.contracts.rewards import Decision, PointsAdjusted
from kit.database import Tx
from kit.turns import in_turns
from services.rewards.domain.engine import REFUSED, UNDONE, Undone, Want
from services.rewards.domain.explaining import cause
from services.rewards.domain.groups import beneficiary
from services.rewards.domain.ledger import MINT, REFUSE, REVERSAL, Posting, Unit, digest
from services.rewards.domain.undoing import EARLIER, Inverse, Way, inverse_of, places_among, stored_places, undone, ways
from services.rewards.handlers.refilling import Refill
from services.rewards.handlers.settling import Settled
from services.rewards.store import ledger as ledger_store
from services.rewards.store import reviews
from services.rewards.store import undoing as store


@dataclass(frozen=True, slots=True)
class Undoing:
    """`order` is each event's place in the batch; `ways` how what (event, rule) pays can be undone."""

    order: Mapping[UUID, int]
    ways: Mapping[tuple[UUID, str], tuple[Way, ...]]
    inverses: tuple[Inverse, ...]

    @property
    def things(self) -> set[UUID]:
        """Everything whose lock the batch needs."""
        return {way.thing for some in self.ways.values() for way in some} | {i.thing for i in self.inverses}


class Takeback(NamedTuple):
    """A grant to be taken back; `posting` is its reversal, `places` what it gives back under caps that refill, of the
    counters in force."""

    posting: Posting
    inverse: Inverse
    notify: bool
    places: tuple[UUID, ...]


class Stopped(NamedTuple):
    """What waited for review (its row) and is undone before anybody looked at it."""

    row: Any
    inverse: Inverse
    places: tuple[UUID, ...]


def inverses_of(found: Sequence[Activity], inverse: Mapping[UUID, frozenset[str]]) -> tuple[Inverse, ...]:
    """Those of the activities that undo something; `inverse` says by community which types do."""
    seen = [inverse_of(a, order) for order, a in enumerate(found) if a.type in inverse[a.community_id]]
    return tuple([one for one in seen if one is not None])


def epochs_of(
    found: Sequence[Activity], inverses: Sequence[Inverse], epochs: Mapping[UUID, UUID | None]
) -> dict[UUID, UUID | None]:
    """Thing → whose counters are in force in the community that it is a thing of."""
    of = {a.event_id: a.community_id for a in found} if inverses else {}
    return {inverse.thing: epochs[of[inverse.event_id]] for inverse in inverses}


async def of_batch(
    found: Sequence[Activity], wants: Sequence[Want], inverses: tuple[Inverse, ...], refill: Refill
) -> Undoing:
    """`refill` is what waited for longer, and may be paid or undone too."""
    order = {a.event_id: number for number, a in enumerate(found)}
    out = refill.ways()
    async for part in in_turns(wants):
        for want in part:
            key = want.event_id, want.rule.id
            if want.refusal is None and key not in out:
                out[key] = ways(found[order[want.event_id]], want.rule)
    return Undoing(order, out, inverses)


async def record(tx: Tx, batch: Undoing, wants: Sequence[Want]) -> tuple[Undone, list[Inverse]]:
    """What of the wants is undone, and the inverse events that were not handled before; they are kept.

    The caller holds the locks of `batch.things`.
    """
    asked = {way.thing for some in batch.ways.values() for way in some}
    known = [Inverse(r.thing, r.event_id, r.type, r.at, EARLIER) for r in await store.inverses(tx, asked)]
    rows = [{"thing": i.thing, "event_id": i.event_id, "type": i.type, "at": i.at} for i in batch.inverses]
    new = await store.add_inverses(tx, rows)
    fresh = [inverse for inverse in batch.inverses if (inverse.thing, inverse.event_id) in new]
    about: dict[UUID, list[Inverse]] = {}
    for inverse in (*known, *fresh):
        about.setdefault(inverse.thing, []).append(inverse)
    out = {}
    for want in wants if about else ():
        for way in batch.ways.get((want.event_id, want.rule.id), ()):
            by = undone(about.get(way.thing, ()), way, want.at, batch.order.get(want.event_id, EARLIER))
            if by is not None:
                out[want.event_id, want.rule.id] = by.type
    return out, fresh


async def look_up(
    tx: Tx, inverses: Sequence[Inverse], epochs: Mapping[UUID, UUID | None]
) -> tuple[list[Takeback], list[Stopped]]:
    """The grants of earlier batches that these inverse events undo, held, as far as they are not taken back yet; in
    the order of the events. And those of them that still wait for review, held too."""
    about: dict[UUID, list[Inverse]] = {}
    for inverse in inverses:
        about.setdefault(inverse.thing, []).append(inverse)
    hit: dict[UUID, tuple[Inverse, bool, tuple[UUID, ...]]] = {}
    keys = []
    for row in await store.grants(tx, about):
        way = Way(row.thing, tuple(row.types), row.lifetime)
        by = undone(about[row.thing], way, row.at, EARLIER)
        if by is not None:
            keys.append((row.thing, row.transaction_id))
            hit.setdefault(row.transaction_id, (by, row.notify, places_among(row.places, epochs[row.thing])))
    await store.remove_grants(tx, keys)
    stopped = [Stopped(row, hit[row.id][0], hit[row.id][2]) for row in await reviews.lock_pending(tx, hit)]
    lines = await ledger_store.lock_grants(tx, hit)
    found = sorted(lines, key=lambda id: (hit[id][0].order, id))
    takebacks = [
        Takeback(_reversal(tx, line, hit[id][0]), *hit[id])
        for id in found
        if abs((line := lines[id]).amount) > line.reversed
    ]
    return takebacks, stopped


async def units_of(tx: Tx, takebacks: Sequence[Takeback]) -> dict[tuple[UUID, str], Unit]:
    """The units of what is taken back."""
    return await ledger_store.units_among(tx, {(one.posting.community_id, one.posting.unit) for one in takebacks})


def freed(takebacks: Sequence[Takeback], units: Mapping[tuple[UUID, str], Unit]) -> list[UUID]:
    """The places that are given back: once for what was given once, though a recompute gave more of it later. A unit
    that may refuse to give back points does not give back places: who had spent them would earn the same again."""
    out: dict[Any, UUID] = {}
    for p, _, _, places in takebacks:
        if units[p.community_id, p.unit].clawback != REFUSE:
            out |= {(p.source_event_id, p.rule_id, p.member_id, p.unit, place): place for place in places}
    return list(out.values())


def _reversal(tx: Tx, line: ledger_store.Line, by: Inverse) -> Posting:
    left = abs(line.amount) - line.reversed
    return Posting(
        id=uuid7(tx.now),
        community_id=line.community_id,
        idem_key=digest("undone", line.transaction_id, by.type),
        payload_hash=digest(line.transaction_id, left),
        kind=REVERSAL,
        member_id=line.owner_id,
        counter=MINT,
        unit=line.unit,
        amount=-left if line.amount > 0 else left,
        effective_at=line.effective_at,
        day=line.day,
        scored=line.scored == 1,
        rule_id=line.rule_id,
        rule_version=line.rule_version,
        source_event_id=line.source_event_id,
        reverses=line.transaction_id,
        reason=f"Taken back because {cause(by.type, 'en')}",
    )


def history_of(takebacks: Sequence[Takeback], history: Mapping[UUID, bool]) -> dict[UUID, bool]:
    """Source event of each reversal → whether what undid it is no news."""
    return {
        one.posting.source_event_id: history[one.inverse.event_id]
        for one in takebacks
        if one.posting.source_event_id is not None
    }


async def keep_grants(tx: Tx, batch: Undoing, settled: Sequence[Settled]) -> None:
    """Note how what was paid can be undone."""
    rows: list[dict[str, Any]] = []
    async for part in in_turns(settled):
        for one in part:
            rows += _undoable(batch, one)
    await store.add_grants(tx, rows)


def _undoable(batch: Undoing, one: Settled) -> list[dict[str, Any]]:
    want = one.verdict.want
    # What waits for review goes by that one's id until it is a grant.
    id = one.transaction_id if one.pending is None else one.pending.id
    if id is None:
        return []
    return [
        {
            "thing": way.thing,
            "transaction_id": id,
            "at": want.at,
            "types": way.types,
            "lifetime": way.lifetime_seconds,
            "notify": want.rule.notify,
            "places": stored_places(one.verdict.places, want.epoch),
        }
        for way in batch.ways.get((want.event_id, want.rule.id), ())
    ]


def decisions_of(takebacks: Sequence[Takeback], posted: Mapping[bytes, UUID]) -> dict[UUID, list[Decision]]:
    """Inverse event → what was decided on it: a decision for each rule, member and unit, whatever the number of grants
    and of versions of the rule that gave them (it names the newest).

    `posted` says of each reversal's key which transaction it is; where the unit refuses there is none.
    """
    sums: dict[tuple[UUID, str, UUID, str, str], list[Takeback]] = {}
    for one in takebacks:
        p, verdict = one.posting, UNDONE if one.posting.idem_key in posted else REFUSED
        assert p.rule_id is not None
        key = one.inverse.event_id, p.rule_id, p.member_id, p.unit, verdict
        sums.setdefault(key, []).append(one)
    out: dict[UUID, list[Decision]] = {}
    for (event_id, rule_id, member_id, unit, verdict), some in sums.items():
        total = sum(one.posting.amount for one in some)
        paid, group_account = beneficiary(member_id)
        decision = Decision(
            rule_id=rule_id,
            rule_version=max(one.posting.rule_version or 0 for one in some),
            member_id=paid,
            unit=unit,
            verdict=verdict,
            wanted=total,
            amount=total if verdict == UNDONE else 0,
            reason=some[0].inverse.type,
            transaction_id=posted.get(some[0].posting.idem_key) if len(some) == 1 else None,
            group_account=group_account,
        )
        out.setdefault(event_id, []).append(decision)
    return out


def rows_of(a: Activity, decided: Sequence[Decision], now: datetime) -> list[dict[str, Any]]:
    """The same as rows of `decisions`."""
    return [
        {
            "event_id": a.event_id,
            "rule_id": d.rule_id,
            # Beside what the same rule may give on the inverse event itself: 36 characters too, and no id as text.
            "receiver": f"{'undo' if d.verdict == UNDONE else 'kept'}{paid.hex if paid else ''}",
            "unit": d.unit,
            "community_id": a.community_id,
            "member_id": paid,
            "rule_version": d.rule_version,
            "event_type": a.type,
            "verdict": d.verdict,
            "wanted": d.wanted,
            "amount": d.amount,
            "reason": d.reason,
            "transaction_id": d.transaction_id,
            "notify": d.notify,
            "effective_at": a.effective_at,
            "decided_at": now,
        }
        for d in decided
        for paid in (d.member_id or d.group_account,)
    ]


def announce(tx: Tx, takebacks: Sequence[Takeback], posted: Mapping[bytes, UUID], history: Mapping[UUID, bool]) -> None:
    """What a reversal by hand announces too, of members; `history` says which inverse events are no news."""
    for one in takebacks:
        p = one.posting
        if p.idem_key in posted and p.of_member:
            event = PointsAdjusted(
                community_id=p.community_id,
                member_id=p.member_id,
                transaction_id=p.id,
                unit=p.unit,
                amount=p.amount,
                reason=p.reason,
                cause_id=p.source_event_id,
                undone_by=one.inverse.event_id,
                notify=one.notify and not history[one.inverse.event_id],
            )
            outbox.add(tx, event)
