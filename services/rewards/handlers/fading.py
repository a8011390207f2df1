"""What changes on a board that decays when one of its days changes, in the transaction that posts.

Each day counts by itself, so what a score changes by is what is left of the day afterwards less what was left before:
no other day is read, and the order in which entries come does not matter.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from kit.database import Tx
from kit.errors import BadRequest
from services.rewards.domain.boards import Slot, decay_slot
from services.rewards.domain.decay import left_of
from services.rewards.domain.ledger import MOST
from services.rewards.store import decaying as store
from services.rewards.store.boards import Key, Score

Fading = dict[Key, list[Key]]
"""(slot that decays, member) → the (day's slot, member) that change it."""


def fading(slots: dict[UUID, Slot], keys: Collection[Key]) -> Fading:
    """What these changes change besides; the slots are added to the others."""
    out: Fading = {}
    for slot_id, member in keys:
        slot = slots[slot_id]
        decay = slot.board.decay
        if slot.kind == "day" and decay is not None and decay.weight(slot.first_day):
            besides = decay_slot(slot.board, decay)
            slots[besides.id] = besides
            out.setdefault((besides.id, member), []).append((slot_id, member))
    return out


async def after(
    tx: Tx,
    slots: Mapping[UUID, Slot],
    some: Fading,
    taken_back: AbstractSet[Key],
    before: Mapping[Key, Score],
    days: Mapping[Key, Score | None],
) -> dict[Key, Score | None]:
    """The decayed scores, from the days' `before` and afterwards (`days`); None where no day is left."""
    # Where something was taken back, what is left of all days says when the score was reached.
    anew = {key for key, changed in some.items() if not taken_back.isdisjoint(changed)}
    reached = await _reached(tx, anew, days, some) if anew else {}
    out: dict[Key, Score | None] = {}
    for key, changed in some.items():
        was = before.get(key)
        score = was.score if was else 0
        for day in changed:
            score += _left(slots, day, days[day]) - _left(slots, day, before.get(day))
        if abs(score) > MOST:
            raise BadRequest(f"a score lies between -{MOST} and {MOST}", code="score_out_of_range")
        if key in anew:
            out[key] = Score(score, reached[key]) if key in reached else None
        else:
            times = [one.reached_at for day in changed if (one := days[day]) is not None]
            out[key] = Score(score, max([*times, was.reached_at] if was else times))
    return out


def _left(slots: Mapping[UUID, Slot], day: Key, score: Score | None) -> int:
    slot = slots[day[0]]
    assert slot.board.decay is not None
    return left_of(score.score, slot.board.decay.weight(slot.first_day)) if score is not None else 0


async def _reached(
    tx: Tx, keys: Collection[Key], days: Mapping[Key, Score | None], some: Fading
) -> dict[Key, datetime]:
    """When these scores were reached: as late as any day that counts; without those of whom no day is left."""
    times: dict[Key, dict[Key, datetime]] = {key: {} for key in keys}
    for row in await store.day_lines(tx, keys):
        times[row.slot, row.member_id][row.day_slot, row.member_id] = row.reached_at
    out: dict[Key, datetime] = {}
    for key, known in times.items():
        for day in some[key]:
            new = days[day]
            if new is not None:
                known[day] = new.reached_at
            else:
                known.pop(day, None)
        if known:
            out[key] = max(known.values())
    return out
