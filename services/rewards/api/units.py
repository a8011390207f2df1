"""Units: what a community counts in, as data."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.database import Tx
from kit.http import check_if_match, etag, problems
from kit.idempotency import Reply, once
from services.rewards.api.common import Db, ReaderOrMember, Text, UnitPath, Writer
from services.rewards.domain.ledger import MOST, Unit
from services.rewards.domain.lots import MOST_DAYS
from services.rewards.handlers import units as handlers
from services.rewards.store import entries as reading
from services.rewards.store import ledger as store

router = APIRouter(tags=["rewards: ledger"])


class UnitIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, Field(min_length=1, max_length=100)]
    spendable: bool
    minimum: int = Field(0, ge=-MOST, le=MOST, description="Spending never takes a balance below this.")
    clawback: Literal["allow_negative", "refuse", "to_zero_and_record_debt"] = Field(
        "allow_negative",
        description="What a reversal does that would take a balance below the minimum: go on, be refused, or take what "
        "there is down to 0 and record the rest as owed.",
    )
    approval_above: int | None = Field(
        None, ge=0, le=MOST, description="Adjustments of more than this wait for a second person."
    )

    expires_after_days: int | None = Field(
        None,
        ge=1,
        le=MOST_DAYS,
        description="How many days after the day it counts for what comes in can still be spent; null: for ever. A "
        "change holds for what comes in from then on.",
    )


class UnitOut(UnitIn):
    id: str
    version: int
    issued: int = Field(description="All that was ever given by rules and by hand, less what was taken back.")
    burnt: int = Field(description="All that was spent.")
    owed: int = Field(description="What members owe, all together.")
    held: int = Field(description="What members hold ready for something, all together.")
    expired: int = Field(description="All that expired.")


def _out(unit: Unit, system: dict[tuple[str, str], int]) -> UnitOut:
    return UnitOut(
        id=unit.id,
        version=unit.version,
        name=unit.name,
        spendable=unit.spendable,
        minimum=unit.minimum,
        clawback=unit.clawback,  # type: ignore[arg-type]  # one of these, by the column's only writer
        approval_above=unit.approval_above,
        expires_after_days=unit.expires_after_days,
        issued=-system.get((unit.id, "mint"), 0) - system.get((unit.id, "adjust"), 0),
        burnt=system.get((unit.id, "burn"), 0),
        owed=-system.get((unit.id, "debt"), 0),
        held=system.get((unit.id, "escrow"), 0),
        expired=system.get((unit.id, "expired"), 0),
    )


class UnitsOut(BaseModel):
    items: list[UnitOut]


@router.get("/v1/units", responses=problems(400, 404), summary="The community's units")
async def list_units(db: Db, caller: ReaderOrMember) -> UnitsOut:
    async with db.read() as tx:
        units = await store.units_of(tx, caller.community_id)
        system = {(r.unit, r.name): r.balance for r in await reading.system_balances(tx, caller.community_id)}
    return UnitsOut(items=[_out(unit, system) for unit in units.values()])


@router.put(
    "/v1/units/{unit}",
    response_model=UnitOut,
    responses={201: {"model": UnitOut, "description": "Created"}, **problems(400, 404, 409, 412, 422)},
    summary="Create or change a unit",
)
async def put_unit(request: Request, unit: UnitPath, body: UnitIn, db: Db, caller: Writer) -> Response:
    """With `If-Match`, only the version named; the reply's ETag is the new one."""

    async def effect(tx: Tx) -> Reply:
        present = (await store.units_of(tx, caller.community_id)).get(unit)
        check_if_match(request, present.version if present else 0)
        wanted = Unit(unit, **body.model_dump(), version=present.version + 1 if present else 1)
        await handlers.put(tx, caller.community_id, wanted)
        system = {(r.unit, r.name): r.balance for r in await reading.system_balances(tx, caller.community_id)}
        return Reply(200 if present else 201, _out(wanted, system), {"ETag": etag(wanted.version)})

    return await once(request, db, caller, effect)
