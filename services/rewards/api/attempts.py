"""What a series asks of check-ins by the day, and those that it did not take, with what they lacked."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from kit.http import Page, PageOf, problems
from services.rewards.api.checkins import Day
from services.rewards.api.common import Db, ReaderOrMember, SeriesPath, Writer, check_known, check_own
from services.rewards.api.paging import by_id, page_of, place_of
from services.rewards.domain.proofs import Missing
from services.rewards.handlers import checking_in, checkins
from services.rewards.store import attempts as store

router = APIRouter(tags=["rewards: check-ins"])


class AttemptOut(BaseModel):
    event_id: UUID
    member_id: UUID
    day: date = Field(description="Of which it would have been the check-in.")
    effective_at: datetime
    state: Literal["refused"] = Field(description="`refused`: it lacked what `missing` says.")
    missing: list[Missing]
    created_at: datetime


def _out(row: Any) -> AttemptOut:
    renamed = {"effective_at": row.at}
    return AttemptOut(
        **{name: getattr(row, name) for name in AttemptOut.model_fields if name not in renamed}, **renamed
    )


@router.get(
    "/v1/checkins/{series_id}/attempts",
    responses=problems(400, 403, 404, 422),
    summary="Check-ins that were not taken, the latest first",
)
async def list_attempts(
    series_id: SeriesPath,
    db: Db,
    caller: ReaderOrMember,
    paging: PageOf,
    member: Annotated[UUID | None, Query(description="Of this member; a member token's own unless given.")] = None,
) -> Page[AttemptOut]:
    """Kept as long as decisions are. What is there was judged once and stays what it is."""
    whose = member if member is not None else caller.member_id
    if whose is not None:
        check_own(caller, whose)
    place = place_of(paging, UUID)
    after, before = place.ids()
    async with db.read() as tx:
        await checkins.existing(tx, caller.community_id, series_id)
        if whose is not None:
            await check_known(tx, caller, whose)
        rows = await store.page(
            tx,
            caller.community_id,
            series_id,
            member_id=whose,
            limit=paging.limit + 1,
            after=after,
            before=before,
        )
    return page_of(rows, paging, place, by_id, _out)


class CodeWordOut(BaseModel):
    day: date
    word: str = Field(examples=["maple47"])


@router.get(
    "/v1/checkins/{series_id}/code-word",
    responses=problems(400, 404, 409, 422),
    summary="The code word of a day, to be announced",
)
async def get_code_word(
    series_id: SeriesPath,
    db: Db,
    caller: Writer,
    day: Annotated[Day | None, Query(description="The community's today unless given.")] = None,
) -> CodeWordOut:
    """The same for as long as the installation's secret is."""
    async with db.read() as tx:
        held = await checkins.existing(tx, caller.community_id, series_id)
        chosen = day if day is not None else await checking_in.today_of(tx, held)
        return CodeWordOut(day=chosen, word=checkins.word_of(tx, held, chosen))
