"""Periods of boards: those there were, with what they came to, and seasons; what else is set of a board."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from kit.http import PageOf, encode_cursor, problems
from services.rewards.api.boards import BoardOut, PeriodKind, PrizeOut, SegmentNames, shown
from services.rewards.api.checkins import Day
from services.rewards.api.common import BoardPath, Db, ReaderOrMember, Writer, position
from services.rewards.domain.boards import Prize
from services.rewards.domain.decay import KEEP_LEAST, KEEP_MOST
from services.rewards.domain.seasons import SEASON_KEY, Season
from services.rewards.handlers import boards as handlers
from services.rewards.handlers import decaying, prizes, segments
from services.rewards.store import closing

router = APIRouter(tags=["rewards: boards"])

SeasonKey = Annotated[str, Path(pattern=SEASON_KEY, description="Names it for ever: `2026-s4`.")]


class PastOut(BaseModel):
    """`state`: `running` until it is over and its late grace too, `closed` while it is hashed, then `finalized`; `open`
    for one that is never finalised: `all`, and what was over before the board was made."""

    key: str
    first_day: date | None = Field(description="Null for `all`.")
    last_day: date | None = Field(description="Inclusive; null for `all`.")
    state: str
    finalized_at: datetime | None
    hash: str | None
    erased_hash: str | None = Field(description="That of the lines there are since members among them were erased.")
    members: int | None = Field(description="How many lines the hash is of.")
    late_entries: int


class PastPage(BaseModel):
    """Periods that somebody scored in, latest first; `next` is the cursor of the following page."""

    items: list[PastOut]
    next: str | None


class SeasonIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"first_day": "2026-12-01", "last_day": "2027-02-28"}}
    )

    first_day: Day
    last_day: Day = Field(description="Inclusive.")


class PrizesIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"prizes": [{"period": "week", "rank_from": 1, "rank_to": 3, "unit": "points", "amount": 50}]}
        },
    )

    prizes: list[PrizeOut] = Field(max_length=50)


class SegmentsIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"segments": ["staff"]}})

    segments: SegmentNames


class DecayIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keep_percent_per_day: int = Field(ge=KEEP_LEAST, le=KEEP_MOST, description="90: half of it counts after a week.")


class DecayChangeIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"decay": {"keep_percent_per_day": 90}}})

    decay: DecayIn | None = Field(description="Null: no more.")


def _state(row: Any) -> str:
    if row.finalized_at is not None:
        return "finalized"
    if row.closed_at is not None:
        return "closed"
    return "open" if row.due_at is None else "running"


def _past(row: Any) -> PastOut:
    endless = row.first_day == date.min
    return PastOut(
        key=row.key,
        first_day=None if endless else row.first_day,
        last_day=None if endless else row.last_day,
        state=_state(row),
        finalized_at=row.finalized_at,
        hash=row.hash.hex() if row.hash is not None else None,
        erased_hash=row.erased_hash.hex() if row.erased_hash is not None else None,
        members=row.members,
        late_entries=row.late_entries,
    )


@router.get(
    "/v1/boards/{board_id}/periods",
    responses=problems(400, 404, 422),
    summary="The periods of a board, and what was finalised",
)
async def list_periods(
    board_id: BoardPath,
    db: Db,
    caller: ReaderOrMember,
    paging: PageOf,
    period: Annotated[PeriodKind, Query(description="Which of the board's periods.")] = "week",
) -> PastPage:
    at = position(paging.cursor, date)
    async with db.read() as tx:
        board = await handlers.find(tx, caller.community_id, board_id)
        handlers.check_kept(board, period)
        rows = await closing.periods_of(tx, board, period, before=at[1][0] if at else None, limit=paging.limit + 1)
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    return PastPage(
        items=[_past(row) for row in rows],
        next=encode_cursor(["n", rows[-1].first_day.isoformat()]) if more else None,
    )


@router.put(
    "/v1/boards/{board_id}/seasons/{key}",
    responses={201: {"model": BoardOut, "description": "It is new"}, **problems(400, 404, 409, 422)},
    summary="A season of a board",
)
async def put_season(
    board_id: BoardPath, key: SeasonKey, body: SeasonIn, db: Db, caller: Writer, response: Response
) -> BoardOut:
    """Filled from the entries there are, while postings in the board's unit wait. 200 where it is there with these
    days; seasons do not overlap, and their days do not change."""
    season = Season(key, body.first_day, body.last_day)
    async with db.begin() as tx:
        board, new = await handlers.add_season(tx, caller.community_id, board_id, season)
    response.status_code = 201 if new else 200
    return shown(board)


@router.put(
    "/v1/boards/{board_id}/prizes",
    responses=problems(400, 404, 422),
    summary="What a board pays when a period is final",
)
async def put_prizes(board_id: BoardPath, body: PrizesIn, db: Db, caller: Writer) -> BoardOut:
    """All of them at once; they hold for periods that become final from now on. Paid to each winner once, whatever
    happens; those who tie get each what their rank gets. Prizes count on no board."""
    wanted = [Prize(**one.model_dump()) for one in body.prizes]
    async with db.begin() as tx:
        return shown(await prizes.put(tx, caller.community_id, board_id, wanted))


@router.put(
    "/v1/boards/{board_id}/excluded-segments",
    responses=problems(400, 404, 422),
    summary="Which segments a board leaves out",
)
async def put_excluded_segments(board_id: BoardPath, body: SegmentsIn, db: Db, caller: Writer) -> BoardOut:
    """All of them at once. Who is in one is off the board at once, in past periods too; their points go on being
    counted, and who leaves it stands where they say. Postings in the units of boards wait meanwhile."""
    async with db.begin() as tx:
        return shown(await segments.put(tx, caller.community_id, board_id, body.segments))


@router.put(
    "/v1/boards/{board_id}/decay",
    responses=problems(400, 404, 422),
    summary="Whether a board has scores that decay",
)
async def put_decay(board_id: BoardPath, body: DecayChangeIn, db: Db, caller: Writer) -> BoardOut:
    """Read as `period=decay`, of a board that keeps `day`. Filled from its days while postings in its unit wait."""
    keep = body.decay.keep_percent_per_day if body.decay is not None else None
    async with db.begin() as tx:
        return shown(await decaying.put(tx, caller.community_id, board_id, keep))
