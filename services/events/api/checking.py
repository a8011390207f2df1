"""`/v1/connections/{id}/check` and `…/test`: whether a connection works, asked before somebody misses something."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.responses import Response

from kit.http import problems
from services.events.api.common import Maker, One, Text, address_of
from services.events.handlers import checking as handlers
from services.events.receivers.reading import derived

router = APIRouter(tags=["connections"])


class CheckIn(BaseModel):
    """`credentials`: what the platform is asked with, for this one check. `base_url`: its API where that is one's own.
    `groups`: which to ask about; none: the twenty in which most came in the last 30 days."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"credentials": {"token": "123456:ABC-DEF"}, "groups": ["telegram:-1001234567"]}},
    )

    credentials: dict[str, Annotated[SecretStr, Field(min_length=1, max_length=1000)]] = Field(
        default_factory=dict, max_length=10
    )
    base_url: Annotated[Text, Field(max_length=1000)] | None = None
    groups: list[Annotated[Text, Field(max_length=300)]] = Field(default_factory=list, max_length=handlers.MOST_GROUPS)


class FindingOut(BaseModel):
    """`warning`: something may be missing, or could not be looked at. `error`: nothing comes, or is taken."""

    level: Literal["ok", "warning", "error"]
    code: str = Field(description="Stable; for programs.")
    message: str = Field(description="What was found, for a person.")
    advice: str = Field(description="What to do; empty where nothing is.")


class CheckOut(BaseModel):
    """`level` is the worst of the findings, which stand in this order."""

    connection_id: UUID
    checked_at: datetime
    level: Literal["ok", "warning", "error"]
    findings: list[FindingOut]


class TestOut(BaseModel):
    """An activity that is on the log and will be stored in a moment."""

    event_id: UUID
    type: str
    source: str


@router.post(
    "/v1/connections/{id}/check",
    summary="Ask whether it is set up rightly",
    responses=problems(400, 404, 415, 422),
)
async def check_connection(
    request: Request, one: One, caller: Maker, id: UUID, body: CheckIn | None = None
) -> CheckOut:
    """What is known here, and with credentials what the platform itself says. Nothing is changed or kept, so that an
    `Idempotency-Key` is not looked at. Takes up to ten seconds when the platform does not answer."""
    asked = body or CheckIn()
    found = await handlers.check(
        one,
        community_id=caller.community_id,
        connection_id=id,
        url=address_of(request, one, id),
        wish=handlers.Wish(
            {name: secret.get_secret_value() for name, secret in asked.credentials.items()},
            asked.base_url,
            asked.groups,
        ),
    )
    findings = [FindingOut.model_validate(finding, from_attributes=True) for finding in found]
    return CheckOut(connection_id=id, checked_at=one.clock(), level=findings[0].level, findings=findings)


@router.post(
    "/v1/connections/{id}/test",
    summary="Let something harmless come through it",
    status_code=202,
    responses=problems(404, 409, 422),
)
async def test_connection(request: Request, response: Response, one: One, caller: Maker, id: UUID) -> TestOut:
    """A `connection.test` on the timeline, at the place `Location` names once it is stored. The same `Idempotency-Key`
    is the same activity, for ever."""
    key = request.headers.get("idempotency-key")
    event_id, source = await handlers.arrive(
        one,
        community_id=caller.community_id,
        connection_id=id,
        key=derived(caller.actor, key) if key is not None else None,
        request_id=str(request.scope.get("guildhall.request_id", "")),
    )
    response.headers["Location"] = f"/v1/events/{event_id}/trace"
    return TestOut(event_id=event_id, type=handlers.TEST, source=source)
