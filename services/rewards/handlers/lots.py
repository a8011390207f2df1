"""Lots follow what is posted (R70).

Who posts holds the accounts it changes, and so their lots. Units whose points never expired have none, and cost no
statement.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from uuid import UUID

from kit.copies import known_communities
from kit.database import Tx
from kit.days import local_day
from kit.errors import Unavailable
from services.rewards.domain import lots as domain
from services.rewards.domain.debts import Key, Standing
from services.rewards.domain.ledger import Posting
from services.rewards.store import lots as store


async def follow(
    tx: Tx, postings: Iterable[Posting], after: Mapping[Key, Standing], terms: Mapping[tuple[UUID, str], int]
) -> None:
    """Bring the lots to what the postings say. `after` are the members' accounts, held, with the postings in them;
    `terms` the units (with their communities) that have lots, and after how many days what comes in expires."""
    each: dict[Key, list[Posting]] = {}
    for p in postings:
        if p.instead is None and (p.community_id, p.unit) in terms:
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
        before = after[key].balance - sum(p.amount for p in some)
        account = domain.Account(before, held.get(key, {}))
        done = domain.follow(account, some, terms[key[0], key[2]], parts, today.get(key[0]))
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
