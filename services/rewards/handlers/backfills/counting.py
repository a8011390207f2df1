"""Badges that count events, over what is kept: row by row, in the order in which it was handled, by the code that
counts what comes in, with what was known then.

While a backfill is open nobody else counts for the badge: what comes is kept, and its turn comes. The last of it is
counted while nobody scores, and from then on the badge counts by itself. So each event counts once, whether it came
before the backfill, during it or afterwards.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from kit.contracts.events import Activity
from kit.copies import KnownCommunity, known_community
from kit.database import Database, Tx, lock_alone, try_lock
from services.rewards.domain.backfills import CANCELLED, CLOSING, DONE
from services.rewards.domain.erasing import ERASED
from services.rewards.domain.rules import RuleSet
from services.rewards.domain.streaks import State as Streak
from services.rewards.domain.undoing import inverse_types, mark_undone_by
from services.rewards.handlers import awarding, keeping, noting, watching
from services.rewards.handlers.awarding import Note, Then
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.checking_in import World
from services.rewards.handlers.earning import Scene
from services.rewards.handlers.granting import hold
from services.rewards.handlers.keeping import Chapter
from services.rewards.handlers.plans.streaks import remembered
from services.rewards.handlers.seeing import Seen
from services.rewards.handlers.undoing import inverses_of
from services.rewards.store import backfills as store
from services.rewards.store import badges as badges_store
from services.rewards.store import erasures, kept
from services.rewards.store import undoing as undoing_store
from services.rewards.store.badges import Key

STEP = 200
"""Activities in a transaction."""
INDEX = 2000
"""Activities that are looked through for inverse events in one."""
ROWS = 100
CLEAR = 500
_INVERSE = inverse_types(RuleSet())


def inverses_for(one: Defined) -> frozenset[str]:
    """The types of the inverse events that take out what the badge counts."""
    return frozenset(name for type in one.badge.criterion.on for name in mark_undone_by(type))


def lock_name(row: Any) -> str:
    return f"backfill {row.community_id} {row.badge_id}"


async def take_on(db: Database, row: Any, one: Defined) -> bool:
    """The next part; False when it is over, or another process is at it."""
    if not one.badge.enabled:
        return await _give_up(db, row)
    if not row.cleared:
        return await _clear(db, row, one)
    async with db.read() as tx:
        head = await kept.head(tx, row.community_id)
        rows, more = await _rows(tx, row, row.place, head, STEP)
        far = row.indexed is not None and (await _rows(tx, row, row.indexed, head, INDEX))[1]
    if far:
        return await _index_some(db, row, one, head)
    async with db.begin() as tx:
        if not await try_lock(tx, lock_name(row)):
            return False
        if not more:
            # Nobody scores until this is committed.
            await lock_alone(tx, keeping.gate(row.community_id))
        now = await _still(tx, row)
        if now is None:
            return True
        if not more:
            head = await kept.head(tx, row.community_id)
            rows, more = await _rows(tx, row, row.place, head, STEP)
        values = await _count(tx, now, one, rows)
        if not more:
            values |= {"state": CANCELLED if now.state == CLOSING else DONE, "place": head}
        await store.change(tx, now, **values)
    return True


async def _still(tx: Tx, row: Any) -> Any:
    """The row, held, if it is where it was."""
    now = await store.still_open(tx, row)
    return now if now is not None and (now.place, now.cleared) == (row.place, row.cleared) else None


async def _rows(tx: Tx, row: Any, seq: int, until: int, most: int) -> tuple[list[Any], bool]:
    """The rows that were kept after this one, about so many activities, and whether there are more."""
    out: list[Any] = []
    count = 0
    while count < most:
        found = await kept.after(tx, row.community_id, out[-1].seq if out else seq, until, ROWS)
        for one in found:
            if count >= most:
                return out, True
            out.append(one)
            count += one._mapping["count"]
        if len(found) < ROWS:
            return out, False
    return out, bool(await kept.after(tx, row.community_id, out[-1].seq, until, 1))


async def _give_up(db: Database, row: Any) -> bool:
    """Of a badge that is granted to nobody nothing is counted."""
    async with db.begin() as tx:
        now = await store.still_open(tx, row)
        if now is not None:
            await store.change(tx, now, state=CANCELLED)
    return True


# What goes before


async def _clear(db: Database, row: Any, one: Defined) -> bool:
    """Who was never granted it is counted from the beginning."""
    async with db.begin() as tx:
        if not await try_lock(tx, lock_name(row)):
            return False
        now = await _still(tx, row)
        if now is None:
            return True
        members = await store.unreached(tx, row.community_id, row.badge_id, CLEAR)
        held = await hold(tx, {(row.community_id, row.badge_id, member): one for member in members})
        await store.remove_standings(tx, [key for key, standing in held.items() if not standing.before.number])
        if len(members) < CLEAR:
            await store.change(tx, now, cleared=True)
    return True


async def _index_some(db: Database, row: Any, one: Defined, head: int) -> bool:
    async with db.begin() as tx:
        if not await try_lock(tx, lock_name(row)):
            return False
        now = await _still(tx, row)
        if now is None or now.indexed != row.indexed:
            return True
        await _index(tx, now, one, (await _rows(tx, row, row.indexed, head, INDEX))[0])
    return True


async def _index(tx: Tx, row: Any, one: Defined, rows: Sequence[Any]) -> None:
    """Note in which rows inverse events are."""
    wanted, found = inverses_for(one), []
    key = {"community_id": row.community_id, "badge_id": row.badge_id}
    for kept_row in rows:
        for item in keeping.opened(kept_row).items:
            if item.type in wanted:
                found.append({**key, "event_id": item.event_id, "seq": kept_row.seq})
    await store.add_inverses(tx, found)
    if rows:
        await store.change(tx, row, indexed=rows[-1].seq)


# Counting


class _Row(NamedTuple):
    """What there is to count of a row of kept activities."""

    kept: Any
    note: Note

    @property
    def things(self) -> set[UUID]:
        """What it counts may be undone by what is about these."""
        return {one.way.thing for one in self.note.candidates if one.way is not None}


async def _count(tx: Tx, row: Any, one: Defined, rows: Sequence[Any]) -> dict[str, Any]:
    """Count these rows; what of the backfill's row that changes."""
    if not rows:
        return {}
    community = await known_community(tx, row.community_id)
    assert community is not None, "nothing is kept of a community that nobody heard of"
    noted = await _noted(tx, row, one, rows, community)
    heard = await _heard(tx, row, one, noted)
    left = await _left(tx, row, noted)
    granted = 0
    for some in noted:
        old = some.kept.seq <= row.head
        note = replace(some.note, candidates=[c for c in some.note.candidates if not (old and c.key in left)])
        known = {event for event, seq in heard.items() if seq is None or seq < some.kept.seq}
        granted += await awarding.count_again(tx, note, Then(some.kept.kept_at, known, left if old else ()))
    count = sum(kept_row._mapping["count"] for kept_row in rows)
    return {"place": rows[-1].seq, "done": row.done + count, "granted": row.granted + granted}


async def _noted(tx: Tx, row: Any, one: Defined, rows: Sequence[Any], community: KnownCommunity) -> list[_Row]:
    """The rows with something for the badge in them."""
    found = [(kept_row, chapter) for kept_row in rows for chapter in keeping.chapters([kept_row], 1)]
    people = {person.id for _, chapter in found for item in chapter.items for _, person in item.people if person}
    gone = await erasures.closed(tx, row.community_id, people)
    out = []
    for kept_row, chapter in found:
        activities = [item.activity(row.community_id) for item in chapter.items]
        unseen = await remembered(tx, chapter, activities, community, watching.of_badges([one]))
        world = _world(row.community_id, chapter, activities, community, gone, unseen)
        note = await noting.note_of(activities, {row.community_id: [one]}, world)
        before = kept_row.kept_at < one.created_at and row.since is not None
        candidates = [c for c in note.candidates if not (before and c.mark.at < row.since)]
        if row.silent and kept_row.seq <= row.head:
            candidates = [c._replace(mark=c.mark._replace(history=True)) for c in candidates]
        if candidates or note.inverses:
            out.append(_Row(kept_row, replace(note, candidates=candidates)))
    return out


def _world(
    community_id: UUID,
    chapter: Chapter,
    activities: Sequence[Activity],
    community: KnownCommunity,
    gone: Collection[UUID],
    unseen: Mapping[UUID, Streak],
) -> World:
    """As it was then; but who was erased since is nobody. `unseen` are the streaks that nothing looked at then."""
    ids, members = keeping.people_of(community_id, chapter.items)
    for pair, known in members.items():
        if pair[1] in gone:
            members[pair] = replace(known, state=ERASED)
    seen = {item.event_id: streak for item in chapter.items if (streak := keeping.streak_of(item)) is not None}
    scene = Scene(
        communities={community_id: chapter.place(community)},
        rules={},
        ids=ids,
        members=members,
        decided=set(),
        closed=set(),
        inverse={community_id: _INVERSE},
        secret=b"",
        series={},
        streaks={**unseen, **seen},
        epochs={},
        badges={},
        signals={},
        checkins={item.event_id: item.checkin for item in chapter.items if item.checkin},
        footings={},
    )

    def holds(a: Activity, condition: str) -> bool:
        return Seen(a, scene).made.condition(condition)

    inverses = inverses_of(activities, scene.inverse)
    return World(scene.communities, {}, ids, members, inverses, holds, scene.checkins)


async def _heard(tx: Tx, row: Any, one: Defined, noted: Sequence[_Row]) -> Mapping[UUID, int | None]:
    """The inverse events about what is counted here → the row of kept activities that each is in; None: it came before
    all that is kept."""
    things = {thing for some in noted for thing in some.things}
    if row.indexed is None or not things:
        return {}
    found = {r.event_id for r in await undoing_store.inverses(tx, things)}
    if not found:
        return {}
    # Afterwards: whatever was found was committed with its row, which is seen from here on.
    head = await kept.head(tx, row.community_id)
    await _index(tx, row, one, (await _rows(tx, row, row.indexed, head, 1 << 62))[0])
    seqs = await store.rows_of(tx, row, found)
    return {event: seqs.get(event) for event in found}


async def _left(tx: Tx, row: Any, noted: Sequence[_Row]) -> set[Key]:
    """Who was granted it before the backfill began: what was handled before then was counted for them."""
    old = [some.note for some in noted if some.kept.seq <= row.head]
    keys = {one.key for note in old for one in note.candidates}
    things = {inverse.thing for note in old for _, inverse in note.inverses}
    for mark in await badges_store.marks_about(tx, things):
        if (mark.community_id, mark.badge_id) == (row.community_id, row.badge_id):
            keys.add((mark.community_id, mark.badge_id, mark.member_id))
    return await store.granted_before(tx, keys, row.began_at)
