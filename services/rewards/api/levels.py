"""Levels."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.database import Tx
from kit.http import check_if_match, etag, problems
from kit.idempotency import Reply, once
from services.rewards.api.common import Db, ReaderOrMember, Text, UnitId, Writer, check_known, check_own
from services.rewards.domain import levels as domain
from services.rewards.handlers import levels as handlers

router = APIRouter(tags=["rewards: levels"])


class FormulaModel(BaseModel):
    """Level n begins at `step`·n·(n−1)."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"kind": "formula", "step": 50}})

    kind: Literal["formula"]
    step: int = Field(gt=0, lt=2**62)


class LevelRow(BaseModel):
    model_config = ConfigDict(extra="forbid")

    threshold: int = Field(ge=0, lt=2**62, description="The balance at which the level begins.")
    name: Annotated[Text, Field(max_length=100)] = ""


class TableModel(BaseModel):
    """Level n is the n-th row; the first begins at 0."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["table"]
    levels: list[LevelRow] = Field(min_length=1, max_length=domain.MOST_LEVELS)


Word = Annotated[Text, Field(min_length=1, max_length=100)]


class PerksOut(BaseModel):
    """What members of a level have. Rules multiply; what is done with the rest is up to bots and frontends."""

    roles: list[Word] = Field(default=[], max_length=20, description="To be given in the chat.")
    multiplier: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Of what rules give `multiplied`, in basis points; null: as on the level below.",
    )
    shop: list[Word] = Field(default=[], max_length=20, description="What opens offers of a shop.")


class PerksRow(PerksOut):
    """What a level adds to those below it."""

    model_config = ConfigDict(extra="forbid")

    level: int = Field(ge=1, le=domain.MOST_LEVELS)


class LevelsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    unit: UnitId = "xp"
    scheme: Annotated[FormulaModel | TableModel, Field(discriminator="kind")]
    perks: list[PerksRow] = Field(default=[], max_length=domain.MOST_LEVELS)


class LevelsOut(LevelsIn):
    version: int = Field(description="0: the defaults, nothing was set yet.")


class LevelOut(BaseModel):
    level: int
    name: str
    threshold: int


class MemberLevelOut(LevelOut):
    """`next` is null at the highest level."""

    member_id: UUID
    unit: str
    balance: int
    version: int
    next: LevelOut | None
    perks: PerksOut = Field(description="In force: roles and shop of all levels up to this one.")


def _out(version: handlers.LevelVersion) -> LevelsOut:
    return LevelsOut.model_validate(
        {
            "unit": version.unit,
            "scheme": domain.written(version.scheme),
            "perks": domain.written_perks(version.perks),
            "version": version.version,
        }
    )


def _level(level: domain.Level) -> LevelOut:
    return LevelOut(level=level.level, name=level.name, threshold=level.threshold)


@router.get("/v1/levels", response_model=LevelsOut, responses=problems(400, 404), summary="The levels in force")
async def get_levels(db: Db, caller: ReaderOrMember, response: Response) -> LevelsOut:
    async with db.read() as tx:
        version = await handlers.current(tx, caller.community_id)
    response.headers["ETag"] = etag(version.version)
    return _out(version)


@router.put(
    "/v1/levels",
    response_model=LevelsOut,
    responses=problems(400, 404, 409, 412, 422),
    summary="A new version of the levels, in force at once",
)
async def put_levels(request: Request, body: LevelsIn, db: Db, caller: Writer) -> Response:
    """Levels follow from balances, so everybody has theirs by the new version; a change announces nothing."""

    async def effect(tx: Tx) -> Reply:
        present = await handlers.current(tx, caller.community_id)
        check_if_match(request, present.version)
        scheme = domain.read(body.scheme.model_dump())
        perks = domain.checked_perks([row.model_dump() for row in body.perks], scheme)
        version = await handlers.change(tx, caller.community_id, body.unit, scheme, caller.actor, perks)
        return Reply(200, _out(version), {"ETag": etag(version.version)})

    return await once(request, db, caller, effect)


@router.get("/v1/levels/members/{member_id}", responses=problems(400, 404, 422), summary="A member's level")
async def get_member_level(member_id: UUID, db: Db, caller: ReaderOrMember) -> MemberLevelOut:
    check_own(caller, member_id)
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        found = await handlers.member_level(tx, caller.community_id, member_id)
    return MemberLevelOut(
        **_level(found.level).model_dump(),
        member_id=member_id,
        unit=found.unit,
        balance=found.balance,
        version=found.version,
        next=_level(found.next) if found.next is not None else None,
        perks=PerksOut(roles=[*found.perks.roles], multiplier=found.perks.multiplier, shop=[*found.perks.shop]),
    )
