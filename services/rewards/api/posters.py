"""Posters of members' months."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from kit.http import problems
from services.rewards.api.common import Db, ReaderOrMember, check_known, check_own
from services.rewards.api.desk import A_FILE, One, drawn
from services.rewards.domain.paper import Format, Locale
from services.rewards.domain.posters import paper
from services.rewards.handlers import posters as handlers

router = APIRouter(tags=["rewards: badges"])

Month = Annotated[str, Path(pattern=r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])$", description="`2026-11`, of the community.")]


@router.get(
    "/v1/badges/members/{member_id}/posters/{month}",
    response_class=Response,
    responses={200: A_FILE, **problems(400, 404, 422, 503)},
    summary="The poster of a member's month",
)
async def get_poster(
    member_id: UUID,
    month: Month,
    db: Db,
    one: One,
    caller: ReaderOrMember,
    format: Annotated[Format, Query()] = "png",
    locale: Annotated[Locale | None, Query(description="Default the member's, else the community's.")] = None,
) -> Response:
    """An A4 sheet with the month's points, check-ins, longest streak and badges; of the present month, as far as it
    went. Refused for names and for waiting as certificates are."""
    check_own(caller, member_id)
    year, number = map(int, month.split("-"))
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        found = await handlers.of_member(tx, caller.community_id, member_id, date(year, number, 1), locale=locale)
    return await drawn(one, caller, member_id, paper(found), format, f"month-{month}")
