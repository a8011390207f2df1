"""`/v1/members` and `/v1/identities`: who belongs, in which state, under which names on which platforms."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.errors import BadRequest, FieldError, Forbidden, NotFound, Unprocessable
from kit.http import Page, PageOf, check_if_match, encode_cursor, etag, problems
from kit.idempotency import Reply, once
from services.members import domain
from services.members.api.common import Db, Reader, ReaderOrMember, Writer
from services.members.api.communities import Locale, Name, Zone
from services.members.domain import Member
from services.members.handlers import people as handlers
from services.members.store import people as store

router = APIRouter(tags=["members"])

State = Literal[
    "observed", "applied", "waitlisted", "approved", "rejected", "onboarding", "active", "cooling", "dormant",
    "left", "removed", "banned", "erased",
]  # fmt: skip
Kind = Literal["person", "bot"]


class IdentityIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"platform": "telegram", "external_id": "42"}}
    )

    platform: str = Field(max_length=32, description="Lower case: telegram, qq, slack …")
    external_id: str = Field(max_length=250, description="As the platform names the person.")


class MemberIn(BaseModel):
    """With `identity` the member is the one that events of that identity already belong to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"display_name": "Ada", "state": "active"}})

    display_name: Name
    kind: Kind = "person"
    state: Literal["observed", "applied", "approved", "onboarding", "active"] = "active"
    locale: Locale | None = None
    zone: Zone | None = None
    identity: IdentityIn | None = None


class MemberPatch(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"display_name": "Ada L."}})

    display_name: Name | None = None
    kind: Kind | None = None
    locale: Locale | None = None
    zone: Zone | None = None


class MemberOut(BaseModel):
    id: UUID
    version: int
    display_name: str
    state: str
    state_at: datetime
    kind: str
    locale: str | None
    zone: str | None
    identities: list[str]
    created_at: datetime
    changed_at: datetime


class TransitionIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"to": "active", "reason": "passed the gate"}}
    )

    to: State
    reason: str = Field(min_length=1, max_length=1000)


class TransitionOut(BaseModel):
    from_state: str | None
    to_state: str
    actor: str
    reason: str
    effective_at: datetime
    created_at: datetime


class IdentityOut(BaseModel):
    identity: str
    member_id: UUID


class CodeIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {}})

    member_id: UUID | None = Field(None, description="Whose code; a member token asks for its own.")


class CodeOut(BaseModel):
    """Good for ten minutes, once; said in a chat where a bot hears it."""

    code: str
    expires_in: int


class ConfirmationIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"code": "AB23CD45", "platform": "qq", "external_id": "2627274551"}},
    )

    code: str = Field(min_length=1, max_length=40)
    platform: str = Field(max_length=32)
    external_id: str = Field(max_length=250)


def _out(member: Member, identities: list[str]) -> MemberOut:
    fields = {name: getattr(member, name) for name in MemberOut.model_fields if name != "identities"}
    return MemberOut(**fields, identities=identities)


async def _shown(tx: Any, members: list[Member]) -> list[MemberOut]:
    identities = await store.identities_of(tx, pairs=[(m.community_id, m.id) for m in members])
    return [_out(m, identities.get((m.community_id, m.id), [])) for m in members]


def _identity(platform: str, external_id: str, pointer: str = "") -> str:
    try:
        return domain.identity_of(platform, external_id)
    except ValueError as error:
        wrong = FieldError(pointer, "identity_malformed", str(error))
        raise Unprocessable(str(error), code="identity_malformed", errors=[wrong]) from error


@router.get("/v1/members", summary="Members, oldest first", responses=problems(400, 422))
async def list_members(
    db: Db,
    caller: Reader,
    paging: PageOf,
    state: State | None = None,
    kind: Kind | None = None,
    q: Annotated[str | None, Query(max_length=100, description="Beginning of the display name.")] = None,
) -> Page[MemberOut]:
    try:
        after = (datetime.fromisoformat(paging.cursor[0]), UUID(paging.cursor[1])) if paging.cursor else None
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise BadRequest("this cursor is not one of ours; begin without it", code="cursor_invalid") from error
    async with db.read() as tx:
        found = await store.page_of_members(
            tx,
            community_id=caller.community_id,
            limit=paging.limit + 1,
            after=after,
            state=state,
            kind=kind,
            name_prefix=q,
        )
        shown = await _shown(tx, found[: paging.limit])
    more = len(found) > paging.limit
    following = encode_cursor([shown[-1].created_at.isoformat(), str(shown[-1].id)]) if more else None
    return Page[MemberOut](items=shown, next=following, prev=None)


@router.post("/v1/members", summary="Add a member", status_code=201, responses=problems(400, 409, 422))
async def create_member(request: Request, db: Db, caller: Writer, body: MemberIn) -> MemberOut:
    identity = _identity(body.identity.platform, body.identity.external_id, "/identity") if body.identity else None

    async def effect(tx: Any) -> Reply:
        member = await handlers.create_member(
            tx,
            community_id=caller.community_id,
            display_name=body.display_name,
            kind=body.kind,
            state=body.state,
            locale=body.locale,
            zone=body.zone,
            identity=identity,
            actor=caller.actor,
        )
        [shown] = await _shown(tx, [member])
        return Reply(201, shown, {"ETag": etag(member.version), "Location": f"/v1/members/{member.id}"})

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.get("/v1/members/{id}", summary="One member", responses=problems(404, 422))
async def get_member(db: Db, caller: ReaderOrMember, id: UUID, response: Response) -> MemberOut:
    """A member token reads its own member."""
    if caller.member_id is not None and caller.member_id != id:
        raise NotFound("no such member", code="member_unknown")
    async with db.read() as tx:
        member = await handlers.existing(tx, caller.community_id, id)
        [shown] = await _shown(tx, [member])
    response.headers["ETag"] = etag(member.version)
    return shown


@router.patch("/v1/members/{id}", summary="Change a member", responses=problems(400, 404, 412, 422))
async def change_member(
    request: Request, db: Db, caller: Writer, id: UUID, body: MemberPatch, response: Response
) -> MemberOut:
    async with db.begin() as tx:
        member = await handlers.existing(tx, caller.community_id, id, lock=True)
        check_if_match(request, member.version)
        member = await handlers.change_member(tx, member, body.model_dump(exclude_none=True))
        [shown] = await _shown(tx, [member])
    response.headers["ETag"] = etag(member.version)
    return shown


@router.post(
    "/v1/members/{id}/transitions", summary="Move a member to another state", responses=problems(400, 404, 409, 422)
)
async def move_member(request: Request, db: Db, caller: Writer, id: UUID, body: TransitionIn) -> MemberOut:
    """An illegal step answers 409 and names the legal ones."""

    async def effect(tx: Any) -> Reply:
        member = await handlers.move_member(
            tx, community_id=caller.community_id, member_id=id, to=body.to, reason=body.reason, actor=caller.actor
        )
        [shown] = await _shown(tx, [member])
        return Reply(200, shown, {"ETag": etag(member.version)})

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.get(
    "/v1/members/{id}/transitions", summary="How a member got here, newest first", responses=problems(400, 404, 422)
)
async def list_transitions(db: Db, caller: Reader, id: UUID, paging: PageOf) -> Page[TransitionOut]:
    before = paging.cursor[0] if paging.cursor else None
    if before is not None and not isinstance(before, int):
        raise BadRequest("this cursor is not one of ours; begin without it", code="cursor_invalid")
    async with db.read() as tx:
        await handlers.existing(tx, caller.community_id, id)
        rows = await store.transitions_of(
            tx, community_id=caller.community_id, member_id=id, limit=paging.limit + 1, before=before
        )
    items = [TransitionOut(**{n: getattr(r, n) for n in TransitionOut.model_fields}) for r in rows[: paging.limit]]
    following = encode_cursor([rows[paging.limit - 1].seq]) if len(rows) > paging.limit else None
    return Page[TransitionOut](items=items, next=following, prev=None)


@router.post(
    "/v1/members/{id}/identities", summary="Link an identity to a member", responses=problems(400, 404, 409, 422)
)
async def link_identity(request: Request, db: Db, caller: Writer, id: UUID, body: IdentityIn) -> MemberOut:
    """409 `identity_in_use` when it is another's; `merge_required` when it was seen and is a member of its own."""
    identity = _identity(body.platform, body.external_id)

    async def effect(tx: Any) -> Reply:
        await handlers.link_identity(tx, community_id=caller.community_id, member_id=id, identity=identity)
        [shown] = await _shown(tx, [await handlers.existing(tx, caller.community_id, id)])
        return Reply(200, shown)

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model


@router.get("/v1/identities", summary="Whose an identity is", responses=problems(404, 422), tags=["identities"])
async def find_identity(
    db: Db,
    caller: Reader,
    platform: Annotated[str, Query(max_length=32)],
    external_id: Annotated[str, Query(max_length=250)],
) -> IdentityOut:
    identity = _identity(platform, external_id)
    async with db.read() as tx:
        row = await store.identity(tx, community_id=caller.community_id, identity=identity)
    if row is None:
        raise NotFound("nobody is known under this identity", code="identity_unknown")
    return IdentityOut(identity=identity, member_id=row.member_id)


@router.post(
    "/v1/identities/codes",
    summary="A code to link an identity by",
    responses=problems(400, 404, 422),
    tags=["identities"],
)
async def make_code(db: Db, caller: ReaderOrMember, body: CodeIn) -> CodeOut:
    """The member says the code in a chat; the bot that hears it confirms. An earlier code of the member ends."""
    if caller.member_id is None and "members:write" not in caller.scopes:
        raise Forbidden("this credential lacks the scope members:write", code="scope_missing", scope="members:write")
    member_id = caller.member_id or body.member_id
    if member_id is None:
        wrong = FieldError("/member_id", "missing", "name the member")
        raise Unprocessable("whose code?", errors=[wrong])
    async with db.begin() as tx:
        code = await handlers.make_code(tx, community_id=caller.community_id, member_id=member_id)
    return CodeOut(code=code, expires_in=int(handlers.CODE_LIFETIME.total_seconds()))


@router.post(
    "/v1/identities/confirmations",
    summary="Somebody said a code",
    responses=problems(400, 404, 409, 422),
    tags=["identities"],
)
async def confirm_code(request: Request, db: Db, caller: Writer, body: ConfirmationIn) -> IdentityOut:
    identity = _identity(body.platform, body.external_id)

    async def effect(tx: Any) -> Reply:
        member = await handlers.confirm_code(tx, community_id=caller.community_id, code=body.code, identity=identity)
        return Reply(200, IdentityOut(identity=identity, member_id=member))

    return await once(request, db, caller, effect)  # type: ignore[return-value]  # a Response stands for the model
