"""What the routes of this service share."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from pydantic import AfterValidator

from kit.auth import Principal, requires
from kit.database import Database
from kit.http import database_of, runtime_of
from kit.service import ServiceRuntime

SERVICE = "events"

Db = Annotated[Database, Depends(database_of(SERVICE))]
One = Annotated[ServiceRuntime, Depends(runtime_of(SERVICE))]
Reader = Annotated[Principal, Depends(requires(SERVICE, "events:read"))]
Writer = Annotated[Principal, Depends(requires(SERVICE, "events:write"))]
Maker = Annotated[Principal, Depends(requires(SERVICE, "connections:write"))]


def _readable(text: str) -> str:
    if any(ord(c) < 32 for c in text):
        raise ValueError("control characters are not allowed")
    return text


Text = Annotated[str, AfterValidator(_readable)]


def address_of(request: Request, one: ServiceRuntime, connection_id: UUID) -> str:
    """Where a connection's platform posts to."""
    base = one.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return f"{base}/v1/hooks/{connection_id}"
