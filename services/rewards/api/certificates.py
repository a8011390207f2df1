"""Certificates of badges: drawn for who holds one, verified for whoever has the code."""

import asyncio
from datetime import date
from importlib import import_module
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from kit.errors import Unavailable, Unprocessable
from kit.http import problems, runtime_of
from kit.service import ServiceRuntime
from services.rewards.api.badges import BadgePath
from services.rewards.api.common import SERVICE, Db, ReaderOrMember, check_known, check_own
from services.rewards.domain.certificates import Certificate, Format, Locale, Undrawable
from services.rewards.handlers import certificates as handlers

router = APIRouter(tags=["rewards: badges"])

One = Annotated[ServiceRuntime, Depends(runtime_of(SERVICE))]
TYPES: dict[Format, str] = {"png": "image/png", "pdf": "application/pdf"}

WAIT_SECONDS = 10.0
"""How long a request waits for its turn to draw."""

Code = Annotated[str, Path(pattern=r"^[0-9A-Fa-f-]{32,40}$", description="With or without hyphens.")]


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
    responses={
        200: {
            "content": {type: {"schema": {"type": "string", "format": "binary"}} for type in TYPES.values()},
            "description": "The file",
        },
        **problems(400, 404, 422),
    },
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
    nothing is left out of a name but emoji, and no boxes are drawn."""
    check_own(caller, member_id)
    base = one.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        found = await handlers.of_member(tx, caller.community_id, badge_id, member_id, locale=locale, base=base)
    body = await _drawn(one, found, format)
    name = f"certificate-{found.code[:8]}.{format}"
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-cache"}
    return Response(body, media_type=TYPES[format], headers=headers)


async def _drawn(one: ServiceRuntime, found: Certificate, format: Format) -> bytes:
    """Drawn in a thread, one at a time: each takes a good part of a second of a processor."""
    turn: asyncio.Lock = one.memory.setdefault("drawing", asyncio.Lock())
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await turn.acquire()
    except TimeoutError as error:
        raise Unavailable("others are being drawn; try again", code="drawing_busy", retry_after=2) from error
    try:
        return await asyncio.to_thread(_draw, found, format, one.settings.certificate_font)
    except Undrawable as error:
        said = f"no font here has {error.letters!r}; GUILDHALL_CERTIFICATE_FONT may name one that does"
        raise Unprocessable(said, code="name_undrawable", letters=error.letters) from error
    finally:
        turn.release()


def _draw(found: Certificate, format: Format, font: str) -> bytes:
    # The libraries that draw take longer to load than everything else: only who draws loads them.
    drawn: bytes = import_module("services.rewards.drawing").draw(found, format, font)
    return drawn
