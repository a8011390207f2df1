"""A unit's economy day by day, as charts show it."""

import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from kit.http import problems
from services.rewards.api.checkins import Day
from services.rewards.api.common import Db, ReaderOrMember, UnitPath
from services.rewards.handlers import unit_days as handlers

router = APIRouter(tags=["rewards: ledger"])


class UnitDayOut(BaseModel):
    """By the community's days that entries count for."""

    day: datetime.date
    issued: int = Field(description="What rules gave.")
    taken_back: int = Field(description="What of that was reversed (of entries of this day, whenever).")
    by_hand: int = Field(description="What operators gave, less what they took.")
    spent: int = Field(description="Less what was given back.")
    expired: int
    balances: int = Field(description="What members had at the end of the day, without what was held.")
    held: int = Field(description="What members held ready for something at the end of the day.")
    owed: int = Field(description="What members owed at the end of the day.")


class UnitDaysOut(BaseModel):
    items: list[UnitDayOut]
    inflation: float | None = Field(
        description="By how many per cent balances and what was held grew in these days; null: there was none before."
    )
    through: datetime.datetime | None = Field(
        description="What was posted up to then is in the figures, but for the last seconds before; null: nothing yet."
    )


@router.get(
    "/v1/units/{unit}/days",
    responses=problems(400, 404, 503),
    summary="What was issued, spent and is about, day by day",
)
async def get_days(
    unit: UnitPath,
    db: Db,
    caller: ReaderOrMember,
    since: Annotated[
        Day | None, Query(alias="from", description="The first day; 29 before the last unless given.")
    ] = None,
    until: Annotated[
        Day | None, Query(alias="to", description="The last day; the community's today unless given.")
    ] = None,
) -> UnitDaysOut:
    """Every day, those on which nothing happened too, at most 366. Entries that count for a past day change it."""
    async with db.read() as tx:
        found = await handlers.economy(tx, caller.community_id, unit, since, until)
    items = [UnitDayOut(**day._asdict()) for day in found.days]
    return UnitDaysOut(items=items, inflation=found.inflation, through=found.through)
