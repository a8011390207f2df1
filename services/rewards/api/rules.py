"""`/v1/rules`: what gives points. Published versions never change; a new one holds for events from then on, or from the
time it is scheduled for."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from kit.auth import Principal
from kit.database import Tx
from kit.errors import FieldError, GuildhallError, Unprocessable
from kit.http import Instant, Page, PageOf, check_if_match, encode_cursor, etag, problems
from kit.idempotency import Reply, once
from services.rewards.api.common import Db, Reader, Text, Writer, position
from services.rewards.api.simulations import SimulationOut, simulation_out
from services.rewards.domain.differences import differences
from services.rewards.domain.recomputing import FORWARD
from services.rewards.domain.rules import SEGMENTS_MOST, RuleSet
from services.rewards.domain.seasons import SEASONS_MOST
from services.rewards.domain.versions import CANCELLED, IN_FORCE, RECOMPUTING, SUPERSEDED, State, state_of
from services.rewards.handlers import rules as handlers
from services.rewards.handlers.plans import planning
from services.rewards.starter_rules import STARTER
from services.rewards.store import plans as plans_store
from services.rewards.store import rules as store

router = APIRouter(tags=["rewards: rules"])

EXAMPLE: Any = {
    "note": "longer texts count",
    "rules": [
        {
            "id": "long-message",
            "name": "Long message",
            "on": ["message.created"],
            "when": "has(event.data.length) && event.data.length >= 100",
            "give": [{"to": "actor", "unit": "xp", "amount": 3}],
            "caps": [{"scope": "member", "per": "day", "limit": 15}],
            "cooldown_seconds": 60,
        },
        {
            "id": "surprise",
            "name": "Surprise of the day",
            "on": ["checkin.submitted"],
            "give": [
                {
                    "to": "actor",
                    "unit": "points",
                    "random": {
                        "min": 5,
                        "max": 50,
                        "curve": "lowest_of_two",
                        "effort": {"cel": "5 * streak.current", "share": 40},
                    },
                }
            ],
            "caps": [{"scope": "member", "per": "day", "limit": 1, "of": "grants"}],
        },
    ],
}


class RulesIn(BaseModel):
    """A whole rule set; `GET /v1/rules/schema` has the form of its parts."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": EXAMPLE})

    rules: list[dict[str, Any]] = Field(max_length=500)
    unit_caps: list[dict[str, Any]] = Field(default=[], max_length=50)
    excluded_segments: list[str] = Field(
        default=[], max_length=SEGMENTS_MOST, description="Who is in one of these earns nothing: `staff`."
    )
    seasons: list[dict[str, Any]] = Field(
        default=[], max_length=SEASONS_MOST, description="The windows of limits per season."
    )
    note: Annotated[Text, Field(max_length=500)] = ""

    def parsed(self) -> RuleSet:
        """Unprocessable with pointers for what has no such form."""
        return handlers.parse(self.model_dump(include={*RuleSet.__dataclass_fields__}))


EffectiveFrom = Annotated[
    Instant | None,
    Field(description="With forward_only: they hold for what happens from then on, and not for what is handled now."),
]


class PublishIn(RulesIn):
    """With a `mode` other than forward_only the rules are run over the past: `plan_hash` is that of a simulation of
    these rules in this mode which is ready."""

    mode: Literal["forward_only", "backfill", "recompute"] = "forward_only"
    plan_hash: Annotated[str, Field(max_length=64)] | None = None
    effective_from: EffectiveFrom = None


class RollbackIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"note": "as it was"}})

    note: Annotated[Text, Field(max_length=500)] = ""
    mode: Literal["forward_only", "backfill", "recompute"] = "forward_only"
    plan_hash: Annotated[str, Field(max_length=64)] | None = None
    effective_from: EffectiveFrom = None


class FieldChangeOut(BaseModel):
    """`field` is a pointer into the rule: `give/0/amount`."""

    field: str
    before: Any
    after: Any


class RuleChangeOut(BaseModel):
    """`rule_id` null: what holds for all rules together, their limits, who earns nothing, seasons."""

    rule_id: str | None
    change: Literal["added", "removed", "changed"]
    fields: list[FieldChangeOut]
    text: str


class DiffOut(BaseModel):
    items: list[RuleChangeOut]


class RulesOut(BaseModel):
    version: int
    rules: list[dict[str, Any]]
    unit_caps: list[dict[str, Any]]
    excluded_segments: list[str]
    seasons: list[dict[str, Any]]
    actor: str
    note: str
    created_at: datetime
    effective_from: datetime | None = Field(description="Where it was scheduled.")


class VersionOut(BaseModel):
    """`state`: scheduled (until its `effective_from`), in_force (it holds for what happens now), superseded (another
    does; for what happened before a scheduled one started it may hold still), recomputing (its recompute is not over),
    cancelled. `in_force` is false of what never was: scheduled, recomputing, cancelled."""

    version: int
    state: State
    in_force: bool
    actor: str
    note: str
    created_at: datetime
    effective_from: datetime | None
    cancelled_at: datetime | None = Field(description="Where it was scheduled and cancelled.")
    cancelled_by: str | None


class CheckOut(BaseModel):
    """`errors` carry pointers into the rule set, and line, column and hint for expressions."""

    ok: bool
    errors: list[dict[str, str]]


def _out(row: Any) -> RulesOut:
    return RulesOut(
        version=row.version,
        rules=row.body["rules"],
        unit_caps=row.body["unit_caps"],
        # Sets that were published before there were segments leave out none.
        excluded_segments=row.body.get("excluded_segments", []),
        # Likewise.
        seasons=row.body.get("seasons", []),
        actor=row.actor,
        note=row.note,
        created_at=row.created_at,
        effective_from=row.effective_from,
    )


@router.get("/v1/rules", summary="The rules in force", responses=problems(404))
async def get_rules(db: Db, caller: Reader, response: Response) -> RulesOut:
    """Those that hold for what happens now."""
    async with db.read() as tx:
        row = await handlers.existing(tx, caller.community_id)
    response.headers["ETag"] = etag(row.version)
    return _out(row)


@router.post(
    "/v1/rules",
    summary="Publish a version",
    status_code=201,
    response_model=RulesOut,
    responses={
        **problems(400, 409, 412, 422),
        202: {"model": SimulationOut, "description": "A recompute or backfill that began"},
    },
)
async def publish(request: Request, db: Db, caller: Writer, body: PublishIn) -> Response:
    """Checked whole before it is taken. With `If-Match` another version than that in force now answers 412: one that
    was published meanwhile, or has started."""
    rules = body.parsed()
    return await _published(request, db, caller, body, lambda _tx: _ready(rules))


async def _ready(rules: RuleSet) -> RuleSet:
    return rules


async def _published(
    request: Request,
    db: Any,
    caller: Principal,
    body: PublishIn | RollbackIn,
    rules_of: Callable[[Tx], Awaitable[RuleSet]],
) -> Response:
    if body.effective_from is not None and body.mode != FORWARD:
        wrong = FieldError("/effective_from", "mode_invalid", "goes with mode=forward_only")
        raise Unprocessable("what is run over the past is not scheduled", code="schedule_invalid", errors=[wrong])

    async def effect(tx: Tx) -> Reply:
        rules = await rules_of(tx)
        who: dict[str, Any] = {"community_id": caller.community_id, "actor": caller.actor}
        current = await handlers.current_version(tx, caller.community_id)
        check_if_match(request, current)
        if body.mode != FORWARD:
            plan = await planning.publish(
                tx, rules=rules, mode=body.mode, plan_hash=body.plan_hash, note=body.note, **who
            )
            return Reply(202, simulation_out(plan), {"Location": f"/v1/rules/simulations/{plan.id}"})
        when = body.effective_from
        row = await handlers.publish(tx, rules=rules, note=body.note, expected=current, effective_from=when, **who)
        # The tag of `GET /v1/rules`, which what is scheduled does not change yet.
        return Reply(201, _out(row), {"ETag": etag(row.version if when is None else current)})

    return await once(request, db, caller, effect)


@router.post("/v1/rules/check", summary="Check a rule set without publishing it", responses=problems(400, 422))
async def check(db: Db, caller: Reader, body: RulesIn) -> CheckOut:
    try:
        rules = body.parsed()
        async with db.read() as tx:
            await handlers.checked(tx, community_id=caller.community_id, rules=rules)
    except GuildhallError as error:
        errors = [{"pointer": e.pointer, "code": e.code, "message": e.message} for e in error.errors]
        return CheckOut(ok=False, errors=errors)
    return CheckOut(ok=True, errors=[])


@router.get("/v1/rules/schema", summary="The JSON Schema of a rule set", responses=problems())
async def get_schema(caller: Reader) -> dict[str, Any]:
    return handlers.schema()


@router.get("/v1/rules/starter", summary="The starter rules", responses=problems())
async def get_starter(caller: Reader) -> dict[str, Any]:
    """What a new community gets, to go back to or to build on."""
    starter: dict[str, Any] = msgspec.to_builtins(STARTER)
    return starter


@router.get("/v1/rules/versions", summary="Published versions, newest first", responses=problems(400, 422))
async def list_versions(db: Db, caller: Reader, paging: PageOf) -> Page[VersionOut]:
    at = position(paging.cursor, int)
    # Beyond what the column can hold there is nothing to compare with.
    before = min(max(at[1][0], 0), 2**31 - 1) if at else None
    async with db.read() as tx:
        rows = await store.page(tx, community_id=caller.community_id, limit=paging.limit + 1, before=before)
        items = await _versions(tx, caller.community_id, rows[: paging.limit])
    following = encode_cursor(["n", items[-1].version]) if len(rows) > paging.limit else None
    return Page[VersionOut](items=items, next=following, prev=None)


async def _versions(tx: Tx, community_id: UUID, rows: Sequence[Any]) -> list[VersionOut]:
    holds_now = await handlers.current_version(tx, community_id)
    coming = await plans_store.posting_now(tx, community_id)
    out = []
    for row in rows:
        state: State = CANCELLED
        if row.version == coming:
            state = RECOMPUTING
        elif row.in_force or (row.effective_from is not None and row.cancelled_at is None):
            state = state_of(row.version, row.effective_from, now=tx.now, holds_now=holds_now)
        same = {name: getattr(row, name) for name in VersionOut.model_fields if name not in ("state", "in_force")}
        out.append(VersionOut(state=state, in_force=state in (IN_FORCE, SUPERSEDED), **same))
    return out


def _known(version: int) -> int:
    """Beyond what the column can hold there is no version."""
    return version if 0 < version < 2**31 else 0


@router.get("/v1/rules/versions/{version}", summary="One version", responses=problems(404, 422))
async def get_version(db: Db, caller: Reader, version: int) -> RulesOut:
    async with db.read() as tx:
        return _out(await handlers.existing(tx, caller.community_id, _known(version)))


@router.post(
    "/v1/rules/versions/{version}/cancel", summary="Cancel what is scheduled", responses=problems(404, 409, 422)
)
async def cancel_version(db: Db, caller: Writer, version: int) -> VersionOut:
    """Before its start; again, it stays cancelled."""
    async with db.begin() as tx:
        row = await handlers.cancel(tx, community_id=caller.community_id, version=_known(version), actor=caller.actor)
        (one,) = await _versions(tx, caller.community_id, [row])
    return one


@router.post(
    "/v1/rules/versions/{version}/rollback",
    summary="Publish an old version's rules again",
    status_code=201,
    response_model=RulesOut,
    responses={
        **problems(400, 404, 409, 412, 422),
        202: {"model": SimulationOut, "description": "A recompute or backfill that began"},
    },
)
async def roll_back(request: Request, db: Db, caller: Writer, version: int, body: RollbackIn) -> Response:
    """As a new version; with a `mode` and the `plan_hash` of a simulation of that version over the past as well, with
    `effective_from` for what happens from then on."""

    async def rules_of(tx: Tx) -> RuleSet:
        return handlers.parse((await handlers.existing(tx, caller.community_id, _known(version))).body)

    return await _published(request, db, caller, body, rules_of)


Version = Annotated[int, Query(ge=1, lt=2**31)]


@router.get("/v1/rules/diff", summary="What changed from one version to another", responses=problems(400, 404, 422))
async def diff_versions(
    db: Db,
    caller: Reader,
    before: Annotated[Version, Query(alias="from")],
    after: Annotated[Version, Query(alias="to")],
) -> DiffOut:
    async with db.read() as tx:
        old = await handlers.existing(tx, caller.community_id, before)
        new = await handlers.existing(tx, caller.community_id, after)
    return _diff(handlers.parse(old.body), handlers.parse(new.body))


@router.post("/v1/rules/diff", summary="What a draft changes", responses=problems(400, 404, 422))
async def diff_draft(
    db: Db, caller: Reader, body: RulesIn, before: Annotated[Version | None, Query(alias="from")] = None
) -> DiffOut:
    """Against the rules in force, or the version `from`. The draft is not checked; see `POST /v1/rules/check`."""
    draft = body.parsed()
    async with db.read() as tx:
        old = await handlers.existing(tx, caller.community_id, before)
    return _diff(handlers.parse(old.body), draft)


def _diff(before: RuleSet, after: RuleSet) -> DiffOut:
    found = differences(msgspec.to_builtins(before), msgspec.to_builtins(after))
    return DiffOut(
        items=[
            RuleChangeOut(
                rule_id=one.rule_id,
                change=one.change,  # type: ignore[arg-type]  # one of the three
                fields=[FieldChangeOut(**field._asdict()) for field in one.fields],
                text=one.text,
            )
            for one in found
        ]
    )
