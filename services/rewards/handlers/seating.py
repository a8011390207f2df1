"""Places in the divisions of a league, one after the other as people come.

A place is the next number among the people of a tier; so many numbers make a division. It is the member's for the
whole period, whatever becomes of the score: divisions fill as people come, and nobody is moved to another while they
play. Until the divisions of a period are drawn (`handlers.leagues`) who comes waits.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from itertools import count
from typing import Any
from uuid import UUID

from kit.database import Tx
from services.rewards.domain.boards import Contribution, Slot
from services.rewards.domain.leagues import LOWEST
from services.rewards.store import leagues as store
from services.rewards.store.boards import Key


def first_scores(
    slots: Mapping[UUID, Slot],
    came: Collection[Key],
    contributions: Sequence[Contribution],
    counting: Mapping[tuple[UUID, str, date], Sequence[Slot]],
) -> dict[Key, datetime]:
    """When those of `came` who play in a league first scored, as these entries tell."""
    playing = {key for key in came if slots[key[0]].league is not None}
    first: dict[Key, datetime] = {}
    if not playing:
        return first
    for c in contributions:
        for slot in counting[c.community_id, c.unit, c.day]:
            if (key := (slot.id, c.member_id)) in playing:
                first[key] = min(first.get(key, c.effective_at), c.effective_at)
    return first


async def seat(tx: Tx, slots: Mapping[UUID, Slot], first: Mapping[Key, datetime]) -> None:
    """Give these members, who are on the boards of these periods now, a place as soon as there are divisions.

    The caller holds their accounts, or all of the units'. Of those who come with one batch who scored first is first;
    of two batches the one that is posted first.
    """
    if not first:
        return
    playing = {slot: slots[slot] for slot, _ in first}
    await store.open_periods(tx, playing.values())
    await store.add_waiting(tx, first)
    found = await store.waiting(tx, list(playing), drawn=True)
    await place(tx, playing, [row for row in found if (row.slot, row.member_id) in first])


async def place(tx: Tx, slots: Mapping[UUID, Slot], waiting: Sequence[Any]) -> None:
    """Places for those who wait (slot, member, first_at), in this order, each in their own tier."""
    if not waiting:
        return
    generations = {slot.id: slot.board.generation for slot in slots.values()}
    known = await store.tiers(tx, {(generations[row.slot], row.member_id) for row in waiting})
    await store.put_tiers(
        tx, {key: LOWEST for row in waiting if (key := (generations[row.slot], row.member_id)) not in known}
    )
    seats = []
    for row in waiting:
        league = slots[row.slot].league
        assert league is not None
        # Where the league has fewer tiers than it had, its highest is theirs.
        tier = min(known.get((generations[row.slot], row.member_id), LOWEST), league.top)
        seats.append(store.Seat(row.slot, row.member_id, row.first_at, tier, None))
    # The rows that count them are held from here on: of two at it at the same time the second one goes on behind.
    before = await store.number(tx, Counter((one.slot, one.tier) for one in seats))
    numbers = {at: count(start) for at, start in before.items()}
    await store.put_seats(tx, [one._replace(number=next(numbers[one.slot, one.tier])) for one in seats])
