"""Running a plan's rules over what was kept, in its scratch file, by the code that scores what comes in.

What stays as it is (R34) is not decided: it only takes its places under the limits. Of a recompute that is what
happened before its `since`; of a backfill, what a rule paid already, which is looked at first.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from kit.contracts.events import Activity
from kit.copies import KnownCommunity, KnownMember, known_community
from kit.database import Database, Tx
from kit.errors import Unavailable
from kit.service import ServiceRuntime
from services.rewards.domain import engine
from services.rewards.domain.recomputing import BACKFILL, Key, given
from services.rewards.domain.undoing import inverse_types
from services.rewards.handlers import earning, keeping, tallying
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.earning import Scene
from services.rewards.handlers.keeping import Chapter
from services.rewards.handlers.plans.scratch import forget_announcements, version_of
from services.rewards.handlers.purging import day_of
from services.rewards.store import decisions, kept
from services.rewards.store import plans as store
from services.rewards.store import scratch as scratch_store
from services.rewards.store.plans import Existing
from services.rewards.store.scratch import FOLDED, POSTED, SEEDED

CHAPTER = 500
ROWS = 100


async def fold_some(one: ServiceRuntime, scratch: Database, plan: Any, until: int, most: int) -> int:
    """Take the scratch file on towards the row `until`, by about so many activities; 0: it is there."""
    async with scratch.read() as tx:
        places = await scratch_store.places(tx)
    if plan.mode == BACKFILL and places[SEEDED] < until:
        return await _walk(one, scratch, plan, (SEEDED, places[SEEDED], until), most)
    if places[FOLDED] < until:
        return await _walk(one, scratch, plan, (FOLDED, places[FOLDED], until), most)
    return 0


async def chapters_after(
    one: ServiceRuntime, community_id: UUID, seq: int, until: int, most: int
) -> tuple[KnownCommunity, list[Chapter]]:
    """What was kept after this row, about so many activities."""
    async with one.db.read() as tx:
        community = await known_community(tx, community_id)
        rows = await kept.after(tx, community_id, seq, until, ROWS)
    if community is None:
        raise Unavailable(f"community {community_id} is not known here yet", code="community_unknown")
    chosen, count = [], 0
    for row in rows:
        if count >= most:
            break
        chosen.append(row)
        count += row._mapping["count"]
    return community, keeping.chapters(chosen, CHAPTER)


async def _walk(one: ServiceRuntime, scratch: Database, plan: Any, way: tuple[str, int, int], most: int) -> int:
    name, seq, until = way
    community, chapters = await chapters_after(one, plan.community_id, seq, until, most)
    for chapter in chapters or [_nothing(until)]:
        found = [item.activity(plan.community_id) for item in chapter.items]
        staying = found if plan.mode == BACKFILL else [a for a in found if a.effective_at < plan.since]
        async with one.db.read() as live:
            there = await store.existing(live, plan.community_id, {a.event_id for a in staying}, plan.id)
        async with scratch.begin() as tx:
            if (await scratch_store.places(tx))[name] != seq:
                # Another process took this one's turn over, with the same files.
                break
            scene = await _scene(tx, chapter, found, community, plan)
            if name == SEEDED or plan.mode != BACKFILL:
                await _take_places(tx, staying, scene, there)
            if name == FOLDED:
                await _decide(tx, found, scene, plan, there)
            await scratch_store.move_on(tx, name, chapter.seq)
            forget_announcements(tx)
        seq = chapter.seq
    return sum(len(chapter.items) for chapter in chapters) or 1


def _nothing(until: int) -> Chapter:
    """What lies between was forgotten: it is too old to be looked at."""
    return Chapter(until, "UTC", 0, ())


async def _decide(tx: Tx, found: Sequence[Activity], scene: Scene, plan: Any, there: Existing) -> None:
    ids = [a.event_id for a in found]
    scene.decided.update(await decisions.decided(tx, event_ids=ids))
    paying: Sequence[Activity] = [a for a in found if a.effective_at >= plan.since]
    if plan.mode == BACKFILL:
        scene.decided.update({(key.event_id, key.rule_id) for key in there.lines if there.others(key)})
    await earning.decide(tx, found, scene, paying=paying)
    if (await scratch_store.places(tx))[POSTED]:
        await scratch_store.note_touched(tx, ids)


async def _take_places(tx: Tx, staying: Sequence[Activity], scene: Scene, there: Existing) -> None:
    """What was given for these takes its places under the limits of the plan's rules."""
    amounts = _given(there)
    wants = [
        want
        for a in staying
        for want in earning.wants_of(a, scene)
        if want.member_id is not None and Key(want.event_id, want.rule.id, want.member_id, want.unit) in amounts
    ]
    if not wants:
        return
    before, state = await tallying.state_of(tx, wants, ())
    for want in wants:
        assert want.member_id is not None
        amount, undone = amounts[Key(want.event_id, want.rule.id, want.member_id, want.unit)]
        engine.take(want, amount, state, undone)
    await tallying.save(tx, state, before)


def _given(there: Existing) -> Mapping[Key, tuple[int, bool]]:
    """Key → how much was given, and whether it was undone since."""
    first = {
        Key(r.event_id, r.rule_id, r.member_id, r.unit): r.amount
        for r in there.decisions
        if r.transaction_id is not None and r.receiver == str(r.member_id)
    }
    out = {}
    for key in there.lines:
        amount = given(there.others(key))
        if amount or first.get(key):
            out[key] = (amount, False) if amount else (first[key], True)
    return out


async def _scene(tx: Tx, chapter: Chapter, found: Sequence[Activity], community: KnownCommunity, plan: Any) -> Scene:
    """The world as it was, with the plan's rules."""
    c = plan.community_id
    version = version_of(plan.id)
    rules = (await rule_sets.of_versions(tx, [(c, version)]))[c, version]
    ids, members = {}, {}
    for item in chapter.items:
        for computed, person in ((item.actor_id, item.who), (item.author_id, item.whose)):
            if computed is not None and person is not None:
                ids[c, computed] = person.id
                members[c, person.id] = KnownMember(
                    person.id, "", person.state, person.kind, None, None, person.segments
                )
    streaks = {item.event_id: streak for item in chapter.items if (streak := keeping.streak_of(item)) is not None}
    return Scene(
        communities={c: chapter.place(community)},
        rules={c: (version, rules)},
        by_type={c: rules.by_type()},
        ids=ids,
        members=members,
        decided=set(),
        closed={day_of(a) for a, item in zip(found, chapter.items, strict=True) if item.closed},
        inverse={c: inverse_types(rules)},
        secret=earning.draw_secret(tx),
        series={},
        streaks=streaks,
        epochs={c: plan.id},
        badges={},
    )
