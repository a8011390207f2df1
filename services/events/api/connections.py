"""`/v1/connections`: bots and platforms that tell us what happens, each with an address and a secret of its own."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from kit.database import Tx
from kit.days import local_day
from kit.http import Page, PageOf, behind, encode_cursor, problems
from kit.http.secret_replies import once_with_secret
from kit.idempotency import Reply
from kit.service import ServiceRuntime
from services.events.api.common import Db, Maker, One, Reader, Text, address_of
from services.events.handlers import connections as handlers
from services.events.receivers import receivers
from services.events.store import connections as store

router = APIRouter(tags=["connections"])

Name = Annotated[Text, Field(min_length=1, max_length=100)]
Prefix = Annotated[Text, Field(min_length=1, max_length=3, pattern=r"^\S+$")]
Prefixes = Annotated[
    list[Prefix] | None,
    Field(max_length=5, description="What commands in chat begin with (null: `/`); none: there are no commands."),
]
A_DAY = 86400
SOME = {
    "id": "01939e2c-7000-7000-8000-000000000000",
    "platform": "github",
    "name": "our repositories",
    "settings": {},
    "active": True,
    "command_prefixes": None,
    "url": "https://guildhall.example/v1/hooks/01939e2c-7000-7000-8000-000000000000",
    "created_at": "2026-11-23T09:00:00Z",
    "created_by": "operator:owner",
    "seen_at": None,
    "beat_at": None,
    "silent_since": None,
    "down": False,
}


class ConnectionIn(BaseModel):
    """`secrets`: those that only the platform can tell; ours are made. Which these are, and the settings, says the
    platform's page in docs/receivers."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"platform": "github", "name": "our repositories"}}
    )

    platform: str = Field(max_length=40)
    name: Name
    settings: dict[str, JsonValue] = Field(default_factory=dict, max_length=50)
    secrets: dict[str, Annotated[str, Field(max_length=1000)]] = Field(default_factory=dict, max_length=20)
    command_prefixes: Prefixes = None


class ConnectionChange(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"active": False}})

    name: Name | None = None
    settings: dict[str, JsonValue] | None = Field(None, max_length=50)
    active: bool | None = Field(None, description="Switched off it takes nothing (403).")
    command_prefixes: Prefixes = None


class RotationIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"overlap_seconds": 86400}})

    overlap_seconds: int = Field(A_DAY, ge=0, le=30 * A_DAY, description="How long the present secrets still work.")
    secrets: dict[str, Annotated[str, Field(max_length=1000)]] = Field(default_factory=dict, max_length=20)


class ConnectionOut(BaseModel):
    """`seen_at`: its last delivery; `beat_at`: its last heartbeat, where the platform has them. `down`: three of them
    were missed. `silent_since` is `seen_at` while it is down. All follow by some seconds."""

    id: UUID
    platform: str
    name: str
    settings: dict[str, Any]
    active: bool
    command_prefixes: list[str] | None
    url: str
    created_at: datetime
    created_by: str
    seen_at: datetime | None
    beat_at: datetime | None
    silent_since: datetime | None
    down: bool


class SetupOut(BaseModel):
    """What a person does on the platform's side, and something to paste there."""

    steps: list[str]
    snippet: str


class RevealedOut(ConnectionOut):
    """`secret` holds the secrets and the setup with them in it; shown this once (and to a replay of this request)."""

    secret: dict[str, Any]


class GapOut(BaseModel):
    """A time of which activity may be missing. `kind` heartbeat: it was silent. `kind` sequence: the numbers `first` to
    `last` of the platform's `stream` did not come; `missing` of them are missing yet."""

    id: UUID
    kind: str
    since: datetime
    until: datetime | None
    stream: str | None
    first: int | None
    last: int | None
    missing: int | None


class ConnectionDetail(ConnectionOut):
    today: dict[str, int] = Field(
        description="Deliveries of this day (UTC) by what came of them: accepted (activities), ignored, refused "
        "(signature), malformed, unfit (activities)."
    )
    gaps: list[GapOut] = Field(description="The last fifty, the latest first.")


class PlatformOut(BaseModel):
    """`secrets` and `settings` are the names of what a connection to it takes."""

    platform: str
    title: str
    secrets: list[str]
    settings: list[str]


def _shown(request: Request, one: ServiceRuntime, row: Any, signs: Any | None) -> dict[str, Any]:
    values = row if isinstance(row, dict) else row._mapping
    same = {name: values[name] for name in ("id", "platform", "name", "settings", "created_at", "created_by")}
    down = signs is not None and signs.down_since is not None
    return {
        **same,
        "active": bool(values["active"]),
        "command_prefixes": values["prefixes"],
        "url": address_of(request, one, values["id"]),
        "seen_at": signs.seen_at if signs is not None else None,
        "beat_at": signs.beat_at if signs is not None else None,
        "silent_since": signs.seen_at if signs is not None and down else None,
        "down": down,
    }


def _revealed(request: Request, one: ServiceRuntime, row: Any, secrets: Any, status: int) -> Reply:
    receiver = receivers()[row["platform"] if isinstance(row, dict) else row.platform]
    shown = _shown(request, one, row, None)
    setup = receiver.setup(shown["url"], secrets, handlers.settings_of(receiver, shown["settings"]))
    fields = {name: getattr(secrets, name) for name in receiver.secrets.__struct_fields__}
    secret = {"secrets": fields, "setup": {"steps": list(setup.steps), "snippet": setup.snippet}}
    return Reply(status, RevealedOut(**shown, secret=secret), {"Location": f"/v1/connections/{shown['id']}"})


@router.get("/v1/connections/platforms", summary="Platforms there is a receiver for", responses=problems(400))
async def list_platforms(caller: Reader) -> list[PlatformOut]:
    return [
        PlatformOut(
            platform=name,
            title=receiver.title,
            secrets=list(receiver.secrets.__struct_fields__),
            settings=list(receiver.settings.__struct_fields__),
        )
        for name, receiver in receivers().items()
    ]


@router.get("/v1/connections", summary="The community's connections, oldest first", responses=problems(400, 422))
async def list_connections(request: Request, db: Db, one: One, caller: Reader, paging: PageOf) -> Page[ConnectionOut]:
    async with db.read() as tx:
        rows = await store.page(tx, community_id=caller.community_id, after=behind(paging), limit=paging.limit + 1)
        more, rows = len(rows) > paging.limit, rows[: paging.limit]
        signs = await store.signs(tx, connection_ids=[row.id for row in rows])
    items = [ConnectionOut(**_shown(request, one, row, signs.get(row.id))) for row in rows]
    return Page[ConnectionOut](items=items, next=encode_cursor([str(rows[-1].id)]) if more else None, prev=None)


@router.post(
    "/v1/connections",
    summary="Connect a bot or a platform",
    status_code=201,
    response_model=RevealedOut,
    responses={
        **problems(400, 409, 422),
        201: {"content": {"application/json": {"example": {**SOME, "secret": {"secrets": {"secret": "…"}}}}}},
    },
)
async def create_connection(request: Request, one: One, caller: Maker, body: ConnectionIn) -> Response:
    """The answer has the address, the secrets and what to do with them; the secrets are shown this once."""

    async def effect(tx: Tx) -> Reply:
        row, secrets = await handlers.create(
            tx,
            one,
            community_id=caller.community_id,
            platform=body.platform,
            name=body.name,
            settings=body.settings,
            secrets=body.secrets,
            by=caller.actor,
            prefixes=body.command_prefixes,
        )
        return _revealed(request, one, row, secrets, 201)

    return await once_with_secret(request, one, caller, effect, "secret")


@router.get("/v1/connections/{id}", summary="One connection and how it is", responses=problems(400, 404, 422))
async def get_connection(request: Request, db: Db, one: One, caller: Reader, id: UUID) -> ConnectionDetail:
    async with db.read() as tx:
        row = await handlers.found(tx, community_id=caller.community_id, connection_id=id)
        signs = await store.signs(tx, connection_ids=[row.id])
        today = await store.counts(tx, connection_id=row.id, day=local_day(tx.now, "UTC", 0))
        gaps = await store.gaps(tx, connection_id=row.id, before=None, limit=50)
    return ConnectionDetail(
        **_shown(request, one, row, signs.get(row.id)),
        today=today,
        gaps=[_gap(gap) for gap in gaps],
    )


def _gap(gap: Any) -> GapOut:
    same = {name: getattr(gap, name) for name in ("id", "kind", "since", "until", "stream", "missing")}
    return GapOut(**same, first=gap.first_number, last=gap.last_number)


@router.patch("/v1/connections/{id}", summary="Rename, set, switch on or off", responses=problems(400, 404, 422))
async def change_connection(
    request: Request, db: Db, one: One, caller: Maker, id: UUID, body: ConnectionChange
) -> ConnectionOut:
    """The door follows within two seconds."""
    async with db.begin() as tx:
        row = await handlers.found(tx, community_id=caller.community_id, connection_id=id, lock=True)
        changed: dict[str, Any] = {}
        if body.name is not None:
            changed["name"] = body.name
        if body.settings is not None:
            handlers.settings_of(receivers()[row.platform], body.settings)
            changed["settings"] = body.settings
        if body.active is not None:
            changed["active"] = int(body.active)
        if "command_prefixes" in body.model_fields_set:
            changed["prefixes"] = body.command_prefixes
        if changed:
            await store.change(tx, connection_id=row.id, values=changed)
        signs = await store.signs(tx, connection_ids=[row.id])
    return ConnectionOut(**_shown(request, one, {**row._mapping, **changed}, signs.get(row.id)))


@router.post(
    "/v1/connections/{id}/rotate",
    summary="Replace the secrets",
    response_model=RevealedOut,
    responses=problems(400, 404, 409, 422),
)
async def rotate(request: Request, one: One, caller: Maker, id: UUID, body: RotationIn) -> Response:
    """Both the present and the new ones are good for a while, so that nothing is lost in between."""

    async def effect(tx: Tx) -> Reply:
        row = await handlers.found(tx, community_id=caller.community_id, connection_id=id, lock=True)
        overlap = timedelta(seconds=body.overlap_seconds)
        secrets = await handlers.rotate(tx, one, row=row, given=body.secrets, overlap=overlap)
        return _revealed(request, one, row, secrets, 200)

    return await once_with_secret(request, one, caller, effect, "secret")
