"""Posters of members' months: drawn for them, verified for whoever has the code."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from kit.http import problems
from services.rewards.api.common import Db, ReaderOrMember, check_known, check_own
from services.rewards.api.desk import A_FILE, Code, One, base_of, drawn
from services.rewards.domain.paper import Format, Locale
from services.rewards.domain.posters import MOST_NAMED, MOST_UNITS, paper
from services.rewards.handlers import posters as handlers

router = APIRouter(tags=["rewards: badges"])

Month = Annotated[str, Path(pattern=r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])$", description="`2026-11`, of the community.")]


class PosterPoints(BaseModel):
    unit: str = Field(description="The unit's name.")
    amount: int


class PosterOut(BaseModel):
    """What stands on the poster when it is drawn now; of the present month it grows."""

    community: str
    member: str
    month: str
    checkins: int
    streak: int
    points: list[PosterPoints]
    badges: list[str]
    more_badges: int = Field(description="How many more there are than are named.")


@router.get("/v1/badges/posters/{code}", responses=problems(404, 422), summary="Verify a poster")
async def verify(code: Code, db: Db, response: Response) -> PosterOut:
    """No credential needed, as for certificates. Who it was for can have had their data erased: 404."""
    async with db.read() as tx:
        found = await handlers.verify(tx, code)
    response.headers["Cache-Control"] = "no-store"
    return PosterOut(
        community=found.community,
        member=found.member,
        month=f"{found.month:%Y-%m}",
        checkins=found.checkins,
        streak=found.streak,
        points=[PosterPoints(unit=unit, amount=amount) for unit, amount in found.points[:MOST_UNITS]],
        badges=list(found.badges[:MOST_NAMED]),
        more_badges=max(0, len(found.badges) - MOST_NAMED),
    )


@router.get(
    "/v1/badges/members/{member_id}/posters/{month}",
    response_class=Response,
    responses={200: A_FILE, **problems(400, 404, 422, 503)},
    summary="The poster of a member's month",
)
async def get_poster(
    request: Request,
    member_id: UUID,
    month: Month,
    db: Db,
    one: One,
    caller: ReaderOrMember,
    format: Annotated[Format, Query()] = "png",
    locale: Annotated[Locale | None, Query(description="Default the member's, else the community's.")] = None,
) -> Response:
    """An A4 sheet with the month's points, check-ins, longest streak and badges, and where to verify it; of the present
    month, as far as it went. Refused for names and for waiting as certificates are."""
    check_own(caller, member_id)
    base, first = base_of(one, request), date.fromisoformat(f"{month}-01")
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        found = await handlers.of_member(tx, caller.community_id, member_id, first, locale=locale)
    code = await handlers.code_of(db, caller.community_id, member_id, first)
    sheet = paper(found, code=code, link=f"{base}/v1/badges/posters/{code}")
    return await drawn(one, caller, member_id, sheet, format, f"month-{month}")
