"""The table of a check-in series: every member with the statuses of their days."""

from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from kit.errors import BadRequest
from kit.http import Page, PageOf, encode_cursor, problems
from services.rewards.api.checkins import Day
from services.rewards.api.common import Db, Reader, SeriesPath, position
from services.rewards.api.streaks import ProgressOut, Status, progress_out
from services.rewards.domain.checkins import LONGEST_PROGRAMME
from services.rewards.handlers import standings as handlers
from services.rewards.handlers.mending import Seat

router = APIRouter(tags=["rewards: check-ins"])

USUAL_DAYS = timedelta(days=30)


class MemberDaysOut(BaseModel):
    """Recomputed from the facts at every reading."""

    member_id: UUID
    current: int = Field(description="Days done or repaired without one missed.")
    longest: int
    days: int = Field(description="All days done or repaired.")
    last_day: date | None
    programme: ProgressOut | None
    statuses: dict[date, Status] = Field(description="By day, from the first that asked for something.")


Since = Annotated[Day | None, Query(alias="from", description="The first day shown; the programme's unless given.")]
Until = Annotated[Day | None, Query(alias="to", description="The last day shown; the programme's, or today.")]


@router.get(
    "/v1/checkins/{series_id}/members",
    responses=problems(400, 404),
    summary="Everybody's days in a check-in series",
)
async def get_table(
    series_id: SeriesPath, db: Db, caller: Reader, paging: PageOf, since: Since = None, until: Until = None
) -> Page[MemberDaysOut]:
    """Who ever checked in or joined, in the order of their ids; of a series without a programme the last 31 days unless
    `from` and `to` say which, at most 366. The cursor `next` only: there is no going back."""
    if since is not None and until is not None and not timedelta(0) <= until - since < timedelta(LONGEST_PROGRAMME):
        raise BadRequest(f"`from` is at most {LONGEST_PROGRAMME - 1} days before `to`", code="days_invalid")
    at = position(paging.cursor, UUID)
    async with db.read() as tx:
        found = await handlers.table(
            tx, caller.community_id, series_id, after=at[1][0] if at is not None else None, limit=paging.limit
        )
    items = [_out(seat, since, until) for seat in found.seats]
    return Page(items=items, next=encode_cursor(["n", str(items[-1].member_id)]) if found.more else None, prev=None)


def _out(seat: Seat, since: date | None, until: date | None) -> MemberDaysOut:
    walked = seat.walked()
    state = walked[-1].state if walked else seat.standing.before
    programme = seat.held.terms.present.programme
    last = until or (since + timedelta(LONGEST_PROGRAMME - 1) if since is not None else date.max)
    if since is not None:
        first = since
    elif programme is not None and until is None:
        first = programme.first_day
    else:
        first = (until or seat.standing.today) - USUAL_DAYS
    return MemberDaysOut(
        member_id=seat.standing.key[2],
        current=state.current,
        longest=state.longest,
        days=state.days,
        last_day=state.last,
        programme=progress_out(seat, walked),
        statuses={day.day: day.status for day in walked if first <= day.day <= last},  # type: ignore[misc]  # all are of these
    )
