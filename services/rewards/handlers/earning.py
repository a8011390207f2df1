"""Activity into points: rules over a batch, caps under locks, grants into the ledger, decisions kept and announced.

A fixed number of statements per batch, whatever its size. Locks: labels, what check-ins can be undone by, those that
wait, streaks in the order of their keys, rows of signals in the order of their ids, counters in the order of their ids
(what grants can be undone by among them), the lines of grants to be taken back, groups' accounts that are new, then
what the ledger takes; so batches of two replicas wait for each other and never in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

from kit import copies
from kit.consumer import NotYet
from kit.contracts import Envelope
from kit.contracts.events import Activity
from kit.contracts.rewards import Decision
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx
from kit.turns import in_turns
from services.rewards.domain import engine
from services.rewards.domain.engine import Verdict, Want
from services.rewards.domain.ledger import Posting
from services.rewards.domain.levels import NO_FOOTING, Footing
from services.rewards.domain.people import inviter_id
from services.rewards.domain.streaks import State as Streak
from services.rewards.domain.undoing import Inverse
from services.rewards.handlers import (
    approving,
    badges,
    budgets,
    checking_in,
    checkins,
    footings,
    groups,
    keeping,
    labelling,
    noting,
    refilling,
    reviewing,
    settling,
    signals,
    tallying,
    undoing,
    watching,
)
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.counting import count_decisions
from services.rewards.handlers.erasing import late
from services.rewards.handlers.ledger import post_grants
from services.rewards.handlers.purging import closed_days, is_history
from services.rewards.handlers.rules import Holding, Parsed
from services.rewards.handlers.seeing import Seen
from services.rewards.handlers.settling import Settled
from services.rewards.handlers.signals import Values
from services.rewards.handlers.wanting import wants_of
from services.rewards.store import decisions


@dataclass(frozen=True, slots=True)
class Scene:
    """What a batch needs to know of the world."""

    communities: Mapping[UUID, KnownCommunity]
    rules: Mapping[UUID, Holding]
    ids: Mapping[tuple[UUID, UUID], UUID]
    members: Mapping[tuple[UUID, UUID], KnownMember]
    decided: set[tuple[UUID, str]]
    """(event, rule) of what was decided before. Not the receiver: after a link the same actor is another member, and
    an event read again must not be paid to them too."""
    closed: set[tuple[UUID, date]]
    """(community, day) of which decisions are no longer kept."""
    inverse: Mapping[UUID, frozenset[str]]
    """Community → the types of its inverse events."""
    secret: bytes
    series: Mapping[UUID, Sequence[Held]]
    streaks: Mapping[UUID, Streak]
    """By event id, where the event is a check-in or rules ask for it (`handlers.watching`)."""
    epochs: Mapping[UUID, UUID | None]
    """Community → whose counters its rules go by; None: the community's own."""
    badges: Mapping[UUID, Sequence[Defined]]
    signals: Mapping[UUID, Values]
    """By event id, where rules ask for some."""
    checkins: Mapping[UUID, str]
    """By event id, whether a series took it as a check-in."""
    footings: Mapping[tuple[UUID, UUID], Footing]
    """(community, member) → what their earning goes by, where rules ask for levels."""

    def footing(self, community_id: UUID, computed: UUID | None) -> Footing:
        """Of whoever has this computed id."""
        member_id = None if computed is None else self.ids.get((community_id, computed))
        return NO_FOOTING if member_id is None else self.footings.get((community_id, member_id), NO_FOOTING)

    def rules_of(self, a: Activity) -> Parsed:
        """The version of the rules that holds for it."""
        return self.rules[a.community_id].at(a.effective_at)


async def score(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """Note the check-ins, then run the rules in force over every activity, and take back what inverse events undo;
    raises NotYet while a community is still on its way."""
    found = [e.event for e in batch]
    await score_again(tx, found)


async def score_again(tx: Tx, found: Sequence[Activity]) -> None:
    """The same; of those that are handled once more (check-ins that waited) what was decided stays."""
    await keeping.enter(tx, {a.community_id for a in found})
    scene = await _scene(tx, found)
    ages = await signals.ages(tx, found, scene)
    there = [a for a in found if not late.is_erased(a.community_id, a.actor_id, scene)]
    await labelling.note(tx, there, scene.ids)
    approved = await _approved(tx, found, scene)
    if approved:
        found = [*found, *approved]
        scene = await _scene(tx, found)
        ages |= await signals.ages(tx, approved, scene)
    inverses = undoing.inverses_of(found, scene.inverse)
    asking = watching.asking(scene)
    recorded = await checking_in.record(tx, found, _world(scene, inverses), asking)
    seen = {**watching.unseen(found, asking), **recorded.streaks}
    scene = replace(scene, streaks=seen, checkins=recorded.statuses)
    scene = replace(scene, signals=await signals.note(tx, found, scene, ages))
    await noting.note(tx, found, scene.badges, _world(scene, inverses))
    await decide(tx, found, scene, besides=recorded.postings)
    await keeping.keep(tx, found, scene)


async def _approved(tx: Tx, found: Sequence[Activity], scene: Scene) -> list[Activity]:
    """The check-ins that waited and that confirmations among the activities let through."""
    world = _world(scene, undoing.inverses_of(found, scene.inverse))
    confirmations = checking_in.confirmations(found, world)
    if not confirmations:
        return []
    return await approving.take(tx, confirmations, scene.series, checking_in.things_of(found, world))


async def decide(
    tx: Tx,
    found: Sequence[Activity],
    scene: Scene,
    *,
    besides: Sequence[Posting] = (),
    paying: Sequence[Activity] | None = None,
) -> None:
    """What the rules of the scene make of these activities; of those outside `paying` (None: all may pay) only what
    they undo. `besides` is posted with it."""
    wants: list[Want] = []
    async for part in in_turns(found if paying is None else paying):
        wants += [want for activity in part for want in wants_of(activity, scene)]
    inverses = undoing.inverses_of(found, scene.inverse)
    if not wants and not inverses:
        await post_grants(tx, [], history={}, places=scene.communities, besides=besides)
        return
    epochs = undoing.epochs_of(found, inverses, scene.epochs)
    refill = await refilling.look_ahead(tx, epochs) if inverses else refilling.NOTHING
    undo = await undoing.of_batch(found, wants, inverses, refill)
    before, state = await tallying.state_of(tx, [*refill.wants, *wants], undo.things | refill.places)
    undone, fresh = await undoing.record(tx, undo, [*refill.wants, *wants])
    takebacks, stopped = await undoing.look_up(tx, fresh, epochs)
    units = await undoing.units_of(tx, takebacks)
    await groups.open_accounts(tx, found, wants)
    freed = [*undoing.freed(takebacks, units), *(place for one in stopped for place in one.places)]
    refill = await refilling.confirm(tx, refill, set(freed), undone)
    engine.free(state, freed)
    verdicts: list[Verdict] = []
    cooled: engine.Cooled = {}
    async for some in in_turns([*refill.wants, *wants]):
        verdicts += engine.decide(some, state, cooled, undone)
    history = {a.event_id: is_history(a) for a in found}
    every, posted = await settling.post(
        tx,
        verdicts,
        [one.posting for one in takebacks],
        units=units,
        places=scene.communities,
        history={**undoing.history_of(takebacks, history), **refill.history(), **history},
        besides=besides,
    )
    await tallying.save(tx, state, before)
    budgets.announce(tx, state.reached, {**refill.history(), **history})
    await undoing.keep_grants(tx, undo, every)
    types = {**refill.types(), **{a.event_id: a.type for a in found}}
    await reviewing.keep(tx, every, undo.ways, types, {**refill.history(), **history})
    await reviewing.stop(tx, stopped)
    settled = every[len(refill.waiting) :]
    await refilling.settle(tx, refill, every[: len(refill.waiting)])
    await refilling.let_wait(tx, [one.verdict for one in settled], undo.ways, types, history)
    taken = undoing.decisions_of(takebacks, posted)
    await _keep_decisions(tx, found, settled, taken)
    await settling.announce(tx, found, settled, taken, scene.ids)
    undoing.announce(tx, takebacks, posted, history)


async def _keep_decisions(
    tx: Tx, found: Sequence[Activity], settled: Sequence[Settled], taken: Mapping[UUID, Sequence[Decision]]
) -> None:
    said = [one.verdict.verdict for one in settled] + [d.verdict for some in taken.values() for d in some]
    tx.after_commit.append(partial(count_decisions, said))
    types = {a.event_id: a.type for a in found}
    rows: list[dict[str, Any]] = []
    async for told in in_turns(settling.first(settled)):
        rows += [settling.row_of(one, types, tx.now) for one in told]
    for a in found:
        rows += undoing.rows_of(a, taken.get(a.event_id, ()), tx.now)
    await decisions.add(tx, rows=rows)


async def _scene(tx: Tx, found: Sequence[Activity]) -> Scene:
    wanted = {a.community_id for a in found}
    communities = await copies.known_communities(tx, wanted)
    rules = await rule_sets.in_force(tx, wanted)
    missing = wanted - (communities.keys() & rules.keys())
    if missing:
        raise NotYet(f"not heard of yet: community {min(missing)}")
    series = await checkins.in_force(tx, wanted)
    worn = await badges.in_force(tx, wanted)
    # Of all activities, those that nobody listens to included: it is kept with them, for rules to come.
    people = [(a.community_id, who) for a in found for who in (a.actor_id, a.author_id, inviter_id(a))]
    pairs = [(c, who) for c, who in people if who is not None]
    ids = await copies.resolve_members(tx, pairs)
    members = await copies.known_members_of(tx, [(c, member) for (c, _), member in ids.items()])
    ids, members = late.nameless(ids, members)
    asked = [a.event_id for a in found if a.type in rules[a.community_id].at(a.effective_at).by_type]
    decided = await decisions.decided(tx, event_ids=asked)
    closed = await closed_days(tx, found)
    return Scene(
        communities=communities,
        rules=rules,
        ids=ids,
        members=members,
        decided=decided,
        closed=closed,
        inverse={c: held.inverse for c, held in rules.items()},
        secret=draw_secret(tx),
        series=series,
        streaks={},
        epochs={c: held.epoch for c, held in rules.items()},
        badges=worn,
        signals={},
        checkins={},
        footings=await footings.of_people(tx, ids, communities, rules),
    )


def draw_secret(tx: Tx) -> bytes:
    """What random amounts are drawn with."""
    return sha256(f"guildhall draws\n{tx.database.secret}".encode()).digest()


def _world(scene: Scene, inverses: Sequence[Inverse]) -> checking_in.World:
    def holds(a: Activity, condition: str) -> bool:
        return Seen(a, scene).made.condition(condition)

    return checking_in.World(scene.communities, scene.series, scene.ids, scene.members, inverses, holds, scene.checkins)
