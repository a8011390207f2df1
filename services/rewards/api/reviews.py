"""The queue of grants that wait for somebody to look at them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.database import Tx
from kit.http import Page, PageOf, problems
from kit.idempotency import Reply, once
from services.rewards.api.common import Db, Reader, Text, Writer, check_known
from services.rewards.api.paging import by_id, page_of, place_of
from services.rewards.domain.groups import beneficiary
from services.rewards.handlers import groups, reviewing
from services.rewards.store import reviews as store

router = APIRouter(tags=["rewards: rules"])

MOST = 200


class ReviewOut(BaseModel):
    """A grant that waits, or what became of it."""

    id: UUID
    state: Literal["pending", "approved", "refused", "undone"] = Field(
        description="`undone`: an inverse event came while it waited."
    )
    event_id: UUID
    event_type: str
    rule_id: str
    rule_version: int
    member_id: UUID | None = Field(description="Who would get it.")
    group: str | None = Field(description="The group that would get it, in whose place no member is.")
    actor_id: UUID | None = Field(description="Whose doing the event was.")
    unit: str
    amount: int
    effective_at: datetime = Field(description="The time of the event, which an approved grant counts for.")
    reason: str = Field(description="Why it was decided so.")
    decided_by: str | None
    decided_at: datetime | None
    transaction_id: UUID | None = Field(description="The grant it became.")
    created_at: datetime
    grounds: dict[str, int] | None = Field(
        description="The numbers that the rule's `review_when` looked at, as they were; null for one from before they "
        "were kept.",
        examples=[{"signals.mutual": 14, "signals.share": 80}],
    )


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ids: list[UUID] = Field(min_length=1, max_length=MOST)
    verdict: Literal["approve", "refuse"]
    reason: Annotated[Text, Field(min_length=1, max_length=1000)] = Field(examples=["Two people, one keyboard"])


class VerdictOut(BaseModel):
    """`decided` by this request; `conflict`: it was decided (or undone) before, and stays what it is; `too_much`: an
    account can hold no more, and it waits on; `unknown`."""

    id: UUID
    status: Literal["decided", "conflict", "too_much", "unknown"]
    review: ReviewOut | None


class VerdictsOut(BaseModel):
    items: list[VerdictOut]


def _out(row: Mapping[str, Any], names: Mapping[UUID, str]) -> ReviewOut:
    whose = row["member_id"]
    renamed = {"effective_at": row["at"], "member_id": beneficiary(whose)[0], "group": names.get(whose)}
    return ReviewOut(**{name: row[name] for name in ReviewOut.model_fields if name not in renamed}, **renamed)


@router.get("/v1/reviews", responses=problems(400, 404, 422), summary="Grants under review, the oldest first")
async def list_reviews(
    db: Db,
    caller: Reader,
    paging: PageOf,
    state: Literal["pending", "approved", "refused", "undone"] = "pending",
    member: Annotated[UUID | None, Query(description="Who would get it.")] = None,
    rule: Annotated[str | None, Query(max_length=100, description="Of this rule.")] = None,
) -> Page[ReviewOut]:
    place = place_of(paging, UUID)
    after, before = place.ids()
    async with db.read() as tx:
        if member is not None:
            await check_known(tx, caller, member)
        rows = await store.page(
            tx,
            caller.community_id,
            state=state,
            member_id=member,
            rule_id=rule,
            limit=paging.limit + 1,
            after=after,
            before=before,
        )
        names = await groups.names_of(tx, caller.community_id, [row.member_id for row in rows])
    return page_of(rows, paging, place, by_id, lambda row: _out(dict(row._mapping), names))


@router.post(
    "/v1/reviews/verdicts",
    response_model=VerdictsOut,
    responses=problems(400, 404, 409, 422),
    summary="Approve or refuse up to 200 of them; each is answered for",
)
async def decide(request: Request, body: Verdict, db: Db, caller: Writer) -> Response:
    """What is approved is paid for the day of its event; what is refused is nothing, for good."""

    async def effect(tx: Tx) -> Reply:
        done = await reviewing.decide(
            tx, caller.community_id, body.ids, body.verdict, reason=body.reason, actor=caller.actor
        )
        whose = [one.row["member_id"] for one in done if one.row is not None]
        names = await groups.names_of(tx, caller.community_id, whose)
        return Reply(200, VerdictsOut(items=[_verdict(one, names) for one in done]))

    return await once(request, db, caller, effect)


def _verdict(one: reviewing.Reviewed, names: Mapping[UUID, str]) -> VerdictOut:
    if one.row is None:
        return VerdictOut(id=one.id, status="unknown", review=None)
    status: Literal["decided", "conflict", "too_much"] = "decided" if one.decided else "conflict"
    return VerdictOut(id=one.id, status="too_much" if one.too_much else status, review=_out(one.row, names))
