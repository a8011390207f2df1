"""Activity into points: rules over a batch, caps under locks, grants into the ledger, decisions kept and announced.

A fixed number of statements per batch, whatever its size. Locks: counters in the order of their ids, then what the
ledger takes; so batches of two replicas wait for each other and never in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.consumer import NotYet
from kit.contracts import Envelope
from kit.contracts.events import Activity
from kit.contracts.rewards import ActivityScored, Decision
from kit.copies import KnownCommunity, KnownMember
from kit.database import Tx
from kit.days import period_of
from services.rewards.domain import engine
from services.rewards.domain.engine import DUPLICATE, ERROR, INELIGIBLE, LATE, Moments, State, Verdict, Want
from services.rewards.domain.ledger import MOST
from services.rewards.domain.rules import ACTOR, Give, Rule, RuleSet, draw, grant_key
from services.rewards.expressions import Context, Failed
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.counting import count_decisions
from services.rewards.handlers.ledger import Grant, post_grants
from services.rewards.handlers.purging import closed_days, day_of
from services.rewards.store import counters, decisions


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a batch needs to know of the world."""

    communities: Mapping[UUID, KnownCommunity]
    rules: Mapping[UUID, tuple[int, RuleSet]]
    by_type: Mapping[UUID, Mapping[str, Sequence[Rule]]]
    ids: Mapping[tuple[UUID, UUID], UUID]
    members: Mapping[tuple[UUID, UUID], KnownMember]
    decided: set[tuple[UUID, str]]
    """(event, rule) of what was decided before. Not the receiver: after a link the same actor is another member, and
    an event read again must not be paid to them too."""
    closed: set[tuple[UUID, date]]
    """(community, day) of which decisions are no longer kept."""
    secret: bytes


async def score(tx: Tx, batch: list[Envelope[Activity]]) -> None:
    """Run the rules in force over every activity; raises NotYet while a community is still on its way."""
    found = [e.event for e in batch]
    scene = await _scene(tx, found)
    wants = [want for activity in found for want in _wants(activity, scene)]
    if not wants:
        return
    state = await _state(tx, wants)
    verdicts = engine.decide(wants, state)
    posted = await _post(tx, verdicts, {a.event_id: a.import_name is not None for a in found})
    verdicts = [_paid_before(v) if _is_repeat(v, posted) else v for v in verdicts]
    tx.after_commit.append(partial(count_decisions, verdicts))
    await _save(tx, state)
    types = {a.event_id: a.type for a in found}
    await decisions.add(tx, rows=[_row(v, posted, types) | {"decided_at": tx.now} for v in _first(verdicts)])
    _announce(tx, found, verdicts, posted)


async def _scene(tx: Tx, found: Sequence[Activity]) -> _Scene:
    wanted = {a.community_id for a in found}
    communities = await copies.known_communities(tx, wanted)
    rules = await rule_sets.in_force(tx, wanted)
    missing = wanted - (communities.keys() & rules.keys())
    if missing:
        raise NotYet(f"not heard of yet: community {min(missing)}")
    by_type = {c: rules[c][1].by_type() for c in rules}
    pairs = [
        (a.community_id, person)
        for a in found
        if a.type in by_type[a.community_id]
        for person in (a.actor_id, a.author_id)
        if person is not None
    ]
    ids = await copies.resolve_members(tx, pairs)
    members = await copies.known_members_of(tx, [(c, member) for (c, _), member in ids.items()])
    decided = await decisions.decided(tx, event_ids=[a.event_id for a in found if a.type in by_type[a.community_id]])
    closed = await closed_days(tx, found)
    secret = sha256(f"guildhall draws\n{tx.database.secret}".encode()).digest()
    return _Scene(communities, rules, by_type, ids, members, decided, closed, secret)


def _wants(a: Activity, scene: _Scene) -> list[Want]:
    rules = scene.by_type[a.community_id].get(a.type, ())
    if not rules:
        return []
    context = Context(_variables(a, scene))
    place = scene.communities[a.community_id]
    windows = _windows(a, place)
    out = []
    for rule in rules:
        refusal, reason = None, ""
        if rule.when is not None:
            try:
                if not context.condition(rule.when):
                    continue
            except Failed as error:
                refusal, reason = ERROR, str(error)
        for give in rule.give:
            out.append(_want(a, rule, give, context, scene, windows, refusal, reason))
    return out


def _windows(a: Activity, place: KnownCommunity) -> dict[str, str]:
    keys = {kind: period_of(kind, a.effective_at, place.zone, place.day_start).key for kind in ("day", "week", "month")}
    return {**keys, "lifetime": "ever"}


def _variables(a: Activity, scene: _Scene) -> dict[str, Any]:
    actor, author = _person(a, a.actor_id, scene), _person(a, a.author_id, scene)
    return {
        "event.type": a.type,
        "event.source": a.source,
        "event.subject": a.subject or "",
        "event.group": a.group or "",
        "event.actor": a.actor or "",
        "event.author": a.author or "",
        "event.time": a.effective_at,
        "event.history": a.import_name is not None,
        "event.data": a.data,
        **{f"actor.{name}": value for name, value in actor.items()},
        **{f"author.{name}": value for name, value in author.items()},
    }


def _person(a: Activity, computed: UUID | None, scene: _Scene) -> dict[str, str]:
    if computed is None:
        return {"id": "", "kind": "", "state": ""}
    member_id = scene.ids[a.community_id, computed]
    known = scene.members.get((a.community_id, member_id))
    return {
        "id": str(member_id),
        "kind": known.kind if known else "person",
        "state": known.state if known else "observed",
    }


def _want(
    a: Activity,
    rule: Rule,
    give: Give,
    context: Context,
    scene: _Scene,
    windows: Mapping[str, str],
    refusal: str | None,
    reason: str,
) -> Want:
    actor = scene.ids[a.community_id, a.actor_id] if a.actor_id else None
    author = scene.ids[a.community_id, a.author_id] if a.author_id else None
    receiver = actor if give.to == ACTOR else author
    version, rule_set = scene.rules[a.community_id]
    amount = 0
    if refusal is None:
        refusal, reason = _refusal(a, rule, give, actor, receiver, scene)
    if refusal is None and receiver is not None:
        try:
            amount = _amount(a, rule, give, receiver, context, scene.secret)
        except Failed as error:
            refusal, reason = ERROR, str(error)
        if refusal is None and amount == 0:
            refusal, reason = INELIGIBLE, "the amount is 0"
    if (a.event_id, rule.id) in scene.decided:
        refusal, reason = DUPLICATE, "decided before"
    return Want(
        community_id=a.community_id,
        rule=rule,
        rule_version=version,
        rule_set=rule_set,
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
    )


def _refusal(
    a: Activity, rule: Rule, give: Give, actor: UUID | None, receiver: UUID | None, scene: _Scene
) -> tuple[str | None, str]:
    """Why nobody gets anything, whatever the caps say (R18)."""
    if receiver is None:
        return INELIGIBLE, f"the event does not say who the {give.to.replace('_', ' ')} is"
    if give.to != ACTOR and receiver == actor:
        return INELIGIBLE, "nobody earns from their own doing"
    known = scene.members.get((a.community_id, receiver))
    doer = scene.members.get((a.community_id, actor)) if actor else None
    by_bot = a.data.get("bot") is True or (doer is not None and doer.kind == "bot")
    if (by_bot and receiver == actor) or (known is not None and known.kind == "bot"):
        return INELIGIBLE, "bots do not earn"
    if by_bot:
        return INELIGIBLE, "what bots do earns nobody anything"
    if known is not None and known.state in ("removed", "banned", "erased"):
        return INELIGIBLE, f"the member is {known.state}"
    if a.import_name is None and a.received_at - a.occurred_at > timedelta(hours=rule.lateness_hours):
        return LATE, f"arrived more than {rule.lateness_hours} h after it happened"
    if a.import_name is not None and day_of(a) in scene.closed:
        return LATE, "what was decided on that day is no longer kept"
    return None, ""


def _amount(a: Activity, rule: Rule, give: Give, receiver: UUID, context: Context, secret: bytes) -> int:
    if give.amount is not None:
        return give.amount
    if give.cel is not None:
        amount = context.amount(give.cel)
        if abs(amount) > MOST:
            raise Failed("the amount is too large")
        return amount
    assert give.random is not None
    return draw(secret, a.event_id, rule.id, receiver, give.unit, give.random.min, give.random.max)


async def _state(tx: Tx, wants: Sequence[Want]) -> State:
    wanted, slots = engine.reads(wants, tx.now)
    locked = await counters.lock(tx, kept=wanted)
    moments = await counters.moments_of(tx, slots=slots)
    return State(
        {id: counter.value for id, counter in locked.items()},
        {slot: Moments(items) for slot, items in moments.items()},
        {id: engine.later(locked[id].kept_until, until) for id, until in wanted.items()},
    )


async def _save(tx: Tx, state: State) -> None:
    values = {id: counters.Counter(value, state.kept[id]) for id, value in state.counters.items()}
    await counters.save(tx, values=values)
    rows = [
        {"slot": slot, "at": at, "event_id": event_id, "amount": amount, "kept_until": state.kept[slot]}
        for slot, moments in state.moments.items()
        for (at, event_id), amount in _summed(moments).items()
    ]
    await counters.add_moments(tx, rows=rows)


def _summed(moments: Moments) -> dict[tuple[Any, UUID], int]:
    out: dict[tuple[Any, UUID], int] = {}
    for at, event_id, amount in moments.added:
        out[at, event_id] = out.get((at, event_id), 0) + amount
    return out


async def _post(tx: Tx, verdicts: Sequence[Verdict], history: Mapping[UUID, bool]) -> dict[bytes, UUID]:
    grants = []
    for verdict in verdicts:
        want = verdict.want
        if verdict.amount != 0 and want.member_id is not None:
            grants.append(
                Grant(
                    community_id=want.community_id,
                    member_id=want.member_id,
                    unit=want.unit,
                    amount=verdict.amount,
                    rule_id=want.rule.id,
                    rule_version=want.rule_version,
                    source_event_id=want.event_id,
                    effective_at=want.at,
                    idem_key=grant_key(want.rule.id, want.event_id, want.member_id, want.unit),
                    reason=want.rule.name or want.rule.id,
                )
            )
    return await post_grants(tx, grants, history=history)


def _is_repeat(verdict: Verdict, posted: Mapping[bytes, UUID]) -> bool:
    """The ledger had it already, though the decision is no longer kept."""
    return verdict.amount != 0 and _transaction(verdict, posted) is None


def _paid_before(verdict: Verdict) -> Verdict:
    return replace(verdict, verdict=DUPLICATE, amount=0, reason="paid before")


def _first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """One verdict per key of the decisions table; what was decided before is not written again."""
    out: dict[decisions.Key, Verdict] = {}
    for verdict in verdicts:
        if verdict.verdict != DUPLICATE:
            out.setdefault(_key(verdict.want), verdict)
    return list(out.values())


def _key(want: Want) -> decisions.Key:
    receiver = str(want.member_id) if want.member_id else decisions.NOBODY
    return want.event_id, want.rule.id, receiver, want.unit


def _transaction(verdict: Verdict, posted: Mapping[bytes, UUID]) -> UUID | None:
    want = verdict.want
    if verdict.amount == 0 or want.member_id is None:
        return None
    return posted.get(grant_key(want.rule.id, want.event_id, want.member_id, want.unit))


def _row(verdict: Verdict, posted: Mapping[bytes, UUID], types: Mapping[UUID, str]) -> dict[str, Any]:
    want = verdict.want
    event_id, rule_id, receiver, unit = _key(want)
    return {
        "event_id": event_id,
        "rule_id": rule_id,
        "receiver": receiver,
        "unit": unit,
        "community_id": want.community_id,
        "member_id": want.member_id,
        "rule_version": want.rule_version,
        "event_type": types[event_id],
        "verdict": verdict.verdict,
        "wanted": want.amount,
        "amount": verdict.amount,
        "reason": verdict.reason,
        "transaction_id": _transaction(verdict, posted),
        "notify": want.rule.notify,
        "effective_at": want.at,
    }


def _announce(tx: Tx, found: Sequence[Activity], verdicts: Sequence[Verdict], posted: Mapping[bytes, UUID]) -> None:
    """One event per activity on which a rule had something to say; nothing for pure repeats."""
    by_event: dict[UUID, list[Verdict]] = {}
    for verdict in verdicts:
        by_event.setdefault(verdict.want.event_id, []).append(verdict)
    for a in found:
        told = by_event.get(a.event_id)
        if not told or all(v.verdict == DUPLICATE for v in told):
            continue
        outbox.add(
            tx,
            ActivityScored(
                community_id=a.community_id,
                event_id=a.event_id,
                event_type=a.type,
                actor_id=told[0].want.actor_id,
                effective_at=a.effective_at,
                history=a.import_name is not None,
                decisions=tuple(_decision(v, posted) for v in told),
            ),
        )


def _decision(verdict: Verdict, posted: Mapping[bytes, UUID]) -> Decision:
    want = verdict.want
    return Decision(
        rule_id=want.rule.id,
        rule_version=want.rule_version,
        member_id=want.member_id,
        unit=want.unit,
        verdict=verdict.verdict,
        wanted=want.amount,
        amount=verdict.amount,
        reason=verdict.reason,
        transaction_id=_transaction(verdict, posted),
        notify=want.rule.notify,
    )
