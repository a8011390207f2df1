"""Deciding a batch: who gets what under which cap, in the order of the log, as a pure function of counters.

A counter is named by an id computed from community, rule, unit, scope and window; calendar windows and seasons are part
of the name, so a late event counts in the window it happened in (R14). Rolling windows and cooldowns keep the moments
of what was given instead: a late event is compared with those around its own time, before and after.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from kit.ids import uuid5
from services.rewards.domain import budgets
from services.rewards.domain.budgets import Reached
from services.rewards.domain.reasons import BETWEEN_SEASONS, NO_REASON, Capped, Reason, Why, with_basis
from services.rewards.domain.rules import ACTOR_OBJECT, COMMUNITY, MEMBER, OBJECT, PAIR, Cap, Rule, RuleSet
from services.rewards.domain.seasons import SEASON, is_between, window_on

GRANTED, CAPPED, COOLDOWN, INELIGIBLE = "granted", "capped", "cooldown", "ineligible"
BUDGET, DUPLICATE, LATE, ERROR = "budget_exhausted", "duplicate", "late", "error"
THROTTLED, UNDONE, REFUSED = "throttled", "undone", "refused"
PENDING, DECLINED = "pending", "declined"


@dataclass(frozen=True, slots=True)
class Want:
    """What a rule asks for on one event. A `refusal` (late, ineligible, error, duplicate) is decided beforehand."""

    community_id: UUID
    rule: Rule
    rule_version: int
    rule_set: RuleSet
    event_id: UUID
    at: datetime
    actor_id: UUID | None
    subject: str | None
    member_id: UUID | None
    unit: str
    amount: int
    windows: Mapping[str, str]
    """Window kind → key of the calendar window the event falls into. Seasons are not among them: which one it is, the
    rule set says that decides, and what waits may be decided by another."""
    refusal: str | None = None
    reason: Reason = NO_REASON
    basis: Reason = NO_REASON
    """What a computed or mixed amount was made of (`reasons.Basis`, `reasons.Mixed`); of others nothing."""
    epoch: UUID | None = None
    """Under whose name counters stand: those of a recompute begin anew, beside the ones in use meanwhile."""
    review: bool = False
    """Whether what it gets waits until somebody has looked at it."""
    grounds: Mapping[str, int] | None = field(default=None, compare=False)
    """The numbers that said so."""
    limits: "tuple[Limit, ...]" = field(init=False, compare=False, repr=False)
    """Every cap that applies, the rule's own first; worked out once, because reading and deciding both need it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "limits", () if self.refusal is not None else tuple(_limits_of(self)))


class Limit(NamedTuple):
    """One cap that applies to a want: which counter (or slot of moments) it reads, and how. `per` is the window's
    kind and `window` its key; `of_rule` says whether it is one of the rule's own."""

    id: UUID
    per: str
    window: str
    of_rule: bool
    scope: str
    limit: int
    of: str
    skip: bool
    budget: bool
    seconds: int | None
    needed: timedelta | None
    """For how long after the time of an event others may come that ask for it; None: for ever."""
    refill: bool
    """Whether what is undone gives its place back."""


class Verdict(NamedTuple):
    """`amount` is what is given; `reason` names the cap that cut it, and what it was computed from or mixed of.

    `places` are the counters whose places are refilled: those it holds, or (nothing given) those it waits for.
    """

    want: Want
    verdict: str
    amount: int
    reason: str
    places: tuple[UUID, ...] = ()


@dataclass(slots=True)
class Moments:
    """What was given in one slot, by time."""

    items: list[tuple[datetime, int]] = field(default_factory=list)
    added: list[tuple[datetime, UUID, int]] = field(default_factory=list)

    def used(self, at: datetime, seconds: int) -> int:
        """What the fullest window of `seconds` that contains `at` holds already."""
        span = timedelta(seconds=seconds)
        near = [(when, n) for when, n in self.items if at - span < when < at + span]
        # A late event lies in many windows; the fullest of them ends at one of the moments, or at `at` itself.
        ends = {at, *(when for when, _ in near if when > at)}
        return max(sum(n for when, n in near if end - span < when <= end) for end in ends)

    def near(self, at: datetime, seconds: int) -> bool:
        span = timedelta(seconds=seconds)
        return any(at - span < when < at + span for when, _ in self.items)

    def add(self, at: datetime, event_id: UUID, amount: int) -> None:
        self.items.append((at, amount))
        self.added.append((at, event_id, amount))


@dataclass(slots=True)
class State:
    """Counters and moments as read (and locked); `decide` moves them on, and notes in `reached` which budgets are to
    be told of. `kept` says until when somebody may ask for each (None: for ever), the counters of slots
    included."""

    counters: dict[UUID, int]
    moments: dict[UUID, Moments]
    kept: Mapping[UUID, datetime | None] = field(default_factory=dict)
    reached: list[Reached] = field(default_factory=list)


# No less than what is left of a window after any moment of it, changes of the clock included. A season has none: it may
# be made longer at any time, also for who used up its limit long ago.
_LENGTHS = {"day": timedelta(days=2), "week": timedelta(days=8), "month": timedelta(days=32)}


def _name(want: Want, what: str, who: str, window: str) -> UUID:
    return _id(want.epoch or want.community_id, f"{what}\n{want.unit}\n{who}\n{window}")


@lru_cache(maxsize=8192)
def _id(namespace: UUID, text: str) -> UUID:
    # Each is asked for twice in a batch, and again while its window lasts: hashing was a tenth of a decision's cost.
    return uuid5(namespace, text)


def _who(want: Want, scope: str) -> str | None:
    """Whose counter a scope means; None when the event does not say, and the cap does not apply."""
    actor, subject, member = want.actor_id, want.subject, want.member_id
    if scope == COMMUNITY:
        return ""
    if scope == MEMBER:
        return f"{member}"
    if scope == OBJECT:
        return f"{member}\n{subject}" if subject is not None else None
    if scope == ACTOR_OBJECT:
        return f"{actor}\n{subject}" if actor is not None and subject is not None else None
    if scope == PAIR:
        return f"{actor}\n{member}" if actor is not None else None
    raise ValueError(f"unknown scope {scope}")


def _limit(want: Want, name: str, who: str, cap: Cap, lateness_hours: int) -> Limit:
    window, of_rule = window_of(cap, want), name != UNIT
    id = _name(want, f"{name}:{cap.scope}:{cap.per}:{cap.of}", who, window)
    length = timedelta(seconds=cap.seconds) if cap.seconds is not None else _LENGTHS.get(cap.per)
    needed = None if length is None else length + timedelta(hours=lateness_hours)
    skip, budget = cap.on_exceed == "skip", cap.scope == COMMUNITY
    return Limit(
        id, cap.per, window, of_rule, cap.scope, cap.limit, cap.of, skip, budget, cap.seconds, needed, cap.refill
    )


UNIT = "unit"


def window_of(cap: Cap, want: Want) -> str:
    if cap.per == SEASON:
        return window_on(want.rule_set.seasons, date.fromisoformat(want.windows["day"]))
    return f"rolling{cap.seconds}" if cap.seconds is not None else want.windows[cap.per]


def _limits_of(want: Want) -> list[Limit]:
    out = []
    for cap in want.rule.caps:
        who = _who(want, cap.scope)
        if who is not None:
            out.append(_limit(want, f"rule:{want.rule.id}", who, cap, want.rule.lateness_hours))
    for unit_cap in want.rule_set.unit_caps:
        if unit_cap.unit == want.unit:
            cap = Cap(
                scope=unit_cap.scope,
                per=unit_cap.per,
                limit=unit_cap.limit,
                seconds=unit_cap.seconds,
                on_exceed=unit_cap.on_exceed,
            )
            who = "" if unit_cap.scope == COMMUNITY else f"{want.member_id}"
            # The window of a unit is asked for by every rule, and so for as long as the most patient one waits.
            lateness = max(rule.lateness_hours for rule in (want.rule, *want.rule_set.rules))
            out.append(_limit(want, UNIT, who, cap, lateness))
    return out


def lasting(
    rules: RuleSet, namespace: UUID, rule_id: str, member_id: UUID, unit: str, season: str
) -> list[tuple[UUID, str]]:
    """Counters of limits for ever, and for this window of limits per season, that what this rule gave this member in it
    counts for, as far as rule and member alone say it, each with what it counts (amount or grants)."""
    windows = {"lifetime": "ever", SEASON: season}
    caps = [cap for rule in rules.rules if rule.id == rule_id for cap in rule.caps]
    named = [
        (f"rule:{rule_id}:{c.scope}:{c.per}:{c.of}", _WHOSE[c.scope], c.per, c.of) for c in caps if c.scope in _WHOSE
    ]
    named += [
        (f"{UNIT}:{c.scope}:{c.per}:amount", _WHOSE[c.scope], c.per, "amount")
        for c in rules.unit_caps
        if c.unit == unit
    ]
    return [
        (_id(namespace, f"{what}\n{unit}\n{member_id if whose else ''}\n{windows[per]}"), of)
        for what, whose, per, of in dict.fromkeys(named)
        if per in windows
    ]


_WHOSE = {MEMBER: True, COMMUNITY: False}


def cooldown_slot(want: Want) -> UUID:
    """Where the moments of a rule's grants to a member stand, whatever the unit: one occasion cools all of them."""
    return uuid5(want.epoch or want.community_id, f"cooldown\n{want.rule.id}\n{want.member_id}")


def reads(
    wants: Sequence[Want], now: datetime
) -> tuple[dict[UUID, datetime | None], dict[UUID, tuple[datetime, datetime]]]:
    """What deciding these wants reads: ids of counters with the time until which somebody may ask for them again (None:
    for ever), and slots of moments with the times they are read between.

    Every slot is among the counters too: its counter row is what concurrent batches lock.
    """
    counters: dict[UUID, datetime | None] = {}
    slots: dict[UUID, tuple[datetime, datetime]] = {}

    def keep(id: UUID, at: datetime, needed: timedelta | None) -> None:
        # From now on, if that is later: of history that arrives in pieces the next piece may fall into the same window.
        counters[id] = later(counters.get(id), None if needed is None else max(at, now) + needed)

    def span(slot: UUID, at: datetime, seconds: int) -> None:
        low, high = at - timedelta(seconds=seconds), at + timedelta(seconds=seconds)
        old = slots.get(slot, (low, high))
        slots[slot] = (min(low, old[0]), max(high, old[1]))

    for want in wants:
        if want.refusal is not None:
            continue
        for limit in want.limits:
            keep(limit.id, want.at, limit.needed)
            if (mark := budgets.mark_of(limit)) is not None:
                keep(mark, want.at, limit.needed)
            if limit.seconds is not None:
                span(limit.id, want.at, limit.seconds)
        if want.rule.cooldown_seconds:
            slot = cooldown_slot(want)
            keep(slot, want.at, timedelta(seconds=want.rule.cooldown_seconds, hours=want.rule.lateness_hours))
            span(slot, want.at, want.rule.cooldown_seconds)
    return counters, slots


def later(known: datetime | None, new: datetime | None) -> datetime | None:
    """Until when to keep what was to be kept until `known` (None: not said yet) and is asked for now."""
    return new if new is None or known is None else max(known, new)


Cooled = dict[tuple[UUID, str, UUID | None], bool]
"""(event, rule, receiver) → whether the cooldown was over. A rule that gives two units is one occasion: its second
unit must not find the first one's cooldown."""


Undone = Mapping[tuple[UUID, str], str]
"""(event, rule) → the type of the inverse event that undid it before it was decided."""


def decide(
    wants: Sequence[Want], state: State, cooled: Cooled | None = None, undone: Undone = MappingProxyType({})
) -> list[Verdict]:
    """A verdict per want, in order; moves `state` on by what is given. Penalties (minus) are not capped.

    What is `undone` gives nothing and yet takes its place under the caps (but for those that give it back), as it does
    when the inverse event comes later: so where that comes does not matter. Who decides one batch in several calls
    gives each the same `cooled`.
    """
    cooled = {} if cooled is None else cooled
    return [_decide(want, state, cooled, undone.get((want.event_id, want.rule.id))) for want in wants]


def _decide(want: Want, state: State, cooled: Cooled, undone_by: str | None) -> Verdict:
    verdict = _decide_one(want, state, cooled, undone_by is not None)
    if undone_by is None:
        return verdict
    if verdict.amount == 0:
        return verdict._replace(places=())
    return Verdict(want, UNDONE, 0, undone_by)


def free(state: State, places: Iterable[UUID]) -> None:
    """Give places back. A counter that was forgotten meanwhile has none to give."""
    for id in places:
        state.counters[id] = max(0, state.counters[id] - 1)


def take(want: Want, amount: int, state: State, undone: bool = False) -> None:
    """Move `state` on by what was given otherwise, whatever the limits say; `undone` since, in which case caps that
    refill have their place back."""
    if want.refusal is not None or amount < 0:
        return
    for limit in {limit.id: limit for limit in want.limits if not (undone and limit.refill)}.values():
        _use(limit, want, amount, state)
    if want.rule.cooldown_seconds:
        state.moments[cooldown_slot(want)].add(want.at, want.event_id, amount)


def _decide_one(want: Want, state: State, cooled: Cooled, undone: bool) -> Verdict:
    if want.refusal is not None:
        return Verdict(want, want.refusal, 0, want.reason)
    if want.amount < 0:
        return Verdict(want, GRANTED, want.amount, want.basis)
    if want.rule.cooldown_seconds and not _cool(want, state, cooled):
        return Verdict(want, COOLDOWN, 0, Why.COOLDOWN.reason(seconds=want.rule.cooldown_seconds))
    amount, cut, budget = want.amount, None, False
    waits = []
    for limit in want.limits:
        used = _used(limit, want.at, state)
        left = max(0, limit.limit - used)
        room = (amount if left > 0 else 0) if limit.of == "grants" else left
        if room < amount:
            amount = 0 if limit.skip else room
            cut, budget = limit, limit.budget
            if limit.refill:
                waits.append(limit.id)
    reason = want.basis if cut is None else with_basis(_capped(cut), want.basis)
    if amount == 0:
        if cut is not None and budget:
            budgets.note_left_out(cut, want, state)
        return Verdict(want, BUDGET if budget else CAPPED, 0, reason, tuple(waits))
    # Two caps that differ in nothing but their limits read one counter, which moves once.
    taken = {limit.id: limit for limit in want.limits if not (undone and limit.refill)}
    for limit in taken.values():
        _use(limit, want, amount, state)
    if want.rule.cooldown_seconds:
        state.moments[cooldown_slot(want)].add(want.at, want.event_id, amount)
    places = tuple([limit.id for limit in taken.values() if limit.refill])
    return Verdict(want, GRANTED if amount == want.amount else CAPPED, amount, reason, places)


def _capped(limit: Limit) -> Reason:
    per = BETWEEN_SEASONS if limit.per == SEASON and is_between(limit.window) else limit.per
    return Capped(limit.limit, limit.of, per, limit.scope, limit.seconds, not limit.of_rule).reason


def _cool(want: Want, state: State, cooled: Cooled) -> bool:
    occasion = (want.event_id, want.rule.id, want.member_id)
    if occasion not in cooled:
        cooled[occasion] = not state.moments[cooldown_slot(want)].near(want.at, want.rule.cooldown_seconds)
    return cooled[occasion]


def _used(limit: Limit, at: datetime, state: State) -> int:
    if limit.seconds is None:
        return state.counters.get(limit.id, 0)
    return state.moments[limit.id].used(at, limit.seconds)


def _use(limit: Limit, want: Want, amount: int, state: State) -> None:
    step = 1 if limit.of == "grants" else amount
    if limit.seconds is None:
        before = state.counters.get(limit.id, 0)
        state.counters[limit.id] = before + step
        if limit.budget:
            budgets.note_used(limit, want, before, before + step, state)
    else:
        state.moments[limit.id].add(want.at, want.event_id, step)
