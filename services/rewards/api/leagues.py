"""Leagues of boards: what is set of them, where members play, and all divisions."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from kit.http import PageOf, encode_cursor, problems
from services.rewards.api.boards import BoardOut, Key, LeaguePeriod, shown
from services.rewards.api.common import BoardPath, Db, ReaderOrMember, Text, Writer, check_known, position
from services.rewards.domain.leagues import League
from services.rewards.handlers import divisions as reading
from services.rewards.handlers import leagues as handlers
from services.rewards.handlers.ranking import Asked

router = APIRouter(tags=["rewards: boards"])

SIZE_MOST = 200
TIERS_MOST = 10
TierName = Annotated[Text, Field(min_length=1, max_length=50)]
Number = Annotated[int, Field(ge=0, le=SIZE_MOST)]
Each = Number | Annotated[list[Number], Field(min_length=1, max_length=TIERS_MOST)]
Kind = Annotated[LeaguePeriod | None, Query(description="By default what the board's league is played in.")]


class LeagueIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    period: LeaguePeriod = "week"
    tiers: list[TierName] = Field(min_length=1, max_length=TIERS_MOST, description="Their names, the lowest first.")
    size: int = Field(default=30, ge=2, le=SIZE_MOST, description="How many people a division has at most.")
    promote: Each = Field(7, description="How many of a division go up; one number, or one for each tier.")
    demote: Each = Field(7, description="How many go down.")
    inactive: Literal["demote", "stay"] = Field("demote", description="What becomes of who did not play.")

    def parsed(self) -> League:
        up, down = (tuple(n if isinstance(n, list) else [n] * len(self.tiers)) for n in (self.promote, self.demote))
        return League(self.period, tuple(self.tiers), self.size, up, down, self.inactive)


class LeagueChangeIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"league": {"tiers": ["Bronze", "Silver", "Gold"], "size": 30, "promote": 7, "demote": 7}}
        },
    )

    league: LeagueIn | None = Field(description="Null: no more.")


class TierOut(BaseModel):
    number: int = Field(description="From 1, the lowest.")
    name: str


class LeaguePeriodOut(BaseModel):
    kind: LeaguePeriod
    key: str
    start: datetime = Field(description="Inclusive.")
    end: datetime = Field(description="Exclusive.")
    drawn_at: datetime | None = Field(description="Since when there are divisions; they wait for the period before.")
    settled_at: datetime | None = Field(description="Since when it is known who goes where.")


class LeagueLineOut(BaseModel):
    """`rank` is in the division. `zone` is where the member goes if it stays like this, or went."""

    rank: int
    member_id: UUID
    display_name: str
    score: int
    reached_at: datetime
    zone: Literal["promotion", "stays", "demotion"]


class DivisionOut(BaseModel):
    """`promoted` and `demoted` are how many go up and down, of as many as there are now."""

    period: LeaguePeriodOut
    next_reset_at: datetime = Field(description="When the present period of this kind ends.")
    tier: TierOut
    division: int = Field(description="From 1, in its tier.")
    promoted: int
    demoted: int
    items: list[LeagueLineOut]


class MemberLeagueOut(BaseModel):
    """`division` is null for who did not play, or waits until divisions are drawn. `tier` is then the one they will
    play in; null in past periods."""

    period: LeaguePeriodOut
    next_reset_at: datetime = Field(description="When the present period of this kind ends.")
    tier: TierOut | None
    tier_after: TierOut | None = Field(description="What the period came to; null before it is settled.")
    division: int | None
    promoted: int
    demoted: int
    me: LeagueLineOut | None
    items: list[LeagueLineOut]


class TierCountOut(TierOut):
    divisions: int
    members: int


class DivisionCountOut(BaseModel):
    tier: int
    division: int
    members: int


class LeaguesOut(BaseModel):
    """`tiers` are all, `items` a page of the divisions, lowest tier first; `next` is the cursor of the one behind."""

    period: LeaguePeriodOut
    next_reset_at: datetime
    tiers: list[TierCountOut]
    items: list[DivisionCountOut]
    next: str | None


def _tier(window: reading.Window, tier: int) -> TierOut:
    return TierOut(number=tier + 1, name=window.league.tiers[tier])


def _head(window: reading.Window) -> dict[str, Any]:
    told = {name: getattr(window.period, name) for name in ("kind", "key", "start", "end")}
    return {"period": LeaguePeriodOut(**told, **window.state._asdict()), "next_reset_at": window.next_reset_at}


def _line(line: reading.Line) -> LeagueLineOut:
    return LeagueLineOut.model_validate(line, from_attributes=True)


def _table(table: reading.Table | None) -> dict[str, Any]:
    if table is None:
        return {"division": None, "promoted": 0, "demoted": 0, "items": []}
    lines = [_line(line) for line in table.lines]
    return {"division": table.division + 1, "promoted": table.up, "demoted": table.down, "items": lines}


@router.put("/v1/boards/{board_id}/league", responses=problems(400, 404, 422), summary="The league of a board")
async def put_league(board_id: BoardPath, body: LeagueChangeIn, db: Db, caller: Writer) -> BoardOut:
    """It is played in the periods that begin tomorrow or later; one that runs goes on by what was said before."""
    league = body.league.parsed() if body.league is not None else None
    async with db.begin() as tx:
        return shown(await handlers.put(tx, caller.community_id, board_id, league))


@router.get(
    "/v1/boards/{board_id}/league/{member_id}",
    responses=problems(400, 404, 422),
    summary="Where a member plays, and against whom",
)
async def get_member_league(
    board_id: BoardPath, member_id: UUID, db: Db, caller: ReaderOrMember, period: Kind = None, key: Key = None
) -> MemberLeagueOut:
    async with db.read() as tx:
        await check_known(tx, caller, member_id)
        found = await reading.standing(tx, _asked(caller.community_id, board_id, period, key), member_id)
    window = found.window
    return MemberLeagueOut(
        **_head(window),
        **_table(found.table),
        tier=_tier(window, found.tier) if found.tier is not None else None,
        tier_after=_tier(window, found.tier_after) if found.tier_after is not None else None,
        me=_line(found.me) if found.me is not None else None,
    )


@router.get("/v1/boards/{board_id}/leagues", responses=problems(400, 404, 422), summary="The divisions of a period")
async def list_divisions(
    board_id: BoardPath, db: Db, caller: ReaderOrMember, paging: PageOf, period: Kind = None, key: Key = None
) -> LeaguesOut:
    at = position(paging.cursor, int, int)
    async with db.read() as tx:
        found = await reading.overview(tx, _asked(caller.community_id, board_id, period, key))
    after = tuple(at[1]) if at is not None else (-1, -1)
    behind = [one for one in found.divisions if one[:2] > after]
    items = behind[: paging.limit]
    tiers = []
    for number, name in enumerate(found.window.league.tiers):
        members = [count for tier, _, count in found.divisions if tier == number]
        tiers.append(TierCountOut(number=number + 1, name=name, divisions=len(members), members=sum(members)))
    return LeaguesOut(
        **_head(found.window),
        tiers=tiers,
        items=[DivisionCountOut(tier=tier + 1, division=n + 1, members=count) for tier, n, count in items],
        next=encode_cursor(["n", *items[-1][:2]]) if len(behind) > len(items) else None,
    )


@router.get(
    "/v1/boards/{board_id}/leagues/{tier}/{division}",
    responses=problems(400, 404, 422),
    summary="One division, with ranks",
)
async def get_division(
    board_id: BoardPath,
    tier: Annotated[int, Path(ge=1, le=TIERS_MOST, description="From 1, the lowest tier.")],
    division: Annotated[int, Path(ge=1, le=10**9)],
    db: Db,
    caller: ReaderOrMember,
    period: Kind = None,
    key: Key = None,
) -> DivisionOut:
    async with db.read() as tx:
        asked = _asked(caller.community_id, board_id, period, key)
        table = await reading.division(tx, asked, tier - 1, division - 1)
    return DivisionOut(**_head(table.window), **_table(table), tier=_tier(table.window, table.tier))


def _asked(community_id: UUID, board_id: str, period: str | None, key: str | None) -> Asked:
    return Asked(community_id, board_id, period or reading.LATEST, key)
