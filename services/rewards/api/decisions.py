"""Why points were given or not: per event, and per member in sentences a member can read (R75)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from kit import copies
from kit.database import Tx
from kit.http import Instant, Page, PageOf, encode_cursor, problems
from services.rewards.api.common import Db, Reader, ReaderOrMember, check_known, check_own, position
from services.rewards.domain.explaining import Decided, language_of, sentence
from services.rewards.domain.groups import beneficiary
from services.rewards.domain.reasons import read
from services.rewards.handlers import groups
from services.rewards.handlers import rules as rule_sets
from services.rewards.store import decisions as store

router = APIRouter(tags=["rewards: rules"])


class DecisionOut(BaseModel):
    """`verdict`: granted, capped, cooldown, ineligible, budget_exhausted, late, throttled, pending, declined, undone,
    refused, error, recomputed (what recomputes gave more or less, all together); `amount` is what was given, below 0
    what was taken back. `reason` is English: the limit that cut it (`limit 10, amount per day and member`; of one
    decided before limits were told, `limit 10`), what a computed amount was computed from (`computed for actor:
    streak.current 7`) or mixed of (`40 % effort (20), 60 % chance (9)`), both with `; ` between, or why there was
    nothing. `transaction_id` is null where that were several."""

    event_id: UUID
    rule_id: str
    rule_version: int
    member_id: UUID | None
    group: str | None = Field(description="The group that it is for, in whose place no member is.")
    unit: str
    verdict: str
    wanted: int
    amount: int
    reason: str
    transaction_id: UUID | None
    effective_at: datetime


class DecisionsOut(BaseModel):
    items: list[DecisionOut]
    not_matched: list[str] | None = Field(
        description="Ids of the rules that listened to the event and left no decision: their condition did not hold. "
        "By the versions that decided the others; null where none did, since it is not kept which version ran then."
    )


class Explained(BaseModel):
    """One event's decisions for a member; the amounts of all lines sum to what the rules gave, less what inverse
    events took back."""

    event_id: UUID
    event_type: str
    effective_at: datetime
    text: str
    amounts: dict[str, int]
    decisions: list[DecisionOut]


def _out(row: Any, names: Mapping[UUID, str]) -> DecisionOut:
    same = {name: getattr(row, name) for name in DecisionOut.model_fields if name not in ("member_id", "group")}
    return DecisionOut(member_id=beneficiary(row.member_id)[0], group=names.get(row.member_id), **same)


@router.get(
    "/v1/events/{id}/decisions", summary="What the rules decided on an event", responses=problems(400, 404, 422)
)
async def of_event(db: Db, caller: Reader, id: UUID) -> DecisionsOut:
    """Of an event that nobody has sent there is nothing to list (`GET /v1/events/{id}` tells whether there is one)."""
    async with db.read() as tx:
        rows = await store.of_event(tx, community_id=caller.community_id, event_id=id)
        names = await groups.names_of(tx, caller.community_id, {row.member_id for row in rows})
        silent = await _not_matched(tx, caller.community_id, rows)
    return DecisionsOut(items=[_out(row, names) for row in rows], not_matched=silent)


async def _not_matched(tx: Tx, community_id: UUID, rows: Sequence[Any]) -> list[str] | None:
    # What was taken back names the version that had given it, which is not the one that ran over this event.
    ran = [row for row in rows if row.receiver in (store.NOBODY, str(row.member_id))]
    if not ran:
        return None
    sets = await rule_sets.of_versions(tx, {(community_id, row.rule_version) for row in ran})
    listening = {rule.id for rules in sets.values() for rule in rules.by_type().get(ran[0].event_type, ())}
    return sorted(listening - {row.rule_id for row in rows})


@router.get(
    "/v1/members/{id}/points/explain",
    summary="A member's points, explained, newest first",
    responses=problems(400, 404, 422),
)
async def explain(
    request: Request,
    db: Db,
    caller: ReaderOrMember,
    id: UUID,
    paging: PageOf,
    since: Annotated[Instant | None, Query(alias="from", description="Effective at or after.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Effective before.")] = None,
) -> Page[Explained]:
    """In the language of `Accept-Language` (en, zh), times in the community's zone. Manual entries are not rules'
    doing and stand in the account's entries. A page may end inside an event; the next goes on with it. With the
    `account_id` of a group it is the group's points."""
    check_own(caller, id)
    at = position(paging.cursor, datetime, UUID, str, str, str)
    before: Any = tuple(at[1]) if at else None
    async with db.read() as tx:
        community = await copies.known_community(tx, caller.community_id)
        names = await groups.names_of(tx, caller.community_id, [id])
        rows = await store.page_of_member(
            tx,
            community_id=caller.community_id,
            member_id=id,
            since=since,
            until=until,
            limit=paging.limit + 1,
            before=before,
        )
        if not rows and not names:
            await check_known(tx, caller, id)
        rules = await _rule_names(tx, caller.community_id, rows)
        formulas = await _formulas(tx, caller.community_id, rows)
    shown = rows[: paging.limit]
    zone = ZoneInfo(community.zone if community else "UTC")
    language = language_of(request.headers.get("accept-language", ""))
    each = groupby(shown, key=lambda r: r.event_id)
    items = [_explained(list(some), rules, formulas, names, zone, language) for _, some in each]
    following = None
    if len(rows) > paging.limit:
        last = shown[-1]
        place = last.effective_at.isoformat(), str(last.event_id), last.rule_id, last.unit, last.receiver
        following = encode_cursor(["n", *place])
    return Page[Explained](items=items, next=following, prev=None)


async def _rule_names(tx: Tx, community_id: UUID, rows: Sequence[Any]) -> dict[str, str]:
    """As rules are called now; those that are gone, as the newest version that decided here called them."""
    decided = await rule_sets.of_versions(tx, {(community_id, row.rule_version) for row in rows})
    active = await rule_sets.in_force(tx, [community_id])
    sets = [rules for _, rules in sorted(decided.items())]
    if community_id in active:
        sets.append(active[community_id].at(tx.now).rules)
    return {rule.id: rule.name for rules in sets for rule in rules.rules if rule.name}


Formula = tuple[int, str, str, str]
"""(version, rule, receiver as rules name it, unit): what one expression computes."""


async def _formulas(tx: Tx, community_id: UUID, rows: Sequence[Any]) -> dict[Formula, str]:
    """The expressions of the versions that ran, for those decisions that say what theirs looked at."""
    versions = {(community_id, row.rule_version) for row in rows if read(row.reason).computed is not None}
    sets = await rule_sets.of_versions(tx, versions)
    return {
        (version, rule.id, give.to, give.unit): give.cel
        for (_, version), rules in sets.items()
        for rule in rules.rules
        for give in rule.give
        if give.cel is not None
    }


def _decided(row: Any, rules: Mapping[str, str], formulas: Mapping[Formula, str], names: Mapping[UUID, str]) -> Decided:
    basis = read(row.reason).computed
    return Decided(
        rule=rules.get(row.rule_id, row.rule_id),
        unit=row.unit,
        verdict=row.verdict,
        wanted=row.wanted,
        amount=row.amount,
        reason=row.reason,
        group=names.get(row.member_id),
        formula=formulas.get((row.rule_version, row.rule_id, basis.to, row.unit), "") if basis is not None else "",
    )


def _explained(
    rows: list[Any],
    rules: Mapping[str, str],
    formulas: Mapping[Formula, str],
    names: Mapping[UUID, str],
    zone: ZoneInfo,
    language: str,
) -> Explained:
    decided = [_decided(row, rules, formulas, names) for row in rows]
    first = rows[0]
    amounts: dict[str, int] = {}
    for row in rows:
        amounts[row.unit] = amounts.get(row.unit, 0) + row.amount
    return Explained(
        event_id=first.event_id,
        event_type=first.event_type,
        effective_at=first.effective_at,
        text=sentence(first.event_type, first.effective_at.astimezone(zone), decided, language),
        amounts=amounts,
        decisions=[_out(row, names) for row in rows],
    )
