"""Certificates of badges: drawn for who holds one, verified for whoever has the code."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from kit.http import problems
from services.rewards.api.badges import BadgePath
from services.rewards.api.common import Db, ReaderOrMember, check_known, check_own
from services.rewards.api.desk import A_FILE, Code, One, base_of, drawn
from services.rewards.domain.certificates import paper
from services.rewards.domain.paper import Format, Locale
from services.rewards.handlers import certificates as handlers

router = APIRouter(tags=["rewards: badges"])


class VerifiedOut(BaseModel):
    """What stands on the certificate, and whether it holds."""

    valid: bool
    community: str
    member: str | None = Field(description="The name by now; null: they had their data erased.")
    badge: str
    granted_on: date
    expires_on: date | None
    ended_on: date | None
    ended_why: Literal["undone", "expired", "by_hand"] | None = Field(
        description="Why it holds no more: what it was for was undone, its time is over, an operator took it."
    )


@router.get("/v1/badges/certificates/{code}", responses=problems(404, 422), summary="Verify a certificate")
async def verify(code: Code, db: Db, response: Response) -> VerifiedOut:
    """No credential needed: whoever holds a certificate has its code, and nobody guesses one of 128 bits."""
    async with db.read() as tx:
        found = await handlers.verify(tx, code)
    response.headers["Cache-Control"] = "no-store"
    return VerifiedOut(
        valid=found.ended_on is None,
        community=found.community,
        member=found.member,
        badge=found.badge,
        granted_on=found.granted_on,
        expires_on=found.expires_on,
        ended_on=found.ended_on,
        ended_why=found.ended_why,  # type: ignore[arg-type]  # one of these
    )


@router.get(
    "/v1/badges/{badge_id}/members/{member_id}/certificate",
    response_class=Response,
    responses={200: A_FILE, **problems(400, 404, 422, 503)},
    summary="A certificate of a badge",
)
async def get_certificate(
    request: Request,
    badge_id: BadgePath,
    member_id: UUID,
    db: Db,
    one: One,
    caller: ReaderOrMember,
    format: Annotated[Format, Query()] = "pdf",
    locale: Annotated[Locale | None, Query(description="Default the member's, else the community's.")] = None,
) -> Response:
    """An A4 sheet; the same bytes each time. 422 `name_undrawable` where a name has letters that no font at hand has:
    nothing is left out of a name but emoji, and no boxes are drawn. 503 `drawing_busy` with `Retry-After` while more
    than a few wait for theirs, or the caller for another of this member's."""
    check_own(caller, member_id)
    base = base_of(one, request)
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        found = await handlers.of_member(tx, caller.community_id, badge_id, member_id, locale=locale, base=base)
    return await drawn(one, caller, member_id, paper(found), format, f"certificate-{found.code[:8]}")
