"""`/v1/rules/simulations`: what other rules would make of what was (R35, R74), and how far carrying that out is."""

from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kit.database import Tx
from kit.errors import FieldError, Unprocessable
from kit.http import Instant, Page, PageOf, behind, encode_cursor, problems
from kit.idempotency import Reply, once
from services.rewards.api.common import Db, Reader, Writer
from services.rewards.domain.rules import SEGMENTS_MOST, RuleSet
from services.rewards.domain.seasons import SEASONS_MOST
from services.rewards.handlers import rules as rule_sets
from services.rewards.handlers.plans import planning as handlers
from services.rewards.store import plans as store

router = APIRouter(tags=["rewards: rules"])

Mode = Literal["recompute", "backfill"]
DAYS = 30


class SimulationIn(BaseModel):
    """Rules, or the `version` that has them; from `since` on, or the last `days`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"version": 1, "days": 30}})

    rules: list[dict[str, Any]] | None = Field(None, max_length=500)
    unit_caps: list[dict[str, Any]] = Field(default=[], max_length=50)
    excluded_segments: list[str] = Field(default=[], max_length=SEGMENTS_MOST)
    seasons: list[dict[str, Any]] = Field(default=[], max_length=SEASONS_MOST)
    version: int | None = Field(None, ge=1, lt=2**31)
    mode: Mode = Field("recompute", description="What publishing by the plan would do.")
    since: Instant | None = Field(None, description="Effective time; what happened before stays as it is.")
    days: int | None = Field(None, ge=1, le=36500, description="Instead of `since`; 30 without either.")


class UnitPostings(BaseModel):
    added: int
    taken: int


class Postings(BaseModel):
    """Entries and, by unit, how much they give and take."""

    entries: int
    units: dict[str, UnitPostings]


class Gini(BaseModel):
    """How unequally the balances stand, 0 to 1; null where nobody has any."""

    before: float | None
    after: float | None


class MemberChange(BaseModel):
    member_id: UUID
    was: int
    now: int


class UnitCost(BaseModel):
    """`was` is what the rules gave, `now` what it would be, over all of it; `a_day` for each day with activity.
    `spared` is what is not taken back because the unit never is."""

    unit: str
    was: int
    now: int
    grants: int
    a_day: float
    added: int
    taken: int
    spared: int
    gini: Gini
    winners: list[MemberChange]
    losers: list[MemberChange]


class RuleCost(BaseModel):
    rule_id: str
    unit: str
    was: int
    now: int
    grants: int


class DayCost(BaseModel):
    day: date
    unit: str
    was: int
    now: int
    grants: int


class LevelChanges(BaseModel):
    """How many would stand higher and lower; up to ten of either, with their levels."""

    unit: str
    up: int
    down: int
    some: list[MemberChange]


class BoardChange(BaseModel):
    """In how many of its periods a board changes."""

    board_id: str
    unit: str
    periods: int


class BadgeHolder(BaseModel):
    member_id: UUID
    granted: bool


class BadgeChange(BaseModel):
    """How many would be granted a badge for a balance or a level, and how many lose it; up to ten of them."""

    badge_id: str
    granted: int
    ended: int
    some: list[BadgeHolder]


class Result(BaseModel):
    activities: int
    members_affected: int
    postings: Postings
    units: list[UnitCost]
    rules: list[RuleCost]
    days: list[DayCost]
    levels: LevelChanges
    boards: list[BoardChange]
    badges: list[BadgeChange] = Field(default=[], description="Not told by plans made before this was counted.")


class SimulationOut(BaseModel):
    """`state`: folding (the rules run), comparing, ready, posting (it is being carried out), done, cancelled, failed
    (`error` says why; what was posted stays); `done` of `total` activities in it. Activities are kept from `kept_from`
    on: what came before stays as it is. `posted` is what is in the ledger so far, what came since the plan included;
    `version` the one that it brings."""

    id: UUID
    mode: Mode
    since: datetime
    base_version: int
    version: int | None
    state: Literal["folding", "comparing", "ready", "posting", "done", "cancelled", "failed"]
    kept_from: datetime | None
    total: int
    done: int
    result: Result | None
    plan_hash: str | None
    posted: Postings | None
    error: str | None
    created_by: str
    created_at: datetime
    changed_at: datetime


def simulation_out(row: Any) -> SimulationOut:
    same = {name: getattr(row, name) for name in SimulationOut.model_fields if name != "base_version"}
    return SimulationOut(**same, base_version=row.base)


@router.post(
    "/v1/rules/simulations",
    summary="Run rules over what was, without posting anything",
    status_code=202,
    response_model=SimulationOut,
    responses=problems(400, 404, 409, 422),
)
async def simulate(request: Request, db: Db, caller: Writer, body: SimulationIn) -> Response:
    """In the background, at a rate that leaves the rest its time; one of a community at a time. When it is `ready`,
    `POST /v1/rules` with its `plan_hash` posts exactly that."""
    if (body.rules is None) == (body.version is None):
        wrong = FieldError("/rules", "missing", "give `rules`, or the `version` that has them")
        raise Unprocessable("give `rules` or a `version`", code="rules_missing", errors=[wrong])
    if body.since is not None and body.days is not None:
        wrong = FieldError("/days", "times_contradict", "give `since` or `days`")
        raise Unprocessable("give `since` or `days`", code="times_contradict", errors=[wrong])
    parts = body.model_dump(include={*RuleSet.__dataclass_fields__})
    drafted = None if body.rules is None else rule_sets.parse(parts)

    async def effect(tx: Tx) -> Reply:
        rules = drafted
        if rules is None:
            rules = rule_sets.parse((await rule_sets.existing(tx, caller.community_id, body.version)).body)
        since = body.since or tx.now - timedelta(days=body.days or DAYS)
        plan = await handlers.make(
            tx, community_id=caller.community_id, rules=rules, mode=body.mode, since=since, actor=caller.actor
        )
        return Reply(202, simulation_out(plan), {"Location": f"/v1/rules/simulations/{plan.id}"})

    return await once(request, db, caller, effect)


@router.get(
    "/v1/rules/simulations", summary="Simulations and recomputes, the latest first", responses=problems(400, 422)
)
async def list_simulations(db: Db, caller: Reader, paging: PageOf) -> Page[SimulationOut]:
    async with db.read() as tx:
        rows = await store.page(tx, caller.community_id, before=behind(paging), limit=paging.limit + 1)
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    following = encode_cursor([str(rows[-1].id)]) if more else None
    return Page[SimulationOut](items=[simulation_out(row) for row in rows], next=following, prev=None)


@router.get("/v1/rules/simulations/{id}", summary="How far it is, and what it comes to", responses=problems(404, 422))
async def get_simulation(db: Db, caller: Reader, id: UUID) -> SimulationOut:
    async with db.read() as tx:
        return simulation_out(await handlers.found(tx, caller.community_id, id))


@router.post("/v1/rules/simulations/{id}/cancel", summary="Give it up", responses=problems(404, 409, 422))
async def cancel_simulation(db: Db, caller: Writer, id: UUID) -> SimulationOut:
    """What a recompute has posted stays (a recompute under the rules in force takes it back); its rules do not come
    into force."""
    async with db.begin() as tx:
        return simulation_out(await handlers.cancel(tx, caller.community_id, id))
