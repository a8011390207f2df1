"""Badges: what a community gives them for, who holds them, an operator's word."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.database import Tx
from kit.http import Page, PageOf, check_if_match, encode_cursor, etag, problems
from kit.http.instants import Instant
from kit.idempotency import Reply, once
from services.rewards.api.checkins import Types, When
from services.rewards.api.common import (
    BoardId,
    Db,
    ReaderOrMember,
    SeriesId,
    Text,
    UnitId,
    Writer,
    check_known,
    check_own,
    check_present,
    position,
)
from services.rewards.domain.badges import MOST_COUNTED, MOST_DAYS, Badge, Criterion, Standing
from services.rewards.domain.ledger import MOST
from services.rewards.domain.levels import MOST_LEVELS
from services.rewards.handlers import badges as handlers
from services.rewards.handlers import granting, wearing

router = APIRouter(tags=["rewards: badges"])

BadgeId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
BadgePath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EventsModel(_Model):
    """Events: how many, on how many of the community's days, or of how many other people."""

    kind: Literal["events"]
    on: Types
    when: When | None = None
    whose: Literal["actor", "subject_author"] = Field("actor", description="Whose doing, or about whose writing.")
    count: Literal["events", "days", "people"] = "events"
    least: int = Field(ge=1, le=MOST_COUNTED)


class StreakModel(_Model):
    """A member's streak in a check-in series."""

    kind: Literal["streak"]
    series: SeriesId
    measure: Literal["current", "longest", "days"] = "longest"
    least: int = Field(ge=1, le=MOST_DAYS)


class ProgrammeModel(_Model):
    """A series' programme, when it is over: passed, or passed with no day missed, repaired, frozen or excused."""

    kind: Literal["programme"]
    series: SeriesId
    result: Literal["passed", "perfect"] = "passed"


class BalanceModel(_Model):
    """A balance."""

    kind: Literal["balance"]
    unit: UnitId
    least: int = Field(ge=1, le=MOST)


class LevelModel(_Model):
    """A level of the community's."""

    kind: Literal["level"]
    least: int = Field(ge=2, le=MOST_LEVELS)


class PercentileModel(_Model):
    """Among the best of a period of a board, when that is final."""

    kind: Literal["percentile"]
    board: BoardId
    period: Literal["day", "week", "month", "quarter", "season"]
    percent: int = Field(ge=1, le=100, description="Of those who are shown; rounded down, and always the first.")


class HandModel(_Model):
    """An operator's word alone."""

    kind: Literal["hand"]


CriterionModel = Annotated[
    EventsModel | StreakModel | ProgrammeModel | BalanceModel | LevelModel | PercentileModel | HandModel,
    Field(discriminator="kind"),
]
Name = Annotated[Text, Field(min_length=1, max_length=100)]
Description = Annotated[Text, Field(max_length=500)]
Days = Annotated[int, Field(ge=1, le=36_600, description="Times 24 hours after `granted_at`; of expiring ones only.")]
Reason = Annotated[Text, Field(min_length=1, max_length=500)]


class BadgeIn(_Model):
    """`permanent` is kept whatever happens later, `auto_revoke` is lost when the criterion holds no more, `expiring`
    ends by itself and can be reached again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "id": "well-liked",
                "name": "Well liked",
                "criterion": {
                    "kind": "events",
                    "on": ["reaction.added"],
                    "whose": "subject_author",
                    "count": "people",
                    "least": 10,
                },
            }
        },
    )

    id: BadgeId
    name: Name
    description: Description = ""
    criterion: CriterionModel
    kind: Literal["permanent", "auto_revoke", "expiring"] = "permanent"
    expires_after_days: Days | None = None
    silent: bool = Field(False, description="Members are not told.")
    enabled: bool = True


class BadgeChange(_Model):
    """What is given changes. `criterion` and `kind` are for ever."""

    name: Name | None = None
    description: Description | None = None
    expires_after_days: Days | None = Field(None, description="Holds for grants from now on.")
    silent: bool | None = None
    enabled: bool | None = Field(None, description="False: nobody is granted it or loses it, but by time and by hand.")


class BadgeOut(BadgeIn):
    version: int
    created_at: datetime
    changed_at: datetime


class BadgesOut(BaseModel):
    items: list[BadgeOut]


class ProgressOut(BaseModel):
    """7 of 10. `has` may be more than `of`."""

    has: int
    of: int


class MemberBadgeOut(BaseModel):
    """How a member stands with a badge; everything but `progress` is of the last grant."""

    badge_id: str
    name: str
    description: str
    kind: str
    held: bool
    number: int = Field(description="How many times it was granted.")
    granted_at: datetime | None
    expires_at: datetime | None
    event_id: UUID | None = Field(description="The event that reached it.")
    reason: str
    ended_at: datetime | None
    ended_why: Literal["undone", "expired", "by_hand"] | None
    progress: ProgressOut


class MemberBadgesOut(BaseModel):
    member_id: UUID
    items: list[MemberBadgeOut]


class HolderOut(BaseModel):
    member_id: UUID
    number: int
    granted_at: datetime
    expires_at: datetime | None


class GrantIn(_Model):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "Ran the autumn fair"}})

    reason: Reason
    granted_at: Instant | None = Field(None, description="Null: now; never later.")


class RevocationIn(_Model):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "Granted by mistake"}})

    reason: Reason


def _badge(body: BadgeIn) -> Badge:
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in body.criterion.model_dump().items()}
    if "on" in given:
        given["on"] = tuple(dict.fromkeys(given["on"]))
    rest = body.model_dump(exclude={"criterion"})
    return Badge(**rest, criterion=Criterion(**given))


_FIELDS: dict[str, tuple[str, ...]] = {
    "events": ("on", "when", "whose", "count", "least"),
    "streak": ("series", "measure", "least"),
    "programme": ("series", "result"),
    "balance": ("unit", "least"),
    "level": ("least",),
    "percentile": ("board", "period", "percent"),
    "hand": (),
}


def _plain(badge: Badge) -> dict[str, Any]:
    wanted = badge.criterion
    names = ("id", "name", "description", "kind", "expires_after_days", "silent", "enabled")
    criterion = {"kind": wanted.kind, **{name: getattr(wanted, name) for name in _FIELDS[wanted.kind]}}
    return {**{name: getattr(badge, name) for name in names}, "criterion": criterion}


def _out(one: handlers.Defined) -> BadgeOut:
    more = {"version": one.version, "created_at": one.created_at, "changed_at": one.changed_at}
    return BadgeOut.model_validate({**_plain(one.badge), **more})


def _worn(worn: wearing.Worn) -> MemberBadgeOut:
    badge, standing, grant = worn.defined.badge, worn.standing, worn.grant
    ended_at, ended_why = (grant.ended_at, grant.ended_why) if grant is not None else (None, None)
    if grant is not None and not standing.held and ended_at is None:
        ended_at, ended_why = standing.expires_at, "expired"
    return MemberBadgeOut(
        badge_id=badge.id,
        name=badge.name,
        description=badge.description,
        kind=badge.kind,
        held=standing.held,
        number=standing.number,
        granted_at=standing.granted_at,
        expires_at=standing.expires_at,
        event_id=grant.event_id if grant is not None else None,
        reason=grant.reason if grant is not None else "",
        ended_at=ended_at,
        ended_why=ended_why,
        progress=ProgressOut(has=worn.progress, of=worn.of),
    )


@router.get("/v1/badges", responses=problems(400, 404), summary="The community's badges")
async def list_badges(db: Db, caller: ReaderOrMember) -> BadgesOut:
    """Also those that are granted no more (`enabled` false)."""
    async with db.read() as tx:
        found = (await handlers.of_communities(tx, [caller.community_id])).get(caller.community_id, [])
    return BadgesOut(items=[_out(one) for one in found])


@router.post(
    "/v1/badges",
    status_code=201,
    response_model=BadgeOut,
    responses=problems(400, 404, 409, 422),
    summary="A new badge",
)
async def create_badge(request: Request, body: BadgeIn, db: Db, caller: Writer) -> Response:
    """It counts what is handled from now on, history that is imported from now on among it."""

    async def effect(tx: Tx) -> Reply:
        one = await handlers.create(tx, caller.community_id, _badge(body), caller.actor)
        return Reply(201, _out(one), {"ETag": etag(one.version)})

    return await once(request, db, caller, effect)


@router.get("/v1/badges/members/{member_id}", responses=problems(400, 404, 422), summary="A member's badges")
async def get_member_badges(member_id: UUID, db: Db, caller: ReaderOrMember) -> MemberBadgesOut:
    """Those that can be had, with how far each is, and those the member was ever granted."""
    check_own(caller, member_id)
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        found = await wearing.of_member(tx, caller.community_id, member_id)
        return MemberBadgesOut(member_id=member_id, items=[_worn(one) for one in found])


@router.get("/v1/badges/{badge_id}", responses=problems(400, 404, 422), summary="One badge")
async def get_badge(badge_id: BadgePath, db: Db, caller: ReaderOrMember, response: Response) -> BadgeOut:
    async with db.read() as tx:
        one = await handlers.existing(tx, caller.community_id, badge_id)
    response.headers["ETag"] = etag(one.version)
    return _out(one)


@router.patch(
    "/v1/badges/{badge_id}",
    response_model=BadgeOut,
    responses=problems(400, 404, 409, 412, 422),
    summary="Change a badge",
)
async def change_badge(request: Request, badge_id: BadgePath, body: BadgeChange, db: Db, caller: Writer) -> Response:
    """A version. What was granted stays what it was."""

    async def effect(tx: Tx) -> Reply:
        before = await handlers.existing(tx, caller.community_id, badge_id)
        check_if_match(request, before.version)
        changes = {n: v for n in body.model_fields_set if (v := getattr(body, n)) is not None}
        badge = _badge(BadgeIn.model_validate({**_plain(before.badge), **changes}))
        one = before if badge == before.badge else await handlers.change(tx, before, badge, caller.actor)
        return Reply(200, _out(one), {"ETag": etag(one.version)})

    return await once(request, db, caller, effect)


@router.get("/v1/badges/{badge_id}/members", responses=problems(400, 404, 422), summary="Who holds a badge")
async def get_holders(badge_id: BadgePath, db: Db, caller: ReaderOrMember, paging: PageOf) -> Page[HolderOut]:
    """In the order of their ids. The cursor `next` only: there is no going back."""
    at = position(paging.cursor, UUID)
    after = at[1][0] if at is not None else None
    async with db.read() as tx:
        found, more = await wearing.holders(tx, caller.community_id, badge_id, after=after, limit=paging.limit)
    items = [_holder(member_id, standing) for member_id, standing in found]
    return Page(items=items, next=encode_cursor(["n", str(items[-1].member_id)]) if more else None, prev=None)


def _holder(member_id: UUID, standing: Standing) -> HolderOut:
    assert standing.granted_at is not None
    return HolderOut(
        member_id=member_id,
        number=standing.number,
        granted_at=standing.granted_at,
        expires_at=standing.expires_at,
    )


@router.post(
    "/v1/badges/{badge_id}/members/{member_id}",
    status_code=201,
    response_model=HolderOut,
    responses=problems(400, 404, 409, 422),
    summary="Grant a badge by hand",
)
async def grant_badge(
    request: Request, badge_id: BadgePath, member_id: UUID, body: GrantIn, db: Db, caller: Writer
) -> Response:
    """Any badge; no event takes it back then."""

    async def effect(tx: Tx) -> Reply:
        await check_present(tx, caller, member_id)
        one = await handlers.existing(tx, caller.community_id, badge_id)
        held = await granting.grant(tx, one, member_id, body.granted_at, reason=body.reason, actor=caller.actor)
        return Reply(201, _holder(member_id, held.standing))

    return await once(request, db, caller, effect)


@router.post(
    "/v1/badges/{badge_id}/members/{member_id}/revocation",
    response_model=HolderOut,
    responses=problems(400, 404, 409, 422),
    summary="Take a badge by hand",
)
async def revoke_badge(
    request: Request, badge_id: BadgePath, member_id: UUID, body: RevocationIn, db: Db, caller: Writer
) -> Response:
    """No event brings it back then; granting it by hand does."""

    async def effect(tx: Tx) -> Reply:
        await check_present(tx, caller, member_id)
        one = await handlers.existing(tx, caller.community_id, badge_id)
        held = await granting.revoke(tx, one, member_id, reason=body.reason, actor=caller.actor)
        return Reply(200, _holder(member_id, held.standing))

    return await once(request, db, caller, effect)
