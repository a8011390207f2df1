"""Lots follow what is posted (R70).

Who posts holds the accounts it changes, and so their lots. Units whose points never expired have none, and cost no
statement.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from kit.clock import uuid7
from kit.copies import known_communities
from kit.database import Tx
from kit.days import local_day
from kit.errors import Unavailable
from services.rewards.domain import lots as domain
from services.rewards.domain.debts import Key, Standing
from services.rewards.domain.ledger import EXPIRED, EXPIRY, Posting, digest
from services.rewards.store import lots as store

Terms = Mapping[tuple[UUID, str], int]
"""The units (with their communities) that have lots, and after how many days what comes in expires."""


class Spared(NamedTuple):
    """What of reversals is not taken from the account because it expired there: by the reversal's id, and the postings
    that bring it back from `expired` for them."""

    parts: Mapping[UUID, Sequence[domain.Part]]
    postings: Sequence[Posting]


NOTHING = Spared({}, [])


async def spare(tx: Tx, postings: Iterable[Posting], terms: Terms) -> Spared:
    """What expired is gone already: a reversal of what brought it takes it from where it went to, and nothing else of
    the account's. The accounts are held."""
    taken = [
        (p, p.reverses)
        for p in postings
        if p.amount < 0 and p.reverses is not None and p.of_member and (p.community_id, p.unit) in terms
    ]
    parts = await store.parts(tx, {original for _, original in taken}) if taken else {}
    today = await _days(tx, {p.community_id for p, _ in taken})
    old = [
        (p, parts[original])
        for p, original in taken
        if any(part.last_day < today[p.community_id] for part in parts.get(original, ()))
    ]
    if not old:
        return NOTHING
    keys = {(p.community_id, p.member_id, p.unit) for p, _ in old}
    lots, expired = await store.of_accounts(tx, keys), await store.expired(tx, keys)
    out: dict[UUID, Sequence[domain.Part]] = {}
    for p, made in old:
        key = p.community_id, p.member_id, p.unit
        there, gone = lots.setdefault(key, {}), expired.get(key, {})
        if found := domain.expired_of(made, -p.amount, there, gone, today[p.community_id]):
            out[p.id] = found
    return Spared(out, [_back(tx, p, part) for p, _ in old for part in out.get(p.id, ())])


def _back(tx: Tx, reversal: Posting, part: domain.Part) -> Posting:
    key = digest("unexpired", reversal.id, part.last_day)
    return Posting(
        id=uuid7(tx.now),
        community_id=reversal.community_id,
        idem_key=key,
        payload_hash=key,
        kind=EXPIRY,
        member_id=reversal.member_id,
        counter=EXPIRED,
        unit=reversal.unit,
        amount=part.amount,
        effective_at=tx.now,
        # That of the entry by which it expired, so that both are found together.
        day=part.last_day + timedelta(days=1),
        scored=False,
        reason="Expired before it was taken back",
    )


async def follow(
    tx: Tx, postings: Iterable[Posting], after: Mapping[Key, Standing], terms: Terms, spared: Spared
) -> None:
    """Bring the lots to what the postings say, those of `spared` not among them. `after` are the members' accounts,
    held, with all postings in them."""
    each: dict[Key, list[Posting]] = {}
    for p in postings:
        if p.of_member and (p.community_id, p.unit) in terms:
            each.setdefault((p.community_id, p.member_id, p.unit), []).append(p)
    if not each:
        return
    held = await store.of_accounts(tx, [key for key, some in each.items() if any(p.amount < 0 for p in some)])
    reversing = [p for some in each.values() for p in some if p.reverses is not None]
    parts = await store.parts(tx, {p.reverses for p in reversing if p.reverses is not None})
    today = await _days(tx, {p.community_id for p in reversing if p.amount > 0})
    changes: dict[tuple[UUID, UUID, str, date], int] = {}
    gone = []
    kept = domain.Kept()
    for key, some in each.items():
        kept_back = sum(part.amount for p in some for part in spared.parts.get(p.id, ()))
        before = after[key].balance - sum(p.amount for p in some) - kept_back
        account = domain.Account(before, held.get(key, {}))
        done = domain.follow(account, some, terms[key[0], key[2]], parts, spared.parts, today.get(key[0]))
        kept.new += done.new
        kept.left |= done.left
        for day, change in account.changed.items():
            if key in held and account.lots[day] == 0:
                gone.append((*key, day))
            elif change:
                changes[*key, day] = change
    await store.change(tx, changes, gone)
    await store.add_parts(tx, kept.new)
    await store.set_parts(tx, kept.left)


async def _days(tx: Tx, community_ids: set[UUID]) -> dict[UUID, date]:
    """What day it is in these communities."""
    places = await known_communities(tx, community_ids) if community_ids else {}
    if missing := community_ids - places.keys():
        raise Unavailable(f"community {min(missing)} is not known here yet", code="community_unknown")
    return {id: local_day(tx.now, place.zone, place.day_start) for id, place in places.items()}
