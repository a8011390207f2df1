"""`/v1/members`: who belongs, in which state, and how they got there."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from kit.database import Tx
from kit.errors import BadRequest, Forbidden, NotFound
from kit.http import Page, PageOf, check_if_match, etag, problems
from kit.idempotency import Reply, once
from services.members.api.common import (
    SOME_ID,
    SOME_TIME,
    Db,
    Locale,
    Name,
    Reader,
    ReaderOrMember,
    Reason,
    Writer,
    WriterOrMember,
    Zone,
    identity_of,
    other_than,
    shown,
)
from services.members.api.paging import page_of, seek
from services.members.domain import Member
from services.members.handlers import people as handlers
from services.members.store import people as store
from services.members.store import segments

router = APIRouter(tags=["members"])

State = Literal[
    "observed", "applied", "waitlisted", "approved", "rejected", "onboarding", "active", "cooling", "dormant",
    "left", "removed", "banned", "erased",
]  # fmt: skip
Kind = Literal["person", "bot"]

SHOWN: dict[str, JsonValue] = {
    "id": SOME_ID,
    "version": 1,
    "display_name": "Ada",
    "state": "active",
    "state_at": SOME_TIME,
    "kind": "person",
    "locale": None,
    "zone": None,
    "identities": ["telegram:42"],
    "segments": ["staff"],
    "created_at": SOME_TIME,
    "changed_at": SOME_TIME,
}
STEP: dict[str, JsonValue] = {
    "from_state": "observed",
    "to_state": "active",
    "actor": f"operator:{SOME_ID}",
    "reason": "passed the gate",
    "rule": None,
    "effective_at": SOME_TIME,
    "created_at": SOME_TIME,
}


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
    """Only what is sent changes; null for `locale` or `zone` means the community's again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"display_name": "Ada L."}})

    display_name: Name | None = None
    kind: Kind | None = None
    locale: Locale | None = None
    zone: Zone | None = None

    def changes(self) -> dict[str, Any]:
        sent = self.model_dump(exclude_unset=True)
        return {name: value for name, value in sent.items() if value is not None or name in ("locale", "zone")}


class MemberOut(BaseModel):
    """`locale` and `zone` are null where the community's hold; `identities` read `platform:external_id`; `segments` are
    the ids of those the member is in."""

    id: UUID
    version: int
    display_name: str
    state: str
    state_at: datetime
    kind: str
    locale: str | None
    zone: str | None
    identities: list[str]
    segments: list[str]
    created_at: datetime
    changed_at: datetime


class TransitionIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"to": "active", "reason": "passed the gate"}}
    )

    to: State
    reason: Reason


class TransitionOut(BaseModel):
    """`rule` is what decided where no person did; `effective_at` when it took effect, `created_at` when we knew."""

    from_state: str | None
    to_state: str
    actor: str
    reason: str
    rule: str | None
    effective_at: datetime
    created_at: datetime


async def members_shown(tx: Tx, members: list[Member]) -> list[MemberOut]:
    pairs = [(m.community_id, m.id) for m in members]
    identities = await store.identities_of(tx, pairs=pairs)
    inside = await segments.segments_of(tx, pairs=pairs)
    names = [name for name in MemberOut.model_fields if name not in ("identities", "segments")]
    return [
        MemberOut(
            **{n: getattr(m, n) for n in names},
            identities=identities.get(pair, []),
            segments=list(inside.get(pair, ())),
        )
        for pair, m in zip(pairs, members, strict=True)
    ]


async def member_reply(tx: Tx, status: int, member: Member) -> Reply:
    [out] = await members_shown(tx, [member])
    headers = {"ETag": etag(member.version)}
    if status == 201:
        headers["Location"] = f"/v1/members/{member.id}"
    return Reply(status, out, headers)


@router.get(
    "/v1/members",
    summary="Members",
    responses={**problems(400, 422), **shown(200, {"items": [SHOWN], "next": None, "prev": None})},
)
async def list_members(
    db: Db,
    caller: Reader,
    paging: PageOf,
    state: State | None = None,
    kind: Kind | None = None,
    q: Annotated[str | None, Query(max_length=100, description="Beginning of the display name, in any case.")] = None,
    identity: Annotated[str | None, Query(max_length=300, description="`platform:external_id`.")] = None,
) -> Page[MemberOut]:
    """Oldest first; by name when `q` is given."""
    order = {"name_key": bytes, "id": UUID} if q else {"created_at": datetime, "id": UUID}
    place = seek(paging, *order.values())
    async with db.read() as tx:
        member_id = await _holder(tx, caller.community_id, identity) if identity is not None else None
        if identity is not None and member_id is None:
            return Page[MemberOut](items=[], next=None, prev=None)
        members, found = await store.page_of_members(
            tx,
            community_id=caller.community_id,
            limit=paging.limit,
            seek=place,
            state=state,
            kind=kind,
            member_id=member_id,
            name_prefix=q,
        )
        return page_of(await members_shown(tx, members), found, *order)


async def _holder(tx: Tx, community_id: UUID, identity: str) -> UUID | None:
    platform, separator, external_id = identity.partition(":")
    if not separator:
        raise BadRequest("an identity reads platform:external_id", code="identity_malformed")
    wanted = identity_of(platform, external_id, "/query/identity")
    row = await store.identity(tx, community_id=community_id, identity=wanted)
    return row.member_id if row else None


@router.post(
    "/v1/members",
    summary="Add a member",
    status_code=201,
    response_model=MemberOut,
    responses={**problems(400, 409, 422), **shown(201, SHOWN)},
)
async def create_member(request: Request, db: Db, caller: Writer, body: MemberIn) -> Response:
    """409 `identity_in_use` when the identity is somebody already."""
    identity = identity_of(body.identity.platform, body.identity.external_id, "/identity") if body.identity else None

    async def effect(tx: Tx) -> Reply:
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
        return await member_reply(tx, 201, member)

    return await once(request, db, caller, effect)


@router.get("/v1/members/{id}", summary="One member", responses={**problems(400, 404, 422), **shown(200, SHOWN)})
async def get_member(db: Db, caller: ReaderOrMember, id: UUID, response: Response) -> MemberOut:
    """A member token reads its own member."""
    if other_than(id, caller):
        raise NotFound("no such member", code="member_unknown")
    async with db.read() as tx:
        member = await handlers.existing(tx, caller.community_id, id)
        [out] = await members_shown(tx, [member])
    response.headers["ETag"] = etag(member.version)
    return out


@router.patch(
    "/v1/members/{id}",
    summary="Change a member",
    responses={**problems(400, 404, 409, 412, 422), **shown(200, {**SHOWN, "version": 2})},
)
async def change_member(
    request: Request, db: Db, caller: WriterOrMember, id: UUID, body: MemberPatch, response: Response
) -> MemberOut:
    """A member token changes its own member, but not the kind. 409 `member_erased` for who was erased."""
    changes = body.changes()
    if other_than(id, caller):
        raise NotFound("no such member", code="member_unknown")
    if caller.member_id is not None and "kind" in changes:
        raise Forbidden("a member does not change their own kind", code="scope_missing", scope="members:write")
    async with db.begin() as tx:
        member = await handlers.change_member(
            tx,
            community_id=caller.community_id,
            member_id=id,
            changes=changes,
            if_match=lambda version: check_if_match(request, version),
        )
        [out] = await members_shown(tx, [member])
    response.headers["ETag"] = etag(member.version)
    return out


@router.post(
    "/v1/members/{id}/transitions",
    summary="Move a member to another state",
    response_model=MemberOut,
    responses={**problems(400, 404, 409, 422), **shown(200, SHOWN)},
)
async def move_member(request: Request, db: Db, caller: Writer, id: UUID, body: TransitionIn) -> Response:
    """An illegal step answers 409 and names the legal ones in `legal`. From `erased` none leads back: name, identities,
    language, zone, segments and tokens are gone at once, and what other services keep within a quarter of an hour."""

    async def effect(tx: Tx) -> Reply:
        member = await handlers.move_member(
            tx, community_id=caller.community_id, member_id=id, to=body.to, reason=body.reason, actor=caller.actor
        )
        return await member_reply(tx, 200, member)

    return await once(request, db, caller, effect)


@router.get(
    "/v1/members/{id}/transitions",
    summary="How a member got here, newest first",
    responses={**problems(400, 404, 422), **shown(200, {"items": [STEP], "next": None, "prev": None})},
)
async def list_transitions(db: Db, caller: Reader, id: UUID, paging: PageOf) -> Page[TransitionOut]:
    """`actor` is a key, an operator, or the activity that a platform told us by."""
    place = seek(paging, int)
    async with db.read() as tx:
        await handlers.existing(tx, caller.community_id, id)
        found = await store.page_of_transitions(
            tx, community_id=caller.community_id, member_id=id, limit=paging.limit, seek=place
        )
    items = [TransitionOut(**{n: getattr(r, n) for n in TransitionOut.model_fields}) for r in found.rows]
    return page_of(items, found, "seq")
