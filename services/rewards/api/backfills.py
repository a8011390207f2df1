"""`/v1/badges/{badge}/backfill`: what was there before a badge, counted for it (R77), and how far that is."""

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kit.database import Tx
from kit.http import Instant, problems
from kit.idempotency import Reply, once
from services.rewards.api.badges import BadgePath
from services.rewards.api.common import Db, Reader, Writer
from services.rewards.handlers import badges
from services.rewards.handlers.backfills import asking

router = APIRouter(tags=["rewards: badges"])


class BackfillIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"since": "2026-01-01T00:00:00Z"}})

    since: Instant | None = Field(
        None, description="Effective time: what happened before counts nothing. Of badges for events and for periods."
    )
    silent: bool = Field(True, description="Nobody is told of what they had reached already.")


class BackfillOut(BaseModel):
    """`state`: counting, closing (it was cancelled, and only what came since the badge was made is counted), done,
    cancelled, failed (`error` says why; ask for another one). `done` of `total` activities, members or periods, by what
    the badge goes by; what comes meanwhile is besides. `kept_from`: activities of before are not kept. `granted` is how
    many grants it made."""

    badge_id: str
    state: Literal["counting", "closing", "done", "cancelled", "failed"]
    silent: bool
    since: datetime | None
    kept_from: datetime | None
    total: int
    done: int
    granted: int
    error: str | None
    began_at: datetime
    changed_at: datetime


def _out(row: Any) -> BackfillOut:
    return BackfillOut(**{name: getattr(row, name) for name in BackfillOut.model_fields})


@router.post(
    "/v1/badges/{badge_id}/backfill",
    summary="Count for a badge what was there before it",
    status_code=202,
    response_model=BackfillOut,
    responses=problems(400, 404, 409, 422),
)
async def backfill_badge(request: Request, badge_id: BadgePath, body: BackfillIn, db: Db, caller: Writer) -> Response:
    """In the background, at a rate that leaves the rest its time. Who reached it has it as of then."""

    async def effect(tx: Tx) -> Reply:
        one = await badges.existing(tx, caller.community_id, badge_id)
        row = await asking.ask(tx, one, since=body.since, silent=body.silent)
        return Reply(202, _out(row), {"Location": f"/v1/badges/{badge_id}/backfill"})

    return await once(request, db, caller, effect)


@router.get(
    "/v1/badges/{badge_id}/backfill", summary="How far the last backfill of a badge is", responses=problems(404, 422)
)
async def get_backfill(badge_id: BadgePath, db: Db, caller: Reader) -> BackfillOut:
    async with db.read() as tx:
        await badges.existing(tx, caller.community_id, badge_id)
        return _out(await asking.found(tx, caller.community_id, badge_id))


@router.post(
    "/v1/badges/{badge_id}/backfill/cancel", summary="Count no more of the past", responses=problems(404, 409, 422)
)
async def cancel_backfill(badge_id: BadgePath, db: Db, caller: Writer) -> BackfillOut:
    """What was granted stays."""
    async with db.begin() as tx:
        one = await badges.existing(tx, caller.community_id, badge_id)
        return _out(await asking.cancel(tx, one))
