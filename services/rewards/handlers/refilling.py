"""Caps that refill (R8): what is undone gives its place back, to what was left out for want of it.

Which places a batch gives back stands in the grants that it undoes, and what waits for them has counters of its own. So
both are looked up without locks first, all locks are taken in one go, and both are looked up again: what came up in
between and is not locked makes the batch begin anew.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kit import outbox
from kit.consumer import NotYet
from kit.contracts.rewards import ActivityScored
from kit.database import Tx
from services.rewards.domain.engine import BUDGET, CAPPED, Undone, Verdict, Want
from services.rewards.domain.reasons import NO_REASON, Reason
from services.rewards.domain.rules import Rule, RuleSet
from services.rewards.domain.undoing import Way, places_among
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers import settling
from services.rewards.handlers.settling import Settled
from services.rewards.store import decisions
from services.rewards.store import undoing as store


@dataclass(frozen=True, slots=True)
class Refill:
    """`places` may be given back; `waiting` is what waits for one of them, with its row."""

    places: frozenset[UUID]
    waiting: Mapping[decisions.Key, tuple[Want, Any]]

    @property
    def wants(self) -> list[Want]:
        """In the order in which they happened."""
        return sorted((want for want, _ in self.waiting.values()), key=lambda want: (want.at, want.event_id))

    def ways(self) -> dict[tuple[UUID, str], tuple[Way, ...]]:
        """(event, rule) → how what it pays can be undone."""
        return {
            (want.event_id, want.rule.id): tuple([Way(UUID(t), tuple(types), s) for t, types, s in row.ways])
            for want, row in self.waiting.values()
        }

    def history(self) -> dict[UUID, bool]:
        return {want.event_id: row.history for want, row in self.waiting.values()}

    def types(self) -> dict[UUID, str]:
        return {want.event_id: row.event_type for want, row in self.waiting.values()}


NOTHING = Refill(frozenset(), {})


async def look_ahead(tx: Tx, epochs: Mapping[UUID, UUID | None]) -> Refill:
    """What undoing these things may free of the counters in force (by thing: whose they are), and for whom; without
    locks."""
    rows = await store.grants(tx, epochs)
    return await _of_places(tx, {place for row in rows for place in places_among(row.places, epochs[row.thing])})


async def confirm(tx: Tx, ahead: Refill, places: Collection[UUID], undone: Undone) -> Refill:
    """What waits for these places now that they are held, and was not undone itself (that waits no longer); NotYet
    where `ahead` did not know of one or the other."""
    found = await _of_places(tx, places)
    if not found.places <= ahead.places or not found.waiting.keys() <= ahead.waiting.keys():
        raise NotYet("what this undoes has changed meanwhile; it is looked at again")
    gone = {key for key, (want, _) in found.waiting.items() if _occasion(want) in undone}
    await store.remove_waiting(tx, [found.waiting[key][1] for key in gone])
    return Refill(found.places, {key: one for key, one in found.waiting.items() if key not in gone})


async def _of_places(tx: Tx, places: Collection[UUID]) -> Refill:
    if not places:
        return NOTHING
    rows = await store.waiting(tx, places)
    versions = {(row.community_id, row.rule_version) for row in rows}
    sets, epochs = await rule_sets.of_versions(tx, versions), await rule_sets.epochs(tx, versions)
    waiting = {}
    for row in rows:
        key = row.community_id, row.rule_version
        rule = _rule(sets[key].rules, row.rule_id)
        assert rule is not None, "versions never change"
        want = _want(row, rule, sets[key], row.rule_version, epochs[key])
        waiting[_key(want)] = want, row
    return Refill(frozenset(places), waiting)


def under(rows: Iterable[Any], rules: RuleSet, version: int, epoch: UUID) -> list[dict[str, Any]]:
    """What waits, as it waits by other rules and among other counters: rows again, for the first of their places that
    refill. What these rules have no such place for waits no longer."""
    out = []
    for row in rows:
        rule = _rule(rules.rules, row.rule_id)
        if rule is not None:
            limits = _want(row, rule, rules, version, epoch).limits
            places = [limit.id for limit in limits if limit.refill]
            out += [{**row._mapping, "place": place, "rule_version": version} for place in places[:1]]
    return out


_BASIS = "basis"
"""Under which name what an amount was computed from waits beside the numbers of a review, which all have a dot."""


def _kept(want: Want) -> dict[str, Any] | None:
    grounds = None if want.grounds is None else dict(want.grounds)
    return {**(grounds or {}), _BASIS: want.basis} if want.basis else grounds


def _want(row: Any, rule: Rule, rule_set: RuleSet, version: int, epoch: UUID | None) -> Want:
    kept = row.grounds or {}
    numbers = {name: number for name, number in kept.items() if name != _BASIS}
    return Want(
        community_id=row.community_id,
        rule=rule,
        rule_version=version,
        rule_set=rule_set,
        event_id=row.event_id,
        at=row.at,
        actor_id=row.actor_id,
        subject=row.subject,
        member_id=row.member_id,
        unit=row.unit,
        amount=row.amount,
        windows=row.windows,
        epoch=epoch,
        review=row.review,
        grounds=numbers if row.review and row.grounds is not None else None,
        basis=Reason(kept.get(_BASIS, NO_REASON)),
    )


def _rule(rules: Iterable[Rule], id: str) -> Rule | None:
    return next((rule for rule in rules if rule.id == id), None)


async def let_wait(
    tx: Tx,
    verdicts: Sequence[Verdict],
    ways: Mapping[tuple[UUID, str], tuple[Way, ...]],
    types: Mapping[UUID, str],
    history: Mapping[UUID, bool],
) -> None:
    """Keep what was left out for want of a place that may become free."""
    rows = []
    for verdict in verdicts:
        want = verdict.want
        if _waits(verdict):
            # For one place at a time: where two are missing, the other is waited for when this one is there.
            row = {
                "place": verdict.places[0],
                "event_id": want.event_id,
                "rule_id": want.rule.id,
                "member_id": want.member_id,
                "unit": want.unit,
                "community_id": want.community_id,
                "rule_version": want.rule_version,
                "actor_id": want.actor_id,
                "subject": want.subject,
                "amount": want.amount,
                "windows": dict(want.windows),
                "ways": [(str(w.thing), w.types, w.lifetime_seconds) for w in ways.get(_occasion(want), ())],
                "event_type": types[want.event_id],
                "at": want.at,
                "history": history[want.event_id],
                "review": want.review,
                "grounds": _kept(want),
            }
            rows.append(row)
    await store.add_waiting(tx, rows)


def _waits(verdict: Verdict) -> bool:
    return verdict.verdict in (CAPPED, BUDGET) and verdict.amount == 0 and len(verdict.places) > 0


def _key(want: Want) -> decisions.Key:
    return want.event_id, want.rule.id, str(want.member_id), want.unit


def _occasion(want: Want) -> tuple[UUID, str]:
    return want.event_id, want.rule.id


async def settle(tx: Tx, refill: Refill, settled: Sequence[Settled]) -> None:
    """What became of those who waited: who was paid or is held up by a cap that does not refill waits no longer."""
    await store.remove_waiting(tx, [refill.waiting[_key(one.verdict.want)][1] for one in settled])
    still = [one.verdict for one in settled if _waits(one.verdict)]
    await let_wait(tx, still, refill.ways(), refill.types(), refill.history())
    paid = [one for one in settled if one.verdict.amount != 0 or one.pending is not None]
    await decisions.put(tx, rows=[settling.row_of(one, refill.types(), tx.now) for one in paid])
    for one in paid:
        want = one.verdict.want
        event = ActivityScored(
            community_id=want.community_id,
            event_id=want.event_id,
            event_type=refill.types()[want.event_id],
            actor_id=want.actor_id,
            effective_at=want.at,
            history=refill.history()[want.event_id],
            decisions=(settling.decision(one),),
        )
        outbox.add(tx, event)
