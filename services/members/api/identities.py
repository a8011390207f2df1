"""`/v1/identities` and the identities of a member: whose an account on a platform is, and how it becomes somebody's."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.database import Tx
from kit.errors import FieldError, Forbidden, NotFound, Unprocessable
from kit.http import check_if_match, etag, problems
from kit.http.secret_replies import once_with_secret
from kit.idempotency import Reply, once
from services.members.api.common import SOME_ID, Db, One, Reader, Writer, WriterOrMember, identity_of, shown
from services.members.api.members import SHOWN, IdentityIn, MemberOut, member_reply, members_shown
from services.members.handlers import identities as handlers
from services.members.handlers.people import existing
from services.members.store import people as store

router = APIRouter(tags=["identities"])

Platform = Annotated[str, Query(max_length=32, description="Lower case: telegram, qq, slack …")]
ExternalId = Annotated[str, Query(max_length=250, description="As the platform names the person.")]

IDENTITY = {"identity": "qq:2627274551", "member_id": SOME_ID}


class IdentityOut(BaseModel):
    identity: str
    member_id: UUID


class CodeIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"member_id": SOME_ID}})

    member_id: UUID | None = Field(
        None, description="Whose code; a member token asks for its own and may leave it out."
    )


class CodeOut(BaseModel):
    """Good for `expires_in` seconds, once; said in a chat where a bot hears it."""

    code: str
    member_id: UUID
    expires_in: int


class ConfirmationIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"code": "AB23CD45", "platform": "qq", "external_id": "2627274551"}},
    )

    code: str = Field(min_length=1, max_length=40)
    platform: str = Field(max_length=32)
    external_id: str = Field(max_length=250)


@router.post(
    "/v1/members/{id}/identities",
    summary="Link an identity to a member",
    response_model=MemberOut,
    responses={**problems(400, 404, 409, 422), **shown(200, SHOWN)},
)
async def link_identity(request: Request, db: Db, caller: Writer, id: UUID, body: IdentityIn) -> Response:
    """409 `identity_in_use` when it is another's; `merge_required` when it was seen and is a member of its own."""
    identity = identity_of(body.platform, body.external_id)

    async def effect(tx: Tx) -> Reply:
        member = await handlers.link_identity(tx, community_id=caller.community_id, member_id=id, identity=identity)
        return await member_reply(tx, 200, member)

    return await once(request, db, caller, effect)


@router.delete(
    "/v1/members/{id}/identities",
    summary="Take a linked identity off a member",
    responses={**problems(400, 404, 409, 412, 422), **shown(200, {**SHOWN, "identities": []})},
)
async def unlink_identity(
    request: Request, db: Db, caller: Writer, id: UUID, platform: Platform, external_id: ExternalId, response: Response
) -> MemberOut:
    """What it did while linked stays the member's. 409 `identity_native` for the one the member exists by."""
    identity = identity_of(platform, external_id, "/query")
    async with db.begin() as tx:
        check_if_match(request, (await existing(tx, caller.community_id, id, lock=True)).version)
        member = await handlers.unlink_identity(
            tx, community_id=caller.community_id, member_id=id, identity=identity, actor=caller.actor
        )
        [out] = await members_shown(tx, [member])
    response.headers["ETag"] = etag(member.version)
    return out


@router.get(
    "/v1/identities",
    summary="Whose an identity is",
    responses={**problems(400, 404, 422), **shown(200, IDENTITY)},
)
async def find_identity(db: Db, caller: Reader, platform: Platform, external_id: ExternalId) -> IdentityOut:
    identity = identity_of(platform, external_id, "/query")
    async with db.read() as tx:
        row = await store.identity(tx, community_id=caller.community_id, identity=identity)
        # An identity taken off a member before anybody saw it is nobody's.
        there = row and await store.member(tx, community_id=caller.community_id, member_id=row.member_id)
    if row is None or there is None:
        raise NotFound("nobody is known under this identity", code="identity_unknown")
    return IdentityOut(identity=identity, member_id=row.member_id)


@router.post(
    "/v1/identities/codes",
    summary="A code to link an identity by",
    status_code=201,
    response_model=CodeOut,
    responses={
        **problems(400, 404, 409, 422),
        **shown(201, {"code": "AB23CD45", "member_id": SOME_ID, "expires_in": 600}),
    },
)
async def make_code(request: Request, one: One, caller: WriterOrMember, body: CodeIn) -> Response:
    """The member says the code in a chat; the bot that hears it confirms. An earlier code of the member ends."""
    member_id = body.member_id or caller.member_id
    if member_id is None:
        wrong = FieldError("/member_id", "missing", "name the member")
        raise Unprocessable("whose code?", errors=[wrong])
    if caller.member_id is not None and member_id != caller.member_id:
        raise Forbidden("a member asks for their own code only", code="scope_missing", scope="members:write")
    mine = member_id

    async def effect(tx: Tx) -> Reply:
        code = await handlers.make_code(
            tx, community_id=caller.community_id, member_id=mine, secret_key=one.settings.secret_key
        )
        lifetime = int(handlers.CODE_LIFETIME.total_seconds())
        return Reply(201, CodeOut(code=code, member_id=mine, expires_in=lifetime))

    return await once_with_secret(request, one, caller, effect, "code")


@router.post(
    "/v1/identities/confirmations",
    summary="Somebody said a code",
    response_model=IdentityOut,
    responses={**problems(400, 404, 409, 422, 429), **shown(200, IDENTITY)},
)
async def confirm_code(request: Request, one: One, caller: Writer, body: ConfirmationIn) -> Response:
    """By the bot that heard it. Links the identity that said it; 429 after too many tries of one identity."""
    identity = identity_of(body.platform, body.external_id)
    async with one.db.begin() as tx:
        refused = await handlers.too_many_attempts(tx, community_id=caller.community_id, identity=identity)
    if refused is not None:
        raise refused

    async def effect(tx: Tx) -> Reply:
        member_id = await handlers.confirm_code(
            tx,
            community_id=caller.community_id,
            code=body.code,
            identity=identity,
            secret_key=one.settings.secret_key,
        )
        return Reply(200, IdentityOut(identity=identity, member_id=member_id))

    return await once(request, one.db, caller, effect)
