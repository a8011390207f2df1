"""Who is on no board: members who do not want to be, and whom operators keep off one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from kit.database import Tx
from kit.http import problems
from services.rewards.api.common import (
    BoardPath,
    Db,
    Reader,
    ReaderOrMember,
    Text,
    Writer,
    WriterOrMember,
    check_known,
    check_own,
    check_present,
)
from services.rewards.handlers import absences as handlers
from services.rewards.handlers import boards
from services.rewards.handlers.absences import Change
from services.rewards.store import shown
from services.rewards.store.shown import BY_MEMBER, BY_OPERATOR, EVERY_BOARD

router = APIRouter(tags=["rewards: boards"])


class ShownIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"opted_out": True}})

    opted_out: bool


class ShownOut(BaseModel):
    """`opted_out` is the member's own wish. `excluded_from` are boards that they are kept off, by an operator or for a
    segment they are in."""

    member_id: UUID
    opted_out: bool
    on_no_board: str | None = Field(description="Why the member is on no board at all; null for who may be.")
    excluded_from: list[str]


class ExcludedIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "Staff"}})

    reason: Annotated[Text, Field(min_length=1, max_length=500)]


class ExcludedOut(BaseModel):
    """`by`: `operator`, or `segment` for who is in one that the board leaves out."""

    member_id: UUID
    by: str
    reason: str
    actor: str
    created_at: datetime


class ExcludedAllOut(BaseModel):
    items: list[ExcludedOut]


async def _shown(tx: Tx, community_id: UUID, member_id: UUID) -> ShownOut:
    found = await shown.absences(tx, community_id, member_id=member_id)
    everywhere = [one for one in found if one.board_id == EVERY_BOARD]
    return ShownOut(
        member_id=member_id,
        opted_out=any(one.by == BY_MEMBER for one in everywhere),
        on_no_board=everywhere[0].reason if everywhere else None,
        excluded_from=list(dict.fromkeys(one.board_id for one in found if one.board_id != EVERY_BOARD)),
    )


@router.get(
    "/v1/accounts/{member_id}/boards", responses=problems(400, 404, 422), summary="Whether a member is shown on boards"
)
async def get_shown(member_id: UUID, db: Db, caller: ReaderOrMember) -> ShownOut:
    check_own(caller, member_id)
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        return await _shown(tx, caller.community_id, member_id)


@router.put(
    "/v1/accounts/{member_id}/boards",
    responses=problems(400, 404, 409, 422),
    summary="Be on no board, or on boards again",
)
async def put_shown(member_id: UUID, body: ShownIn, db: Db, caller: WriterOrMember) -> ShownOut:
    """Off every board at once, those of past periods too. Points go on being counted: who comes back stands where they
    say, except in periods that were finalised meanwhile."""
    check_own(caller, member_id)
    step = Change(member_id, EVERY_BOARD, BY_MEMBER, body.opted_out, "the member's own wish", caller.actor)
    async with db.begin() as tx:
        await check_present(tx, caller, member_id)
        await handlers.change(tx, caller.community_id, [step])
        return await _shown(tx, caller.community_id, member_id)


@router.get("/v1/boards/{board_id}/excluded", responses=problems(400, 404, 422), summary="Who is kept off a board")
async def list_excluded(board_id: BoardPath, db: Db, caller: Reader) -> ExcludedAllOut:
    async with db.read() as tx:
        await boards.find(tx, caller.community_id, board_id)
        found = await shown.absences(tx, caller.community_id, board_id=board_id)
    return ExcludedAllOut(items=[ExcludedOut.model_validate(one, from_attributes=True) for one in found])


@router.put(
    "/v1/boards/{board_id}/excluded/{member_id}",
    status_code=204,
    responses=problems(400, 404, 409, 422),
    summary="Keep somebody off a board",
)
async def exclude(board_id: BoardPath, member_id: UUID, body: ExcludedIn, db: Db, caller: Writer) -> None:
    """Staff, helpers, a test account. Their points go on being counted."""
    async with db.begin() as tx:
        await boards.find(tx, caller.community_id, board_id)
        await check_present(tx, caller, member_id)
        step = Change(member_id, board_id, BY_OPERATOR, True, body.reason, caller.actor)
        await handlers.change(tx, caller.community_id, [step])


@router.delete(
    "/v1/boards/{board_id}/excluded/{member_id}",
    status_code=204,
    responses=problems(400, 404, 422),
    summary="Let somebody onto a board again",
)
async def include(board_id: BoardPath, member_id: UUID, db: Db, caller: Writer) -> None:
    """Who was not kept off it: nothing happens."""
    async with db.begin() as tx:
        await boards.find(tx, caller.community_id, board_id)
        step = Change(member_id, board_id, BY_OPERATOR, False, "", caller.actor)
        await handlers.change(tx, caller.community_id, [step])
