"""What the rules ask for on an activity: who gets how much of what, or why nobody does, before any cap is looked at."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID

from kit.contracts.events import Activity
from kit.copies import KnownCommunity, KnownMember
from kit.days import local_day, period_with
from services.rewards.domain import proofs
from services.rewards.domain.amounts import Effort, draw, mixed, multiplied
from services.rewards.domain.checkins import CHECKIN_TYPE
from services.rewards.domain.engine import DUPLICATE, ERROR, INELIGIBLE, LATE, THROTTLED, Want
from services.rewards.domain.groups import account_name
from services.rewards.domain.ledger import MOST, system_account_id
from services.rewards.domain.levels import NO_FOOTING, WHOLE, Footing
from services.rewards.domain.people import inviter_id
from services.rewards.domain.reasons import (
    BY_RECEIVER,
    BY_STATE,
    NO_REASON,
    Basis,
    Mixed,
    Multiplied,
    Reason,
    Why,
    with_basis,
)
from services.rewards.domain.rules import ACTOR, GROUP, INVITER, Give, Rule, RuleSet
from services.rewards.expressions import NUMBERS, Failed, names_in
from services.rewards.handlers import checking_in
from services.rewards.handlers.purging import day_of, is_history
from services.rewards.handlers.seeing import Seen

if TYPE_CHECKING:
    from services.rewards.handlers.earning import Scene


def wants_of(a: Activity, scene: "Scene") -> list[Want]:
    rules = scene.rules_of(a).by_type.get(a.type, ())
    if not rules or (a.type == CHECKIN_TYPE and scene.checkins.get(a.event_id) == proofs.PENDING):
        return []
    context = Seen(a, scene)
    place = scene.communities[a.community_id]
    windows = _windows(a, place)
    out = []
    for rule in rules:
        refusal, reason = None, NO_REASON
        if rule.when is not None:
            try:
                if not context.made.condition(rule.when):
                    continue
            except Failed as error:
                refusal, reason = ERROR, error.reason
        for give in rule.give:
            out.append(_want(a, rule, give, context, scene, windows, refusal, reason))
    return out


def _windows(a: Activity, place: KnownCommunity) -> Mapping[str, str]:
    return _windows_of(local_day(a.effective_at, place.zone, place.day_start), place.zone, place.day_start)


@lru_cache(maxsize=1024)
def _windows_of(day: date, zone: str, day_start: int) -> Mapping[str, str]:
    keys = {kind: period_with(kind, day, zone, day_start).key for kind in ("day", "week", "month")}
    return MappingProxyType({**keys, "lifetime": "ever"})


def _want(
    a: Activity,
    rule: Rule,
    give: Give,
    context: Seen,
    scene: "Scene",
    windows: Mapping[str, str],
    refusal: str | None,
    reason: Reason,
) -> Want:
    actor = scene.ids[a.community_id, a.actor_id] if a.actor_id else None
    receiver = actor if give.to == ACTOR else _other(a, give, scene)
    held = scene.rules_of(a)
    amount, basis = 0, NO_REASON
    if refusal is None:
        refusal, reason = _refusal(a, rule, give, actor, receiver, scene)
    if refusal is None and receiver is not None:
        try:
            made = _amount(a, rule, give, receiver, context, scene.secret)
            footing = scene.footings.get((a.community_id, receiver), NO_FOOTING)
            amount, basis = _multiplied(*made, footing) if give.multiplied else made
        except Failed as error:
            refusal, reason = ERROR, error.reason
        if refusal is None and amount == 0:
            refusal, reason = INELIGIBLE, with_basis(Why.NOTHING.reason(), basis)
    review, grounds = False, None
    if refusal is None and amount > 0 and rule.review_when is not None:
        try:
            review = context.made.condition(rule.review_when)
            grounds = context.numbers(rule.review_when) if review else None
        except Failed as error:
            refusal, reason = ERROR, error.reason
    if (a.event_id, rule.id) in scene.decided:
        refusal, reason = DUPLICATE, Why.DECIDED.reason()
    return Want(
        community_id=a.community_id,
        rule=rule,
        rule_version=held.version,
        rule_set=held.rules,
        event_id=a.event_id,
        at=a.effective_at,
        actor_id=actor,
        subject=a.subject,
        member_id=receiver,
        unit=give.unit,
        amount=amount,
        windows=windows,
        refusal=refusal,
        reason=reason,
        basis=basis,
        epoch=scene.epochs[a.community_id],
        review=review,
        grounds=grounds,
    )


def _other(a: Activity, give: Give, scene: "Scene") -> UUID | None:
    """The member, or the group's account, that a grant to somebody else than the actor is for."""
    if give.to == GROUP:
        return system_account_id(a.community_id, account_name(a.group)) if a.group else None
    computed = inviter_id(a) if give.to == INVITER else a.author_id
    # Of what was kept before inviters were, it is not known whom they were: nobody is paid rather than somebody else.
    return scene.ids.get((a.community_id, computed)) if computed is not None else None


def _refusal(
    a: Activity, rule: Rule, give: Give, actor: UUID | None, receiver: UUID | None, scene: "Scene"
) -> tuple[str | None, Reason]:
    """Why nobody gets anything, whatever the caps say (R18)."""
    if a.type == CHECKIN_TYPE and scene.checkins.get(a.event_id) == proofs.REFUSED:
        return INELIGIBLE, Why.NOT_TAKEN.reason()
    if receiver is None:
        return INELIGIBLE, BY_RECEIVER[give.to].reason()
    if give.to != ACTOR and receiver == actor:
        return INELIGIBLE, Why.OWN_DOING.reason()
    known = scene.members.get((a.community_id, receiver))
    doer = scene.members.get((a.community_id, actor)) if actor else None
    by_bot = a.data.get("bot") is True or (doer is not None and doer.kind == "bot")
    if (by_bot and receiver == actor) or (known is not None and known.kind == "bot"):
        return INELIGIBLE, Why.BOT.reason()
    if by_bot:
        return INELIGIBLE, Why.BY_BOT.reason()
    # Who is put out or left out would be paid through their group otherwise.
    known = doer if give.to == GROUP else known
    if known is not None and known.state in checking_in.AWAY:
        return INELIGIBLE, BY_STATE[known.state].reason()
    if known is not None and (segment := _excluded(known, scene.rules_of(a).rules)) is not None:
        return INELIGIBLE, Why.EXCLUDED.reason(segment=segment)
    if "stale" in a.flags:
        return LATE, Why.STALE.reason()
    if "throttled" in a.flags:
        return THROTTLED, Why.THROTTLED.reason()
    if a.import_name is None and a.received_at - a.occurred_at > timedelta(hours=rule.lateness_hours):
        return LATE, Why.LATE.reason(hours=rule.lateness_hours)
    if is_history(a) and day_of(a) in scene.closed:
        return LATE, Why.CLOSED.reason()
    return None, NO_REASON


def _excluded(member: KnownMember, rules: RuleSet) -> str | None:
    """The first segment of the member that earns nothing; None where every one earns."""
    return next((segment for segment in member.segments if segment in rules.excluded_segments), None)


def _amount(a: Activity, rule: Rule, give: Give, receiver: UUID, context: Seen, secret: bytes) -> tuple[int, Reason]:
    """How much, and what that was computed from or mixed of."""
    if give.amount is not None:
        return give.amount, NO_REASON
    if give.cel is not None:
        amount = context.made.amount(give.cel)
        if abs(amount) > MOST:
            raise Failed(Why.TOO_LARGE.reason())
        return amount, _basis(give.to, give.cel, context)
    random = give.random
    assert random is not None
    drawn = draw(secret, a.event_id, rule.id, receiver, give.unit, random.min, random.max, random.curve)
    effort = random.effort
    if effort is None:
        return drawn, NO_REASON
    earned = random.counted(_earned(effort, context))
    told = effort.cel is None or not _tells_signals(effort.cel)
    mix = Mixed(effort.share, earned, drawn)
    return mixed(earned, drawn, effort.share), mix.reason if told else NO_REASON


def _multiplied(amount: int, basis: Reason, footing: Footing) -> tuple[int, Reason]:
    if amount <= 0 or footing.multiplier == WHOLE:
        return amount, basis
    whole = multiplied(amount, footing.multiplier)
    if whole > MOST:
        raise Failed(Why.TOO_LARGE.reason())
    return whole, with_basis(basis, Multiplied(amount, footing.multiplier, footing.level).reason)


def _earned(effort: Effort, context: Seen) -> int:
    if effort.amount is not None:
        return effort.amount
    assert effort.cel is not None
    return context.made.amount(effort.cel)


def _basis(to: str, source: str, context: Seen) -> Reason:
    if _tells_signals(source):
        return NO_REASON
    # `names_in` errs on the side of too many, and what the expression does not look at explains nothing.
    return Basis(to, {name: n for name, n in context.numbers(source).items() if name in source}).reason


def _tells_signals(source: str) -> bool:
    """Whether numbers of the expression would. The decision is the member's to read, and who may be cheating is not
    told how it is seen."""
    return not _SIGNALS.isdisjoint(names_in(source))


_SIGNALS = frozenset(name for name in NUMBERS if name.startswith("signals."))
