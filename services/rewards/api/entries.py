"""Entries: posting by hand, singly and in batches, reversing, approving, reading."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from kit.database import Database, Tx
from kit.errors import NotFound
from kit.gathering import Gathering
from kit.http import Instant, Page, PageOf, problems
from kit.idempotency import Reply, once, reply_of
from kit.logging import name_request, request_id
from services.rewards.api.common import Db, Reader, Text, UnitId, Writer, computed_id, group_account, whom
from services.rewards.api.entry_models import EntryOut, entry_out, entry_page, posted_out
from services.rewards.api.paging import by_id, page_of, place_of
from services.rewards.domain.adjusting import DUPLICATE, REFUSED, WAITING, Outcome, Wish
from services.rewards.domain.groups import LONGEST, beneficiary
from services.rewards.domain.ledger import system_account_id
from services.rewards.handlers import adjusting, groups
from services.rewards.store import adjustments
from services.rewards.store import entries as store

router = APIRouter(tags=["rewards: ledger"])

MOST_IN_BATCH = 500
MOST_TOGETHER = 100
"""So many single entries at most share a transaction: none waits long for the others."""


class NewEntry(BaseModel):
    """An entry to post; minus takes. Whom it concerns: one of `member_id`, `identity` and `group`."""

    model_config = ConfigDict(extra="forbid")

    member_id: UUID | None = None
    identity: Annotated[Text, Field(max_length=300, examples=["discord:8123"])] | None = None
    group: Annotated[Text, Field(max_length=300, examples=["qq:100"])] | None = Field(
        None, description="The chat group whose account it is."
    )
    unit: UnitId = "points"
    amount: int = Field(description="Whole minor units; not 0. A spend is negative.", examples=[50])
    kind: Literal["adjustment", "spend"] = "adjustment"
    reason: Annotated[Text, Field(min_length=1, max_length=1000)] = Field(examples=["Helped at the meet-up"])
    effective_at: Instant | None = Field(None, description="The day it counts for; default now, never later.")
    allow_negative: bool = Field(False, description="An adjustment may take more than there is; a spend never.")
    idempotency_key: Annotated[Text, Field(min_length=1, max_length=255)] | None = Field(
        None, description="The same key posts once, singly or in a batch, whoever sends it."
    )

    @model_validator(mode="after")
    def _one_account(self) -> "NewEntry":
        if [self.member_id, self.identity, self.group].count(None) != 2:
            raise ValueError("give one of member_id, identity and group")
        if self.kind == "spend" and self.allow_negative:
            raise ValueError("a spend never takes more than there is")
        return self


class NewEntries(BaseModel):
    model_config = ConfigDict(extra="forbid")

    items: list[NewEntry] = Field(min_length=1, max_length=MOST_IN_BATCH)


class Refusal(BaseModel):
    status: int
    code: str
    detail: str


class ItemOut(BaseModel):
    """What became of one item. `id` is the entry's, for `waiting` the adjustment's that somebody has to approve."""

    status: Literal["accepted", "duplicate", "waiting", "refused"]
    id: UUID | None = None
    problem: Refusal | None = None


class ItemsOut(BaseModel):
    items: list[ItemOut]


class NewReversal(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: int | None = Field(None, gt=0, description="How much of it, unsigned; default all that is left.")
    reason: Annotated[Text, Field(min_length=1, max_length=1000)] = Field(examples=["Posted twice"])


class AdjustmentOut(BaseModel):
    """An adjustment above the unit's `approval_above`; posted once a second person approved it."""

    id: UUID
    state: Literal["waiting", "approved", "refused"]
    kind: str
    member_id: UUID | None
    group: str | None = Field(description="The group whose account it is, in whose place no member is.")
    unit: str
    amount: int
    reason: str
    actor: str
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime


async def _wishes(tx: Tx, community_id: UUID, items: list[NewEntry], at: str = "/items/{}") -> list[Wish]:
    """The items with identities turned into members, and groups into their accounts."""
    of_groups = {
        number: group_account(community_id, item.group, at.format(number))
        for number, item in enumerate(items)
        if item.group is not None
    }
    named = [
        (of_groups[number][0] if number in of_groups else item.member_id, item.identity)
        for number, item in enumerate(items)
    ]
    whose = await whom(tx, community_id, named, at)
    return [
        Wish(
            kind=item.kind,
            member_id=member_id,
            unit=item.unit,
            amount=item.amount,
            reason=item.reason,
            effective_at=item.effective_at,
            allow_negative=item.allow_negative,
            idempotency_key=item.idempotency_key,
            computed=computed,
            group_account=of_groups[number][1] if number in of_groups else None,
        )
        for number, (item, (member_id, computed)) in enumerate(zip(items, whose, strict=True))
    ]


@router.post(
    "/v1/entries",
    status_code=201,
    response_model=EntryOut,
    responses={
        200: {"model": EntryOut, "description": "There already: the original"},
        202: {"model": AdjustmentOut, "description": "Waits for a second person"},
        **problems(400, 404, 409, 422),
    },
    summary="Post an entry by hand",
)
async def post_entry(request: Request, body: NewEntry, db: Db, caller: Writer) -> Response:
    """Those that come at the same moment share a transaction, unless they have an `Idempotency-Key`, whose answer is
    kept with the effect; with the body's `idempotency_key` they do."""
    if "idempotency-key" not in request.headers:
        # Before it joins others: one that cannot be read would undo what they share.
        if body.identity is not None:
            computed_id(caller.community_id, body.identity)
        if body.group is not None:
            group_account(caller.community_id, body.group)
        return reply_of(await _together.do((db, caller.community_id, caller.actor), Asked(body, request_id())))

    async def effect(tx: Tx) -> Reply:
        (answer,) = await _post(tx, caller.community_id, caller.actor, [body])
        if isinstance(answer, Exception):
            raise answer
        return answer

    return await once(request, db, caller, effect)


class Asked(NamedTuple):
    """One entry, and the request that it came with."""

    entry: NewEntry
    request_id: str | None


async def _post_together(key: tuple[Database, UUID, str], asked: Sequence[Asked]) -> list[Reply | Exception]:
    db, community_id, actor = key
    # What is announced names the request it came with, where there is one.
    name_request(asked[0].request_id if len(asked) == 1 else None)
    async with db.begin() as tx:
        return await _post(tx, community_id, actor, [one.entry for one in asked])


_together: Gathering[tuple[Database, UUID, str], Asked, Reply] = Gathering(_post_together, MOST_TOGETHER)


async def _post(tx: Tx, community_id: UUID, actor: str, entries: list[NewEntry]) -> list[Reply | Exception]:
    """What each is answered, in their order."""
    wishes = await _wishes(tx, community_id, entries, "")
    outcomes = await adjusting.post_many(tx, community_id, wishes, actor, alone=len(wishes) == 1)
    # Read again is what was there before only: what is posted now is known.
    there = [o.id for o in outcomes if o.id is not None and o.status == DUPLICATE]
    wait = [o.id for o in outcomes if o.id is not None and o.status == WAITING]
    rows = await store.entries_among(tx, community_id, there) if there else {}
    # Looked at and not held: who approves one holds it, and waits for the accounts that this transaction has.
    waiting = await adjustments.by_ids(tx, community_id, wait) if wait else {}
    names = await groups.names_of(tx, community_id, [row.member_id for row in waiting.values()])
    told = {id: _adjustment(row, names) for id, row in waiting.items()}
    return [_answer(tx, wish, outcome, rows, told) for wish, outcome in zip(wishes, outcomes, strict=True)]


def _answer(
    tx: Tx, wish: Wish, outcome: Outcome, rows: Mapping[UUID, Any], waiting: Mapping[UUID, AdjustmentOut]
) -> Reply | Exception:
    if outcome.error is not None:
        return outcome.error
    if outcome.posting is not None:
        return Reply(201, posted_out(outcome.posting, tx.now, wish.group_account))
    assert outcome.id is not None
    if outcome.status == WAITING:
        return Reply(202, waiting[outcome.id])
    return Reply(200, entry_out(rows[outcome.id]))


@router.post(
    "/v1/entries/batch",
    response_model=ItemsOut,
    responses=problems(400, 404, 409, 422),
    summary="Post up to 500 entries; each is answered for",
)
async def post_entries(request: Request, body: NewEntries, db: Db, caller: Writer) -> Response:
    async def effect(tx: Tx) -> Reply:
        wishes = await _wishes(tx, caller.community_id, body.items)
        outcomes = await adjusting.post_many(tx, caller.community_id, wishes, caller.actor)
        return Reply(200, ItemsOut(items=[_item(outcome) for outcome in outcomes]))

    return await once(request, db, caller, effect)


def _item(outcome: Outcome) -> ItemOut:
    error = outcome.error
    problem = None if error is None else Refusal(status=error.status, code=error.code, detail=error.message)
    return ItemOut(status=outcome.status, id=outcome.id, problem=problem)  # type: ignore[arg-type]  # one of the four


async def _entry(tx: Tx, community_id: UUID, entry_id: UUID) -> EntryOut:
    row = await store.entry(tx, community_id, entry_id)
    if row is None:
        raise NotFound("no such entry", code="entry_unknown")
    return entry_out(row)


@router.get(
    "/v1/entries",
    response_model=Page[EntryOut],
    responses=problems(400, 404, 422),
    summary="Entries of one account, latest first",
)
async def list_entries(
    db: Db,
    caller: Reader,
    paging: PageOf,
    member: Annotated[UUID | None, Query(description="A member's account.")] = None,
    account: Annotated[
        Text,
        Query(
            min_length=1,
            max_length=LONGEST,
            description="A system account, when no member is given; a group's is `group:` and the group.",
        ),
    ] = "mint",
    unit: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9]{0,29}$")] = None,
    since: Annotated[Instant | None, Query(alias="from", description="Effective at or after.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Effective before.")] = None,
) -> Response:
    """Every grant has a line on `mint`, every adjustment on `adjust`, every spend on `burn`, every hold on `escrow`."""
    owner = member if member is not None else system_account_id(caller.community_id, account)
    return await entry_page(db, caller, owner, paging, unit, since, until, member=member is not None)


@router.get("/v1/entries/adjustments", responses=problems(400, 404, 422), summary="Adjustments that need approval")
async def list_adjustments(
    db: Db, caller: Reader, paging: PageOf, state: Literal["waiting", "approved", "refused"] | None = "waiting"
) -> Page[AdjustmentOut]:
    place = place_of(paging, UUID)
    after, before = place.ids()
    async with db.read() as tx:
        rows = await adjustments.page(
            tx, caller.community_id, state=state, limit=paging.limit + 1, after=after, before=before
        )
        names = await groups.names_of(tx, caller.community_id, [row.member_id for row in rows])
    return page_of(rows, paging, place, by_id, lambda row: _adjustment(row, names))


def _adjustment(row: Any, names: Mapping[UUID, str]) -> AdjustmentOut:
    same = {name: getattr(row, name) for name in AdjustmentOut.model_fields if name not in ("member_id", "group")}
    return AdjustmentOut(member_id=beneficiary(row.member_id)[0], group=names.get(row.member_id), **same)


@router.post(
    "/v1/entries/adjustments/{adjustment_id}/approval",
    status_code=201,
    response_model=EntryOut,
    responses={200: {"model": EntryOut, "description": "There already"}, **problems(400, 404, 409, 422)},
    summary="Approve an adjustment that somebody else asked for; it is posted",
)
async def approve(request: Request, adjustment_id: UUID, db: Db, caller: Writer) -> Response:
    async def effect(tx: Tx) -> Reply:
        outcome = await adjusting.decide(tx, caller, adjustment_id, approve=True)
        if outcome.error is not None:
            raise outcome.error
        assert outcome.id is not None
        status = 200 if outcome.status == DUPLICATE else 201
        return Reply(status, await _entry(tx, caller.community_id, outcome.id))

    return await once(request, db, caller, effect)


@router.post(
    "/v1/entries/adjustments/{adjustment_id}/refusal",
    response_model=AdjustmentOut,
    responses=problems(400, 404, 409, 422),
    summary="Refuse an adjustment; nothing is posted",
)
async def refuse(request: Request, adjustment_id: UUID, db: Db, caller: Writer) -> Response:
    async def effect(tx: Tx) -> Reply:
        outcome = await adjusting.decide(tx, caller, adjustment_id, approve=False)
        assert outcome.status == REFUSED
        row = await adjustments.lock(tx, caller.community_id, adjustment_id)
        assert row is not None
        return Reply(200, _adjustment(row, await groups.names_of(tx, caller.community_id, [row.member_id])))

    return await once(request, db, caller, effect)


@router.get("/v1/entries/{entry_id}", responses=problems(400, 404, 422), summary="One entry")
async def get_entry(entry_id: UUID, db: Db, caller: Reader) -> EntryOut:
    async with db.read() as tx:
        return await _entry(tx, caller.community_id, entry_id)


@router.post(
    "/v1/entries/{entry_id}/reversals",
    status_code=201,
    response_model=EntryOut,
    responses=problems(400, 404, 409, 422),
    summary="Take an entry back, in full or in part",
)
async def reverse(request: Request, entry_id: UUID, body: NewReversal, db: Db, caller: Writer) -> Response:
    """Boards change in the period where the original counted. A second full reversal: 409 `already_reversed`."""

    async def effect(tx: Tx) -> Reply:
        reversal = await adjusting.reverse(
            tx, caller.community_id, entry_id, amount=body.amount, reason=body.reason, actor=caller.actor
        )
        return Reply(201, await _entry(tx, caller.community_id, reversal))

    return await once(request, db, caller, effect)
