"""What the routes of this service share."""

from typing import Annotated

from fastapi import Depends
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


def _readable(text: str) -> str:
    if any(ord(c) < 32 for c in text):
        raise ValueError("control characters are not allowed")
    return text


Text = Annotated[str, AfterValidator(_readable)]
