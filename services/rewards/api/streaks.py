"""A member in a check-in series: the streak, a month's days, and what the member or an operator does about them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.database import Tx
from kit.http import problems
from kit.idempotency import Reply, once
from services.rewards.api.checkins import Day
from services.rewards.api.common import (
    Db,
    ReaderOrMember,
    SeriesPath,
    Text,
    Writer,
    WriterOrMember,
    check_known,
    check_own,
    check_present,
)
from services.rewards.domain.checkins import LONGEST_PAUSE
from services.rewards.domain.programmes import Standing, progress
from services.rewards.domain.streaks import DONE, STATUSES
from services.rewards.domain.streaks import Day as WalkedDay
from services.rewards.handlers import mending as handlers
from services.rewards.handlers.streaks import Fact

router = APIRouter(tags=["rewards: check-ins"])

Status = Literal[
    "done",
    "repaired",
    "frozen",
    "excused",
    "outage",
    "paused",
    "brief",
    "unscheduled",
    "missed",
    "failed",
    "over",
    "open",
]
assert set(STATUSES) == set(Status.__args__)  # type: ignore[attr-defined]


class DayOut(BaseModel):
    """`brief`: a change of zone left less than half of the day. `open`: today, nothing done yet. `failed`: missed, and
    one too many for the programme; `over`: a day after that."""

    day: date
    status: Status
    event_id: UUID | None = Field(description="The check-in that counts for it.")
    at: datetime | None = Field(description="When that was made; of an operator's word, when it was given.")


class FreezesOut(BaseModel):
    held: int
    max_held: int
    price: int | None = Field(description="Null: not for sale.")
    unit: str


class RepairsOut(BaseModel):
    left: int = Field(description="How many more this month.")
    days: list[date] = Field(description="Missed days that are not too long ago.")
    price: int
    unit: str


class PauseOut(BaseModel):
    first_day: date
    last_day: date


class ProgressOut(BaseModel):
    """How the member stands in the series' programme. Until `late_grace_hours` after a day, and where an operator says
    so, a failed one may come back."""

    standing: Standing
    failed_on: date | None
    absences_left: int = Field(description="Of the block of days that today, or the last day, belongs to.")
    perfect: bool = Field(description="Each day so far has its check-in: none repaired, frozen, excused or missed.")


class StreakOut(BaseModel):
    """Recomputed from the facts at every reading."""

    series_id: str
    member_id: UUID
    today: date
    zone: str
    day_ends_at: datetime
    status: Status | None = Field(description="Today's; null before the first check-in.")
    current: int = Field(description="Days done or repaired without one missed.")
    longest: int
    days: int = Field(description="All days done or repaired.")
    last_day: date | None
    freezes: FreezesOut
    repairs: RepairsOut
    pause: PauseOut | None
    programme: ProgressOut | None
    month: str
    calendar: list[DayOut] = Field(description="The month's days, from the first with a check-in until today.")


class RepairIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"day": "2026-11-22"}})

    day: Day


class PauseIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"days": 7}})

    first_day: Day | None = Field(None, description="Today or later; today unless given.")
    days: int = Field(ge=1, le=LONGEST_PAUSE)
    reason: Annotated[Text, Field(max_length=500)] = ""


class DayIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"day": "2026-11-22", "kind": "excused", "reason": "The bot was away"}},
    )

    day: Day
    kind: Literal["done", "excused", "undone", "joined"] = Field(
        description="`done`: it counts. `excused`: it was not asked for. `undone`: takes both of these back. `joined`:"
        " the member takes part in the programme, whose days all count."
    )
    reason: Annotated[Text, Field(min_length=1, max_length=500)]


Month = Annotated[
    str | None,
    Query(pattern=r"^(19[7-9]\d|[2-8]\d{3})-(0[1-9]|1[0-2])$", description="2026-11; this month unless given."),
]


def _out(seat: handlers.Seat, month: str | None = None) -> StreakOut:
    one, series = seat.standing, seat.held.terms.present
    walked = seat.walked()
    state = walked[-1].state if walked else one.before
    shown = month if month is not None else f"{one.today:%Y-%m}"
    counted = {fact.day: fact for fact in one.of(DONE)}
    pause = seat.pause()
    return StreakOut(
        series_id=series.id,
        member_id=one.key[2],
        today=one.today,
        zone=one.calendar.zone_on(one.today),
        day_ends_at=one.calendar.end_of(one.today),
        status=walked[-1].status if walked else None,  # type: ignore[arg-type]  # one of these
        current=state.current,
        longest=state.longest,
        days=state.days,
        last_day=state.last,
        freezes=FreezesOut(
            held=state.held,
            max_held=series.freeze.max_held,
            price=series.freeze.price,
            unit=series.freeze.unit,
        ),
        repairs=RepairsOut(
            left=max(series.repair.per_month - seat.repaired_this_month(), 0),
            days=[day.day for day in walked if seat.can_repair(day)],
            price=series.repair.price,
            unit=series.repair.unit,
        ),
        pause=None if pause is None else PauseOut(first_day=pause.day, last_day=pause.last_day),
        programme=progress_out(seat, walked),
        month=shown,
        calendar=[_day_out(day, counted.get(day.day)) for day in walked if f"{day.day:%Y-%m}" == shown],
    )


def _day_out(day: WalkedDay, fact: Fact | None) -> DayOut:
    at, event_id = (fact.at, fact.event_id) if fact is not None else (None, None)
    return DayOut(day=day.day, status=day.status, event_id=event_id, at=at)  # type: ignore[arg-type]  # one of these


def progress_out(seat: handlers.Seat, walked: Sequence[WalkedDay]) -> ProgressOut | None:
    """Null for a series without a programme."""
    programme = seat.held.terms.present.programme
    if programme is None:
        return None
    return ProgressOut.model_validate(progress(walked, programme, seat.standing.today)._asdict())


@router.get(
    "/v1/checkins/{series_id}/members/{member_id}",
    responses=problems(400, 404, 422),
    summary="A member's streak and the days of a month",
)
async def get_streak(
    series_id: SeriesPath, member_id: UUID, db: Db, caller: ReaderOrMember, month: Month = None
) -> StreakOut:
    check_own(caller, member_id)
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        return _out(await handlers.look(tx, caller.community_id, series_id, member_id), month)


@router.post(
    "/v1/checkins/{series_id}/members/{member_id}/repair",
    response_model=StreakOut,
    responses=problems(400, 404, 409, 422),
    summary="Make a missed day good",
)
async def repair(
    request: Request, series_id: SeriesPath, member_id: UUID, body: RepairIn, db: Db, caller: WriterOrMember
) -> Response:
    """It counts from then on, and costs what the series says."""
    check_own(caller, member_id)

    async def effect(tx: Tx) -> Reply:
        await check_present(tx, caller, member_id)
        seat = await handlers.repair(tx, caller.community_id, series_id, member_id, body.day, caller.actor)
        return Reply(200, _out(seat))

    return await once(request, db, caller, effect)


@router.post(
    "/v1/checkins/{series_id}/members/{member_id}/freezes",
    status_code=201,
    response_model=StreakOut,
    responses=problems(400, 404, 409, 422),
    summary="Buy a freeze",
)
async def buy_freeze(
    request: Request, series_id: SeriesPath, member_id: UUID, db: Db, caller: WriterOrMember
) -> Response:
    """It is used by itself on the first day that is missed, and given back when a late check-in fills that day."""
    check_own(caller, member_id)

    async def effect(tx: Tx) -> Reply:
        await check_present(tx, caller, member_id)
        seat = await handlers.buy(tx, caller.community_id, series_id, member_id, caller.actor)
        return Reply(201, _out(seat))

    return await once(request, db, caller, effect)


@router.post(
    "/v1/checkins/{series_id}/members/{member_id}/pause",
    status_code=201,
    response_model=StreakOut,
    responses=problems(400, 404, 409, 422),
    summary="Days that ask for nothing",
)
async def pause(
    request: Request, series_id: SeriesPath, member_id: UUID, body: PauseIn, db: Db, caller: WriterOrMember
) -> Response:
    """What is done meanwhile counts."""
    check_own(caller, member_id)

    async def effect(tx: Tx) -> Reply:
        await check_present(tx, caller, member_id)
        seat = await handlers.pause(
            tx,
            caller.community_id,
            series_id,
            member_id,
            body.first_day,
            body.days,
            reason=body.reason,
            actor=caller.actor,
        )
        return Reply(201, _out(seat))

    return await once(request, db, caller, effect)


@router.delete(
    "/v1/checkins/{series_id}/members/{member_id}/pause",
    responses=problems(400, 404, 409, 422),
    summary="End a pause",
)
async def resume(series_id: SeriesPath, member_id: UUID, db: Db, caller: WriterOrMember) -> StreakOut:
    """Today asks for a check-in again. Without a pause nothing happens."""
    check_own(caller, member_id)
    async with db.begin() as tx:
        await check_present(tx, caller, member_id)
        return _out(await handlers.resume(tx, caller.community_id, series_id, member_id))


@router.post(
    "/v1/checkins/{series_id}/members/{member_id}/days",
    status_code=201,
    response_model=StreakOut,
    responses={
        200: {"model": StreakOut, "description": "It was so already"},
        **problems(400, 404, 409, 422),
    },
    summary="An operator's word on a day",
)
async def mark_day(
    request: Request, series_id: SeriesPath, member_id: UUID, body: DayIn, db: Db, caller: Writer
) -> Response:
    """Today or a past day, with a reason; 200 where the day was so already, by whatever check-in counts. `calendar` is
    of the day's month, and names that one."""

    async def effect(tx: Tx) -> Reply:
        await check_present(tx, caller, member_id)
        seat, new = await handlers.mark(
            tx, caller.community_id, series_id, member_id, body.day, body.kind, body.reason, caller.actor
        )
        return Reply(201 if new else 200, _out(seat, f"{body.day:%Y-%m}"))

    return await once(request, db, caller, effect)
