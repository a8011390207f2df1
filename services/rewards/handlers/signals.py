"""Signals for rules (R19, R20): how often, how fast, for whom, whether it was said before, since when one is known.

What a rule set does not name is neither read nor written. What it names costs a batch, whatever its size: holding its
rows of signals, writing them, and a statement for ages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from kit.contracts.events import Activity
from kit.database import Tx
from kit.days import local_day
from kit.turns import in_turns
from services.rewards.domain import signals
from services.rewards.domain.engine import later
from services.rewards.domain.rules import Rule, RuleSet
from services.rewards.domain.signal_rows import Act, Kind, Row
from services.rewards.domain.signals import AGE, FOLDED, LEVEL, NOTHING, OF_ALL, RATES
from services.rewards.expressions import STREAKS, names_in
from services.rewards.handlers import labelling
from services.rewards.handlers.erasing.late import is_erased
from services.rewards.handlers.purging import is_history
from services.rewards.store import narrowing
from services.rewards.store import signals as store
from services.rewards.store.signals import Held

if TYPE_CHECKING:
    from services.rewards.handlers.earning import Scene

Values = Mapping[str, int]
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.decode


@dataclass(frozen=True, slots=True)
class Used:
    """What a rule set asks for. `noted`: of which types something is noted, and what their rules ask for of it; `ages`
    and `streaks`: for which types the actor's age and streak are asked for; `lateness`: how late the most patient rule
    takes an event; `levels`: whether any rule asks for levels, to look at or to multiply by."""

    noted: Mapping[str, frozenset[str]]
    ages: frozenset[str]
    streaks: frozenset[str]
    lateness: timedelta
    levels: bool


def used(rules: RuleSet) -> Used:
    """What the enabled rules name. Rates, from whom one receives, and days, are of all that rules listen to, so all of
    it is noted for them."""
    listening = [rule for rule in rules.rules if rule.enabled]
    names: dict[str, frozenset[str]] = {}
    for rule in listening:
        asked = _names_of(rule)
        for type in rule.on:
            names[type] = names.get(type, frozenset()) | asked
    rates = any(some & RATES for some in names.values())
    always = frozenset(OF_ALL[name] for some in names.values() for name in some if name in OF_ALL)
    noted = {type: some & FOLDED | always for type, some in names.items() if some & FOLDED or rates or always}
    hours = max((rule.lateness_hours for rule in listening), default=0)
    levels = any(LEVEL in some for some in names.values())
    levels = levels or any(give.multiplied for rule in listening for give in rule.give)
    ages = frozenset(type for type, some in names.items() if AGE in some)
    streaks = frozenset(type for type, some in names.items() if some & STREAKS)
    return Used(noted, ages, streaks, timedelta(hours=hours), levels)


def _names_of(rule: Rule) -> frozenset[str]:
    sources = (rule.when, rule.review_when, *(source for give in rule.give for _, source in give.computed()))
    return frozenset(name for source in sources if source is not None for name in names_in(source))


async def ages(tx: Tx, found: Sequence[Activity], scene: "Scene") -> dict[UUID, int]:
    """Event → since how many of the community's days its actor was known, before these activities or by them. Asked
    before they are noted (`handlers.labelling`): one that comes later in the batch counts for what follows it."""
    # Of a community where any version asks: what comes before it in the batch counts for an activity of that one.
    asked = [a for a in found if a.actor_id is not None and scene.rules[a.community_id].ages]
    if not asked:
        return {}
    people = {(a.community_id, id) for a in asked for id in _names(a, scene)}
    known = await narrowing.active_since(tx, people)
    out: dict[UUID, int] = {}
    for a in asked:
        names, place = _names(a, scene), scene.communities[a.community_id]
        there = [at for id in names for at in known.get((a.community_id, id), {}).values()]
        first = min([a.effective_at, *there])
        # As they will be noted, so that it is the same wherever one batch ends and the next begins.
        own = known.setdefault((a.community_id, names[0]), {})
        for label in labelling.labels_of(a):
            if label not in own or is_history(a):
                own[label] = min(a.effective_at, own.get(label, a.effective_at))
        if a.type in scene.rules_of(a).used.ages:
            days = [local_day(at, place.zone, place.day_start) for at in (first, a.effective_at)]
            out.setdefault(a.event_id, (days[1] - days[0]).days)
    return out


def _names(a: Activity, scene: "Scene") -> list[UUID]:
    """The member, and the identity by itself: who is linked later was known before."""
    assert a.actor_id is not None
    return [scene.ids[a.community_id, a.actor_id], a.actor_id]


async def note(
    tx: Tx, found: Sequence[Activity], scene: "Scene", ages: Mapping[UUID, int], *, apart: bool = False
) -> dict[UUID, Values]:
    """Event → what is known of it, where rules ask for something; notes it for those that follow.

    `apart`: under another name that nobody reads afterwards.
    """
    once: dict[UUID, Activity] = {}
    for a in found:
        once.setdefault(a.event_id, a)
    acts = [act for a in once.values() if (act := _act(a, scene, apart)) is not None]
    out: dict[UUID, Values] = {id: {**NOTHING, AGE: days} for id, days in ages.items()}
    if not acts:
        return out
    kinds: dict[UUID, Kind] = {}
    async for part in in_turns(acts):
        for act in part:
            kinds |= signals.rows_of(act)
    held = await store.lock(tx, kinds)
    rows: dict[UUID, Row] = {id: _row(kind, held[id]) for id, kind in kinds.items()}
    changed: set[UUID] = set()
    until: dict[UUID, datetime | None] = {}
    async for part in in_turns(acts):
        for act in part:
            touched: set[UUID] = set()
            values = signals.fold(act, rows, touched)
            out[act.event_id] = {**out.get(act.event_id, NOTHING), **values}
            changed |= touched
            for id in touched:
                asked = _LONG_AGO if apart else _until(tx, act, rows[id])
                until[id] = later(until[id], asked) if id in until else asked
    await store.save(tx, {id: Held(_encode(rows[id].plain()), _kept(held[id], until[id])) for id in sorted(changed)})
    return out


def _act(a: Activity, scene: "Scene", apart: bool) -> Act | None:
    used = scene.rules_of(a).used
    uses = used.noted.get(a.type)
    if a.actor_id is None or uses is None or is_erased(a.community_id, a.actor_id, scene):
        return None
    place, namespace = scene.communities[a.community_id], scene.epochs[a.community_id] or a.community_id
    return Act(
        namespace=signals.apart(namespace) if apart else namespace,
        event_id=a.event_id,
        type=a.type,
        at=a.effective_at,
        day=local_day(a.effective_at, place.zone, place.day_start),
        actor=scene.ids[a.community_id, a.actor_id],
        author=scene.ids[a.community_id, a.author_id] if a.author_id is not None else None,
        similarity=_similarity(a.data.get("similarity")),
        uses=uses,
        lateness=used.lateness,
    )


def _similarity(said: Any) -> int | None:
    """The door's hash; only it makes one, but what was kept or imported elsewhere may say anything."""
    try:
        found = int(said, 16) if isinstance(said, str) and len(said) == 16 else None
    except ValueError:
        return None
    return found if found is not None and 0 <= found < 2**64 else None


def _row(kind: Kind, held: Held) -> Row:
    return kind.of(_decode(held.body)) if held.body else kind()


def _until(tx: Tx, act: Act, row: Row) -> datetime | None:
    # From now on, if that is later: of history that arrives in pieces the next piece may fall beside it.
    return None if row.LENGTH is None else max(act.at, tx.now) + row.LENGTH + act.lateness


def _kept(held: Held, until: datetime | None) -> datetime | None:
    """As engine.later, but that what nobody has written is not kept for ever on that account."""
    return later(held.kept_until, until) if held.body else until
