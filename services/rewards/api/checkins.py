"""Check-in series: what counts as a check-in, on which days it is asked for, what mends a missed day."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.database import Tx
from kit.days import local_day
from kit.http import check_if_match, etag, problems
from kit.idempotency import Reply, once
from services.rewards.api.common import Db, ReaderOrMember, SeriesId, SeriesPath, Text, UnitId, Writer
from services.rewards.api.proofs import ApprovalModel, Proofs, approval_of, plain, proof_of
from services.rewards.domain.checkins import (
    CHECKIN_TYPE,
    LONGEST_PAUSE,
    LONGEST_PROGRAMME,
    Freeze,
    Programme,
    Repair,
    Schedule,
    Series,
)
from services.rewards.domain.ledger import MOST
from services.rewards.domain.rules import MAX_EXPRESSION, MAX_LATENESS_HOURS, MAX_TYPE, MAX_TYPES
from services.rewards.handlers import checkins as handlers

router = APIRouter(tags=["rewards: check-ins"])

EARLIEST_ZONE = "Etc/GMT-14"
"""Nobody's day begins before this zone's: a change that holds from its tomorrow on changes no day that has begun."""

Weekday = Annotated[int, Field(ge=1, le=7, description="ISO: 1 is Monday.")]
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(9000, 12, 31))]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DailyModel(_Model):
    """Every day."""

    kind: Literal["daily"]


class WeekdaysModel(_Model):
    """On these days of the week."""

    kind: Literal["weekdays"]
    weekdays: list[Weekday] = Field(min_length=1, max_length=7)


class PerWeekModel(_Model):
    """`times` in each seven days that begin on `week_begins`, on any of them."""

    kind: Literal["per_week"]
    times: int = Field(ge=1, le=7)
    week_begins: Weekday = 1


class EveryModel(_Model):
    """Each `every` days, counted from `first`."""

    kind: Literal["every"]
    every: int = Field(ge=2, le=366)
    first: Day


class WeeksOfMonthModel(_Model):
    """On these days of the week in the month's `weeks`: the third Friday is `weeks` 3, `weekdays` 5."""

    kind: Literal["weeks_of_month"]
    weeks: list[Annotated[int, Field(ge=1, le=5)]] = Field(min_length=1, max_length=5)
    weekdays: list[Weekday] = Field(min_length=1, max_length=7)


ScheduleModel = Annotated[
    DailyModel | WeekdaysModel | PerWeekModel | EveryModel | WeeksOfMonthModel, Field(discriminator="kind")
]


class FreezeModel(_Model):
    """What keeps a streak over a missed day, held ahead of it."""

    max_held: int = Field(2, ge=0, le=100)
    price: int | None = Field(20, ge=0, le=MOST, description="Null: not for sale.")
    unit: UnitId = "points"
    earned_every: int | None = Field(None, ge=1, le=1000, description="Days of a streak that earn one; null: never.")


class RepairModel(_Model):
    """A missed day made good afterwards."""

    within_days: int = Field(3, ge=0, le=366, description="0: never.")
    price: int = Field(30, ge=0, le=MOST)
    unit: UnitId = "points"
    per_month: int = Field(3, ge=0, le=31)


When = Annotated[Text, Field(min_length=1, max_length=MAX_EXPRESSION, description="A condition (CEL), as in rules.")]


class ProgrammeModel(_Model):
    """A beginning and an end, and how many days a member may miss before they fail."""

    first_day: Day
    last_day: Day
    absences: int = Field(0, ge=0, le=LONGEST_PROGRAMME, description="Days that may be missed; the next one fails.")
    per_days: int | None = Field(
        None, ge=1, le=LONGEST_PROGRAMME, description="Counted anew each so many days from the first; null: never."
    )
    joins_on: list[Annotated[Text, Field(min_length=1, max_length=MAX_TYPE)]] = Field(
        default=[], max_length=MAX_TYPES, description="Event types whose actor takes part; a check-in does as well."
    )
    joins_when: When | None = None


Name = Annotated[Text, Field(min_length=1, max_length=100)]
Types = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=MAX_TYPE)]], Field(min_length=1, max_length=MAX_TYPES)
]
Grace = Annotated[
    int, Field(ge=0, le=MAX_LATENESS_HOURS, description="How long after a day's end a check-in for it may come.")
]
DateField = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        description="The field of `event.data` with the day a check-in is for (2026-11-23); null: the day it was made.",
    ),
]
PauseDays = Annotated[int, Field(ge=0, le=LONGEST_PAUSE, description="The longest pause; 0: none.")]

OutageHours = Annotated[
    int,
    Field(ge=1, le=24, description="A bot silent for so many hours until a day's end excuses the day; null: never."),
]


class SeriesIn(_Model):
    """What is not given is as in the series every community begins with."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "id": "reading",
                "name": "Reading",
                "on": ["page.read"],
                "scope": "member",
                "schedule": {"kind": "per_week", "times": 5},
            }
        },
    )

    id: SeriesId
    name: Name
    on: Types = [CHECKIN_TYPE]
    when: When | None = None
    scope: Literal["community", "member"] = Field("community", description="Whose zone days go by.")
    day_start: int | None = Field(None, ge=0, le=1439, description="Minutes after midnight; null: the community's.")
    date_field: DateField | None = None
    schedule: ScheduleModel = DailyModel(kind="daily")
    late_grace_hours: Grace = 48
    freeze: FreezeModel = Field(default_factory=lambda: FreezeModel.model_validate({}))
    repair: RepairModel = Field(default_factory=lambda: RepairModel.model_validate({}))
    pause_days: PauseDays = 14
    outage_hours: OutageHours | None = 2
    programme: ProgrammeModel | None = Field(None, description="Null: the series goes on for ever.")
    enabled: bool = True
    proof: Proofs = []
    approval: ApprovalModel | None = Field(None, description="Null: a check-in counts at once.")


class SeriesChange(_Model):
    """What is given changes. `scope` and `day_start` are for ever: days that were counted stay what they are. A
    programme changes until its first day begins anywhere."""

    name: Name | None = None
    on: Types | None = None
    when: When | None = None
    date_field: DateField | None = None
    schedule: ScheduleModel | None = None
    late_grace_hours: Grace | None = None
    freeze: FreezeModel | None = None
    repair: RepairModel | None = None
    pause_days: PauseDays | None = None
    outage_hours: OutageHours | None = None
    programme: ProgrammeModel | None = None
    enabled: bool | None = None
    proof: Proofs | None = None
    approval: ApprovalModel | None = None


class SeriesOut(SeriesIn):
    version: int
    asked_since: date | None = Field(description="The first day that goes by this version's schedule; null: all days.")
    created_at: datetime
    changed_at: datetime


class AllSeriesOut(BaseModel):
    items: list[SeriesOut]


def _schedule(model: Any) -> Schedule:
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in model.model_dump().items()}
    return Schedule(**given)


def _scheduled(schedule: Schedule) -> dict[str, Any]:
    fields: dict[str, tuple[str, ...]] = {
        "daily": (),
        "weekdays": ("weekdays",),
        "per_week": ("times", "week_begins"),
        "every": ("every", "first"),
        "weeks_of_month": ("weeks", "weekdays"),
    }
    return {"kind": schedule.kind, **{name: getattr(schedule, name) for name in fields[schedule.kind]}}


def _series(body: SeriesIn) -> Series:
    return Series(
        id=body.id,
        name=body.name,
        on=tuple(dict.fromkeys(body.on)),
        when=body.when,
        scope=body.scope,
        day_start=body.day_start,
        date_field=body.date_field,
        schedule=_schedule(body.schedule),
        late_grace_hours=body.late_grace_hours,
        freeze=Freeze(**body.freeze.model_dump()),
        repair=Repair(**body.repair.model_dump()),
        pause_days=body.pause_days,
        outage_hours=body.outage_hours,
        programme=None if body.programme is None else _programme(body.programme),
        enabled=body.enabled,
        proof=tuple(map(proof_of, body.proof)),
        approval=approval_of(body.approval),
    )


def _programme(model: ProgrammeModel) -> Programme:
    return Programme(**{**model.model_dump(), "joins_on": tuple(dict.fromkeys(model.joins_on))})


def _plain(series: Series) -> dict[str, Any]:
    same = (
        "id",
        "name",
        "on",
        "when",
        "scope",
        "day_start",
        "date_field",
        "late_grace_hours",
        "pause_days",
        "outage_hours",
        "enabled",
    )
    freeze, repair, programme, approval = series.freeze, series.repair, series.programme, series.approval
    return {
        **{name: getattr(series, name) for name in same},
        "schedule": _scheduled(series.schedule),
        "freeze": {name: getattr(freeze, name) for name in FreezeModel.model_fields},
        "repair": {name: getattr(repair, name) for name in RepairModel.model_fields},
        "proof": list(map(plain, series.proof)),
        "approval": approval and {name: getattr(approval, name) for name in ApprovalModel.model_fields},
        "programme": programme and {name: getattr(programme, name) for name in ProgrammeModel.model_fields},
    }


def _out(held: handlers.Held) -> SeriesOut:
    first, series = held.terms.versions[-1]
    return SeriesOut.model_validate(
        {
            **_plain(series),
            "version": held.version,
            "asked_since": None if first == date.min else first,
            "created_at": held.created_at,
            "changed_at": held.changed_at,
        }
    )


@router.get("/v1/checkins", responses=problems(400, 404), summary="The community's check-in series")
async def list_series(db: Db, caller: ReaderOrMember) -> AllSeriesOut:
    async with db.read() as tx:
        found = (await handlers.in_force(tx, [caller.community_id])).get(caller.community_id, [])
    return AllSeriesOut(items=[_out(held) for held in found])


@router.post(
    "/v1/checkins",
    status_code=201,
    response_model=SeriesOut,
    responses=problems(400, 404, 409, 422),
    summary="A new check-in series",
)
async def create_series(request: Request, body: SeriesIn, db: Db, caller: Writer) -> Response:
    """It counts what happens from now on."""

    async def effect(tx: Tx) -> Reply:
        held = await handlers.create(tx, caller.community_id, _series(body), caller.actor)
        return Reply(201, _out(held), {"ETag": etag(held.version)})

    return await once(request, db, caller, effect)


@router.get("/v1/checkins/{series_id}", responses=problems(400, 404, 422), summary="One check-in series")
async def get_series(series_id: SeriesPath, db: Db, caller: ReaderOrMember, response: Response) -> SeriesOut:
    async with db.read() as tx:
        held = await handlers.existing(tx, caller.community_id, series_id)
    response.headers["ETag"] = etag(held.version)
    return _out(held)


@router.patch(
    "/v1/checkins/{series_id}",
    response_model=SeriesOut,
    responses=problems(400, 404, 409, 412, 422),
    summary="Change a check-in series",
)
async def change_series(
    request: Request, series_id: SeriesPath, body: SeriesChange, db: Db, caller: Writer
) -> Response:
    """A version: days that have begun keep the schedule they have, everything else holds at once."""

    async def effect(tx: Tx) -> Reply:
        before = await handlers.existing(tx, caller.community_id, series_id)
        check_if_match(request, before.version)
        given = {name: getattr(body, name) for name in body.model_fields_set}
        nullable = ("when", "date_field", "outage_hours", "approval")
        changes = {name: value for name, value in given.items() if value is not None or name in nullable}
        series = _series(SeriesIn.model_validate(_plain(before.terms.present)).model_copy(update=changes))
        if series == before.terms.present:
            return Reply(200, _out(before), {"ETag": etag(before.version)})
        tomorrow = local_day(tx.now, EARLIEST_ZONE, 0) + timedelta(days=1)
        held = await handlers.change(tx, before, series, tomorrow, caller.actor)
        return Reply(200, _out(held), {"ETag": etag(held.version)})

    return await once(request, db, caller, effect)
