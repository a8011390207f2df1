"""Leaderboards."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.auth import Principal
from kit.clock import uuid7
from kit.copies import known_members
from kit.database import Database, Tx
from kit.errors import Forbidden
from kit.http import PageOf, encode_cursor, problems, unless_had
from kit.idempotency import Reply, once
from services.rewards.api.among import Among, members_among
from services.rewards.api.common import BoardId, BoardPath, Db, ReaderOrMember, Text, UnitId, Writer, position
from services.rewards.domain.boards import LATE_GRACE_HOURS, Board
from services.rewards.domain.ledger import MOST
from services.rewards.domain.rules import SEGMENT_ID, SEGMENTS_MOST
from services.rewards.handlers import boards as handlers
from services.rewards.handlers import narrowing, ranking
from services.rewards.handlers.narrowing import DAYS_MOST, DAYS_USUAL
from services.rewards.handlers.prizes import WINNERS_MOST
from services.rewards.store import boards as store
from services.rewards.store.narrowing import GROUP, PLATFORM, SEGMENT, Label

router = APIRouter(tags=["rewards: boards"])

NOT_MODIFIED = "As it was when it had the `ETag` that `If-None-Match` names; no body"

PeriodKind = Literal["all", "season", "quarter", "month", "week", "day"]
ShownKind = Literal["all", "season", "quarter", "month", "week", "day", "rolling", "decay"]
LeaguePeriod = Literal["week", "month", "quarter"]
TiePolicy = Literal["competition", "dense", "ordinal"]
Kind = Annotated[
    ShownKind,
    Query(
        description="Which of the board's periods; `rolling`: the last `days`, of a board that keeps `day`; "
        "`decay`: what is left today of points that count less with every day, of a board with `decay`."
    ),
]
Days = Annotated[int, Query(ge=2, le=DAYS_MOST, description="How many days `rolling` adds up.")]
Group = Annotated[
    Text | None, Query(max_length=300, description="Only members who were active in this group (`qq:100`).")
]
Platform = Annotated[Text | None, Query(max_length=60, description="Only members who were active on this platform.")]
SegmentName = Annotated[str, Field(pattern=SEGMENT_ID)]
SegmentNames = Annotated[list[SegmentName], Field(max_length=SEGMENTS_MOST)]
Segment = Annotated[
    str | None,
    Query(pattern=SEGMENT_ID, description="Only members who are in this segment; a member names one of their own."),
]
Key = Annotated[
    str | None,
    Query(
        max_length=10,
        description="2026-11-23, 2026-W48, 2026-11, 2026-Q4, a season's, or all; without it the present one.",
    ),
]


class BoardIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"id": "helpers", "name": "Helpers", "unit": "points", "tie_policy": "dense"}},
    )

    id: BoardId
    name: Annotated[Text, Field(min_length=1, max_length=100)]
    unit: UnitId
    tie_policy: TiePolicy = Field("competition", description="1-2-2-4, 1-2-2-3 or 1-2-3-4.")
    periods: list[PeriodKind] = Field(default=["all", "month", "week", "day"], min_length=1, max_length=6)
    late_grace_hours: int = Field(
        default=LATE_GRACE_HOURS, ge=0, le=720, description="How long after its end a period takes late entries."
    )
    excluded_segments: SegmentNames = Field(default=[], description="Who is in one of these is not on it: `staff`.")


class SeasonOut(BaseModel):
    """Both days inclusive, by the community's zone and day start."""

    key: str
    first_day: date
    last_day: date


class PrizeOut(BaseModel):
    """`amount` of `unit` for each whose rank is among these, both inclusive, when a period of this kind is final."""

    model_config = ConfigDict(extra="forbid")

    period: PeriodKind
    rank_from: int = Field(ge=1, le=WINNERS_MOST)
    rank_to: int = Field(ge=1, le=WINNERS_MOST)
    unit: UnitId
    amount: int = Field(ge=1, le=MOST)


class LeagueOut(BaseModel):
    """`tiers` are names, the lowest first; `promote` and `demote` have a number for each."""

    period: LeaguePeriod
    tiers: list[str]
    size: int
    promote: list[int]
    demote: list[int]
    inactive: Literal["demote", "stay"]


class DecayOut(BaseModel):
    """With every day `keep_percent_per_day` of what counted the day before still does."""

    keep_percent_per_day: int
    day: date = Field(description="The day that scores are worked out for; past midnight the next within moments.")


class BoardOut(BaseModel):
    """`periods` are kept all at once; those that end on `since` or later are finalised. Who is in one of
    `excluded_segments` is not on it. `league` holds for periods that begin on `league_since` or later.
    Scores of the period `decay` decay."""

    id: str
    name: str
    unit: str
    tie_policy: TiePolicy
    periods: list[PeriodKind]
    seasons: list[SeasonOut]
    prizes: list[PrizeOut]
    late_grace_hours: int
    excluded_segments: list[str]
    league: LeagueOut | None
    league_since: date | None
    decay: DecayOut | None
    since: date
    created_at: datetime


class BoardsOut(BaseModel):
    items: list[BoardOut]


class PeriodOut(BaseModel):
    kind: ShownKind
    key: str
    start: datetime | None = Field(description="Inclusive; null for `all`.")
    end: datetime | None = Field(description="Exclusive; null for `all`.")
    finalized_at: datetime | None = Field(description="Since when it changes no more.")
    hash: str | None = Field(description="SHA-256 over its lines as they were finalised.")
    late_entries: int = Field(description="How many entries came too late for it, and changed nothing.")


class LineOut(BaseModel):
    rank: int
    member_id: UUID
    display_name: str
    score: int = Field(description="In the period `decay` what is left of it today, in whole numbers towards zero.")
    reached_at: datetime = Field(description="When the score was reached; decides among those who tie.")


class BoardPage(BaseModel):
    """Consecutive lines of one period of a board; `next` and `prev` are cursors for GET /v1/boards/{id}."""

    board: BoardOut
    period: PeriodOut
    next_reset_at: datetime | None = Field(description="When the present period of this kind ends; null for `all`.")
    total: int = Field(description="How many members are on it.")
    items: list[LineOut]
    me: LineOut | None = Field(description="The caller's (or `member`'s) line; null when not on the board.")
    next: str | None
    prev: str | None


Improvement = Annotated[
    bool, Query(description="Rank by how much members are above their own score in the period before.")
]


def shown(board: Board) -> BoardOut:
    return BoardOut.model_validate(board, from_attributes=True)


def _reply(request: Request, lines: ranking.Lines) -> Response:
    """A `BoardPage`, written as it is: making and checking the models took longer than reading the board."""
    at, items = lines.window, lines.items
    board = {name: getattr(at.board, name) for name in BoardOut.model_fields}
    page = {
        "board": board,
        "period": {"kind": at.period.kind, "key": at.period.key, "start": at.period.start, "end": at.period.end}
        | at.final._asdict(),
        "next_reset_at": at.next_reset_at,
        "total": lines.total,
        "items": items if lines.encoded is None else lines.encoded,
        "me": lines.me,
        "next": _cursor("n", items[-1]) if items and lines.below else None,
        "prev": _cursor("p", items[0]) if items and lines.above else None,
    }
    return unless_had(request, msgspec.json.encode(page))


async def _labels(
    db: Database, caller: Principal, group: str | None, platform: str | None, segment: str | None
) -> list[Label]:
    """What the board is narrowed to. Who is in a segment is told to members who are in it themselves."""
    if segment is not None and caller.member_id is not None:
        async with db.read() as tx:
            known = await known_members(tx, caller.community_id, [caller.member_id])
        if all(segment not in member.segments for member in known.values()):
            raise Forbidden("a member token sees the member's own segments only", code="not_yours")
    wanted = (GROUP, group), (PLATFORM, platform), (SEGMENT, segment)
    return [(kind, value) for kind, value in wanted if value is not None]


def _cursor(direction: str, line: ranking.Line) -> str:
    return encode_cursor([direction, line.score, line.reached_at.isoformat(), str(line.member_id)])


@router.get("/v1/boards", responses=problems(400, 404), summary="The community's boards")
async def list_boards(db: Db, caller: ReaderOrMember) -> BoardsOut:
    async with db.read() as tx:
        boards = await store.boards_of(tx, caller.community_id)
    return BoardsOut(items=[shown(board) for board in boards])


@router.post(
    "/v1/boards",
    status_code=201,
    response_model=BoardOut,
    responses=problems(400, 404, 409, 422),
    summary="A new board, filled from the entries there are",
)
async def create_board(request: Request, body: BoardIn, db: Db, caller: Writer) -> Response:
    """Postings in its unit wait until it is filled."""

    async def effect(tx: Tx) -> Reply:
        board = Board(
            caller.community_id,
            body.id,
            uuid7(tx.now),
            body.name,
            body.unit,
            body.tie_policy,
            tuple(dict.fromkeys(body.periods)),
            tx.now,
            late_grace_hours=body.late_grace_hours,
            excluded_segments=tuple(sorted(set(body.excluded_segments))),
        )
        return Reply(201, shown(await handlers.create(tx, board)))

    return await once(request, db, caller, effect)


@router.delete(
    "/v1/boards/{board_id}", status_code=204, responses=problems(400, 404, 422), summary="Remove a board and its ranks"
)
async def delete_board(board_id: BoardPath, db: Db, caller: Writer) -> None:
    """The ledger keeps every entry; a board made again under the same id begins from them."""
    async with db.begin() as tx:
        await handlers.delete(tx, caller.community_id, board_id)


@router.get(
    "/v1/boards/{board_id}",
    response_model=BoardPage,
    responses={304: {"description": NOT_MODIFIED}, **problems(400, 404, 422)},
    summary="A page of a board, with ranks",
)
async def get_board(
    request: Request,
    board_id: BoardPath,
    db: Db,
    caller: ReaderOrMember,
    paging: PageOf,
    period: Kind = "all",
    key: Key = None,
    days: Days = DAYS_USUAL,
    group: Group = None,
    platform: Platform = None,
    segment: Segment = None,
    among: Among = None,
    improvement: Improvement = False,
    member: Annotated[UUID | None, Query(description="Whose line to show as `me`; default the token's member.")] = None,
) -> Response:
    at = position(paging.cursor, int, datetime, UUID)
    place: Any = tuple(at[1]) if at else None
    backwards = at is not None and at[0] == "p"
    asked = ranking.Asked(caller.community_id, board_id, period, key)
    labels = await _labels(db, caller, group, platform, segment)
    named = members_among(among, caller.member_id, member)
    wanted: dict[str, Any] = {
        "after": None if backwards else place,
        "before": place if backwards else None,
        "member": member if member is not None else caller.member_id,
    }
    if labels or named or improvement or period == narrowing.ROLLING:
        wanted |= {"days": days, "improvement": improvement, "among": named}
        return _reply(request, await narrowing.page(db, asked, labels, paging.limit, **wanted))
    return _reply(request, await ranking.page(db, asked, paging.limit, **wanted))


@router.get(
    "/v1/boards/{board_id}/around/{member_id}",
    response_model=BoardPage,
    responses={304: {"description": NOT_MODIFIED}, **problems(400, 404, 422)},
    summary="A member and who is near",
)
async def get_around(
    request: Request,
    board_id: BoardPath,
    member_id: Annotated[UUID, Path()],
    db: Db,
    caller: ReaderOrMember,
    above: Annotated[int, Query(ge=0, le=100, description="How many better ones.")] = 5,
    below: Annotated[int, Query(ge=0, le=100, description="How many worse ones.")] = 5,
    period: Kind = "all",
    key: Key = None,
    days: Days = DAYS_USUAL,
    group: Group = None,
    platform: Platform = None,
    segment: Segment = None,
    among: Among = None,
    improvement: Improvement = False,
) -> Response:
    """Fewer at the edges, never shifted. 404 `not_on_board` for a member without a score, or not in this part."""
    asked = ranking.Asked(caller.community_id, board_id, period, key)
    labels = await _labels(db, caller, group, platform, segment)
    named = members_among(among, caller.member_id)
    if labels or named or improvement or period == narrowing.ROLLING:
        more: dict[str, Any] = {"days": days, "improvement": improvement, "among": named}
        return _reply(request, await narrowing.around(db, asked, labels, member_id, above, below, **more))
    return _reply(request, await ranking.around(db, asked, member_id, above, below))
