"""What members' earning goes by: the level they had when the community's day began on which an activity is handled.

So a level that is reached today counts from tomorrow: what is given does not change what is given next, and it does not
matter how a day's activities are cut into batches, nor which replica has which. What it was is kept with each activity
(`handlers.keeping`) for rules to come. Kept for communities whose rules ask; a fixed number of statements.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kit.copies import KnownCommunity, known_communities
from kit.database import Tx
from kit.days import local_day
from services.rewards.domain import levels
from services.rewards.domain.ledger import Posting
from services.rewards.domain.levels import Footing
from services.rewards.store import ledger as ledger_store
from services.rewards.store import levels as store

if TYPE_CHECKING:
    from services.rewards.handlers.rules import Holding


async def of_people(
    tx: Tx,
    ids: Mapping[tuple[UUID, UUID], UUID],
    places: Mapping[UUID, KnownCommunity],
    rules: Mapping[UUID, "Holding"],
) -> dict[tuple[UUID, UUID], Footing]:
    """(community, member) → their footing today, of those that computed ids belong to, where rules ask for levels."""
    people = {(c, member_id) for (c, _), member_id in ids.items() if rules[c].levels}
    if not people:
        return {}
    versions = await store.current(tx, {c for c, _ in people})
    keys = {(c, member_id): (c, member_id, versions[c].unit) for c, member_id in people if c in versions}
    # Balances first: of what is posted in between, what was there before is noted by then.
    balances = await ledger_store.balances(tx, keys.values())
    opened = await store.opened(tx, keys.values())
    terms = {c: (levels.read(row.scheme), levels.read_perks(row.perks)) for c, row in versions.items()}
    today = {c: local_day(tx.now, places[c].zone, places[c].day_start) for c in versions}
    out = {}
    for (c, member_id), key in keys.items():
        balance = balances.get(key, 0)
        if key in opened and opened[key][0] >= today[c]:
            _, balance = opened[key]
        out[c, member_id] = levels.footing(*terms[c], balance)
    return out


async def open_days(
    tx: Tx, versions: Mapping[UUID, Any], moved: Sequence[Posting], balances: Mapping[tuple[UUID, UUID, str], int]
) -> None:
    """Note what members had before the first of a day's postings on their accounts in the unit that levels follow, in
    communities whose rules ever asked for levels. `balances` are those after these."""
    before: dict[tuple[UUID, UUID, str], int] = {}
    for p in moved:
        version = versions.get(p.community_id)
        if version is not None and version.asked and version.unit == p.unit:
            key = p.community_id, p.member_id, p.unit
            before[key] = before.get(key, balances[key]) - p.amount
    if not before:
        return
    places = await known_communities(tx, {c for c, _, _ in before})
    days = {c: local_day(tx.now, place.zone, place.day_start) for c, place in places.items()}
    await store.open_days(tx, {key: (days[key[0]], balance) for key, balance in before.items()})
