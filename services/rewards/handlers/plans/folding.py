"""Running a plan's rules over what was kept, in its scratch file, by the code that scores what comes in.

What stays as it is (R34) is not decided: it only takes its places under the limits. Of a recompute that is what
happened before its `since`; of a backfill, what a rule paid already, which is looked at first; of both, what was
decided on before anything was kept and is kept because it was sent once more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any, NamedTuple
from uuid import UUID

from kit.contracts.events import Activity
from kit.copies import KnownCommunity, known_community
from kit.database import Database, Tx
from kit.errors import Unavailable
from kit.service import ServiceRuntime
from services.rewards.domain import engine
from services.rewards.domain.engine import Verdict, Want
from services.rewards.domain.recomputing import BACKFILL, Key, given
from services.rewards.domain.streaks import State as Streak
from services.rewards.domain.undoing import stored_places
from services.rewards.handlers import earning, groups, keeping, labelling, settling, signals, tallying
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.earning import Scene
from services.rewards.handlers.keeping import Chapter
from services.rewards.handlers.plans.scratch import forget_announcements, kept_since, version_of
from services.rewards.handlers.plans.streaks import remembered
from services.rewards.handlers.purging import day_of
from services.rewards.handlers.wanting import wants_of
from services.rewards.store import decisions, kept
from services.rewards.store import plans as store
from services.rewards.store import scratch as scratch_store
from services.rewards.store import undoing as undoing_store
from services.rewards.store.plans import Existing
from services.rewards.store.scratch import FOLDED, POSTED, SEEDED

CHAPTER = 500
ROWS = 100


class Folded(NamedTuple):
    """How many activities were looked at, and whether that was the last of them."""

    activities: int
    there: bool


async def fold_some(one: ServiceRuntime, scratch: Database, plan: Any, until: int, most: int) -> Folded:
    """Take the scratch file on towards the row `until`, by about so many activities in each of its walks."""
    activities = 0
    for name in (SEEDED, FOLDED) if plan.mode == BACKFILL else (FOLDED,):
        async with scratch.read() as tx:
            place = (await scratch_store.places(tx))[name]
        if place < until:
            walked = await _walk(one, scratch, plan, (name, place, until), most)
            activities += walked.activities
            if not walked.there:
                return Folded(activities, False)
    return Folded(activities, True)


async def chapters_after(
    one: ServiceRuntime, community_id: UUID, seq: int, until: int, most: int
) -> tuple[KnownCommunity, list[Chapter]]:
    """What was kept after this row, about so many activities."""
    chosen: list[Any] = []
    count, more = 0, True
    async with one.db.read() as tx:
        community = await known_community(tx, community_id)
        while more and count < most:
            rows = await kept.after(tx, community_id, chosen[-1].seq if chosen else seq, until, ROWS)
            more = len(rows) == ROWS
            for row in rows:
                if count < most:
                    chosen.append(row)
                    count += row._mapping["count"]
    if community is None:
        raise Unavailable(f"community {community_id} is not known here yet", code="community_unknown")
    return community, keeping.chapters(chosen, CHAPTER)


async def _walk(one: ServiceRuntime, scratch: Database, plan: Any, way: tuple[str, int, int], most: int) -> Folded:
    name, seq, until = way
    community, chapters = await chapters_after(one, plan.community_id, seq, until, most)
    async with scratch.read() as tx:
        asked = (await rule_sets.alone(tx, plan.community_id, version_of(plan.id))).streaks
    for chapter in chapters or [_nothing(until)]:
        found = [item.activity(plan.community_id) for item in chapter.items]
        async with one.db.read() as live:
            early = await store.decided_before(live, plan.community_id, {a.event_id for a in found}, kept_since(plan))
            pays = [a.effective_at >= plan.since and a.event_id not in early for a in found]
            paying = list(compress(found, pays))
            staying = found if plan.mode == BACKFILL else [a for a, may in zip(found, pays, strict=True) if not may]
            there = await store.existing(live, plan.community_id, {a.event_id for a in staying}, plan.id)
            ways = await undoing_store.ways_of(live, there.places)
            streaks = await remembered(live, chapter, found, community, asked)
        async with scratch.begin() as tx:
            if (await scratch_store.places(tx))[name] != seq:
                # Another process took this one's turn over, with the same files.
                break
            scene = await _scene(tx, chapter, found, community, plan, streaks)
            scene = replace(scene, signals=await _signals(tx, found, scene, apart=name == SEEDED))
            if name == SEEDED or plan.mode != BACKFILL:
                await _take_places(tx, staying, scene, _given(there, plan), ways)
            if name == FOLDED:
                await _decide(tx, found, paying, scene, plan, there)
            await scratch_store.move_on(tx, name, chapter.seq)
            forget_announcements(tx)
        seq = chapter.seq
    return Folded(sum(len(chapter.items) for chapter in chapters), seq >= until)


def _nothing(until: int) -> Chapter:
    """What lies between was forgotten: it is too old to be looked at."""
    return Chapter(until, "UTC", 0, (), ())


async def _signals(tx: Tx, found: Sequence[Activity], scene: Scene, *, apart: bool) -> Mapping[UUID, signals.Values]:
    """Of all that is kept, what is before `since` too. Rows of a walk that is made once more (`apart`) are none of the
    next one's; since when members are known is, so that a backfill may know them for longer than they were known then.
    """
    ages = await signals.ages(tx, found, scene)
    if any(held.ages for held in scene.rules.values()):
        await labelling.note(tx, found, scene.ids)
    return await signals.note(tx, found, scene, ages, apart=apart)


async def _decide(
    tx: Tx, found: Sequence[Activity], paying: Sequence[Activity], scene: Scene, plan: Any, there: Existing
) -> None:
    ids = [a.event_id for a in found]
    scene.decided.update(await decisions.decided(tx, event_ids=ids))
    if plan.mode == BACKFILL:
        scene.decided.update({(key.event_id, key.rule_id) for key in there.lines if there.others(key)})
    await earning.decide(tx, found, scene, paying=paying)
    if (await scratch_store.places(tx))[POSTED]:
        await scratch_store.note_touched(tx, ids)


class Given(NamedTuple):
    """What was given otherwise. `undone` since, or can be undone as one of the `lines` can."""

    amount: int
    undone: bool
    lines: tuple[UUID, ...]


def _given(there: Existing, plan: Any) -> dict[Key, Given]:
    """By key. What was given before anything was kept is not among it: limits of a lifetime and per season know it
    already, and other windows of then are over."""
    first, early = {}, set()
    for r in there.decisions:
        if r.transaction_id is not None and r.receiver == str(r.member_id):
            key = Key(r.event_id, r.rule_id, r.member_id, r.unit)
            first[key] = r.amount
            if r.decided_at < kept_since(plan):
                early.add(key)
    out = {}
    for key in there.lines.keys() - early:
        lines = there.others(key)
        amount = given(lines)
        if amount or first.get(key):
            left = tuple([line.transaction_id for line in lines if line.left])
            out[key] = Given(amount or first[key], not amount, left)
    return out


async def _take_places(
    tx: Tx, staying: Sequence[Activity], scene: Scene, amounts: Mapping[Key, Given], ways: Mapping[UUID, Sequence[Any]]
) -> None:
    """What was given for these takes its places under the limits of the plan's rules, once."""
    wants = {
        key: want
        for a in staying
        for want in wants_of(a, scene)
        if want.member_id is not None
        and (key := Key(want.event_id, want.rule.id, want.member_id, want.unit)) in amounts
    }
    if not wants:
        return
    # An activity that was sent once more is here twice.
    new = await scratch_store.take(tx, wants)
    fresh = {key: want for key, want in wants.items() if key in new}
    before, state = await tallying.state_of(tx, list(fresh.values()), ())
    await groups.open_accounts(tx, staying, list(fresh.values()))
    for key, want in fresh.items():
        engine.take(want, amounts[key].amount, state, amounts[key].undone)
    await tallying.save(tx, state, before)
    await _hold_places(tx, {key: (want, amounts[key]) for key, want in fresh.items()}, scene, ways)


async def _hold_places(
    tx: Tx, taken: Mapping[Key, tuple[Want, Given]], scene: Scene, ways: Mapping[UUID, Sequence[Any]]
) -> None:
    """What gives its places back when it is undone is granted in the file too: it may be undone while the plan runs."""
    verdicts, rows = [], []
    for want, grant in taken.values():
        places = tuple(sorted({limit.id for limit in want.limits if limit.refill}))
        held = next((ways[id] for id in grant.lines if id in ways), ())
        if places and held and not grant.undone and grant.amount > 0:
            verdicts.append(Verdict(replace(want, review=False), engine.GRANTED, grant.amount, "", places))
            rows.append(held)
    history = {verdict.want.event_id: True for verdict in verdicts}
    settled, _ = await settling.post(tx, verdicts, [], units={}, places=scene.communities, history=history)
    undoable = [
        {
            **{name: getattr(way, name) for name in ("thing", "at", "types", "lifetime", "notify")},
            "transaction_id": one.transaction_id,
            "places": stored_places(one.verdict.places, one.verdict.want.epoch),
        }
        for one, held in zip(settled, rows, strict=True)
        for way in held
    ]
    await undoing_store.add_grants(tx, undoable)


async def _scene(
    tx: Tx,
    chapter: Chapter,
    found: Sequence[Activity],
    community: KnownCommunity,
    plan: Any,
    unseen: Mapping[UUID, Streak],
) -> Scene:
    """The world as it was, with the plan's rules. `unseen` are the streaks that nothing looked at then."""
    c = plan.community_id
    rules = await rule_sets.alone(tx, c, version_of(plan.id))
    ids, members = keeping.people_of(c, chapter.items)
    footings = keeping.footings_of(c, chapter.items)
    seen = {item.event_id: streak for item in chapter.items if (streak := keeping.streak_of(item)) is not None}
    return Scene(
        communities={c: chapter.place(community)},
        rules={c: rules},
        ids=ids,
        members=members,
        decided=set(),
        closed={day_of(a) for a, item in zip(found, chapter.items, strict=True) if item.closed},
        inverse={c: rules.inverse},
        secret=earning.draw_secret(tx),
        series={},
        streaks={**unseen, **seen},
        epochs={c: plan.id},
        badges={},
        signals={},
        checkins={item.event_id: item.checkin for item in chapter.items if item.checkin},
        footings=footings,
    )
