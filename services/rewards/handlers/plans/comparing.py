"""What a plan's scratch file says, compared with what is there: what is to be posted, and the figures of it all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from kit.database import Database, Tx
from kit.service import ServiceRuntime
from services.rewards.domain.engine import PENDING
from services.rewards.domain.groups import is_group
from services.rewards.domain.ledger import REFUSE
from services.rewards.domain.recomputing import BACKFILL, NOTHING, Change, Key, change, given
from services.rewards.handlers.plans.folding import chapters_after
from services.rewards.handlers.plans.scratch import forget_announcements, kept_since
from services.rewards.store import erasures, reviews
from services.rewards.store import ledger as ledger_store
from services.rewards.store import plans as store
from services.rewards.store import scratch as scratch_store
from services.rewards.store.plans import Existing
from services.rewards.store.scratch import COMPARED, Outcome

NO_LINES = "0 0"


class Difference(NamedTuple):
    """What becomes of one key. `spared` is what is not taken because the unit never takes back; `mark` changes with
    every entry of the key."""

    key: Key
    wanted: int
    have: int
    change: Change
    spared: int
    effective_at: datetime
    day: date
    outcome: Outcome | None
    mark: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Events with what is there (held, where it is to be posted) and what should be. `staying` is what is left as it
    is, with the scratch file's grant of it; `reviews` what somebody looks at, by the ids of that; of `early` events
    all stays."""

    existing: Existing
    differences: Sequence[Difference]
    rows: Sequence[Any]
    """The scratch file's decisions."""
    staying: Mapping[Key, UUID | None]
    reviews: Mapping[Key, UUID]
    early: Collection[UUID]


async def refusing(tx: Tx, community_id: UUID) -> set[str]:
    """Units that never take back what was given: a recompute does not either."""
    return {unit.id for unit in (await ledger_store.units_of(tx, community_id)).values() if unit.clawback == REFUSE}


async def compare(
    live: Tx, scratch: Tx, plan: Any, event_ids: Collection[UUID], spare: Collection[str], *, lock: bool = False
) -> Compared:
    ids = sorted(event_ids)
    wanted = await scratch_store.outcomes(scratch, ids)
    there = await store.existing(live, plan.community_id, ids, plan.id, lock=lock)
    paid = {(key.event_id, key.rule_id) for key in there.lines if there.others(key)}
    rows = await scratch_store.decided(scratch, ids)
    # What somebody decides is theirs: neither paid nor taken back for them, whatever rules there are.
    looked_at = await reviews.reviewed(live, plan.community_id, ids)
    persons = {Key(r.event_id, r.rule_id, r.member_id, r.unit) for r in rows if r.verdict == PENDING} | looked_at.keys()
    early = {r.event_id for r in there.decisions if r.decided_at < kept_since(plan)}
    closed = await erasures.closed(live, plan.community_id, {key.member_id for key in (*wanted, *there.lines)})
    out: list[Difference] = []
    staying: dict[Key, UUID | None] = dict.fromkeys(persons)
    for key in sorted(wanted.keys() | there.lines.keys()):
        lines, outcome = there.lines.get(key, []), wanted.get(key)
        at, day = (outcome.effective_at, outcome.day) if outcome is not None else there.places[lines[0].transaction_id]
        stays = at < plan.since or key in persons or key.event_id in early or key.member_id in closed
        stays = stays or (plan.mode == BACKFILL and (key.event_id, key.rule_id) in paid)
        have, mark = given(lines), f"{len(lines)} {sum(line.reversed for line in lines)}"
        if stays:
            staying[key] = None if outcome is None else outcome.transaction_id
            if at >= plan.since and have:
                out.append(Difference(key, have, have, NOTHING, 0, at, day, None, mark))
            continue
        amount = outcome.wanted if outcome is not None else 0
        found, spared = change(amount, lines), 0
        if key.unit in spare and any(line.amount > 0 for line, _ in found.back):
            spared, found = sum(part for _, part in found.back), NOTHING
        if amount or have or outcome is not None:
            out.append(Difference(key, amount, have, found, spared, at, day, outcome, mark))
    return Compared(there, out, [row for row in rows if row.verdict != PENDING], staying, looked_at, early)


async def compare_some(one: ServiceRuntime, scratch: Database, plan: Any, most: int) -> int:
    """Work out the figures of some more activities; 0: of all up to the plan's head."""
    async with scratch.read() as tx:
        place = (await scratch_store.places(tx))[COMPARED]
    if place >= plan.head:
        return 0
    _, chapters = await chapters_after(one, plan.community_id, place, plan.head, most)
    ids = {item.event_id for chapter in chapters for item in chapter.items}
    async with one.db.read() as live:
        spare = await refusing(live, plan.community_id)
        async with scratch.begin() as tx:
            # Each event is counted once, though it was handled twice.
            ids -= await scratch_store.seen(tx, ids)
            compared = await compare(live, tx, plan, ids, spare)
            await _count(tx, compared.differences)
            await scratch_store.move_on(tx, COMPARED, chapters[-1].seq if chapters else plan.head)
            forget_announcements(tx)
    return sum(len(chapter.items) for chapter in chapters) or 1


async def _count(tx: Tx, differences: Sequence[Difference]) -> None:
    members: dict[tuple[str, UUID], tuple[int, int, int]] = {}
    days: dict[tuple[date, str, str], dict[str, int]] = {}
    for d in differences:
        amounts = d.change.amounts
        after = d.have + sum(amounts)
        if not is_group(d.key.member_id):
            was, now, changes = members.get((d.key.unit, d.key.member_id), (0, 0, 0))
            members[d.key.unit, d.key.member_id] = was + d.have, now + after, changes + bool(amounts)
        figures = days.setdefault((d.day, d.key.rule_id, d.key.unit), {})
        for name, step in _figures(d, after, amounts).items():
            figures[name] = figures.get(name, 0) + step
    await scratch_store.add_members(tx, members)
    rows = [{"day": day, "rule_id": rule, "unit": unit, **figures} for (day, rule, unit), figures in days.items()]
    await scratch_store.add_days(tx, rows)


def _figures(d: Difference, after: int, amounts: Sequence[int]) -> Mapping[str, int]:
    return {
        "was": d.have,
        "now": after,
        "grants": int(after != 0),
        "changes": int(bool(amounts)),
        "entries": len(amounts),
        "added": sum(amount for amount in amounts if amount > 0),
        "taken": -sum(amount for amount in amounts if amount < 0),
        "spared": d.spared,
    }
