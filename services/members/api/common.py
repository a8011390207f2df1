"""What the routes of this service share."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from pydantic import AfterValidator, Field

from kit.auth import Principal, requires
from kit.database import Database
from kit.days import zone_named
from kit.errors import FieldError, Unprocessable
from kit.http import database_of, runtime_of
from kit.service import ServiceRuntime
from services.members import domain

SERVICE = "members"
SOME_ID = "01939e2c-7000-7000-8000-000000000000"
SOME_TIME = "2026-11-23T09:00:00Z"

Db = Annotated[Database, Depends(database_of(SERVICE))]
One = Annotated[ServiceRuntime, Depends(runtime_of(SERVICE))]
Reader = Annotated[Principal, Depends(requires(SERVICE, "members:read"))]
ReaderOrMember = Annotated[Principal, Depends(requires(SERVICE, "members:read", member=True))]
Writer = Annotated[Principal, Depends(requires(SERVICE, "members:write"))]
WriterOrMember = Annotated[Principal, Depends(requires(SERVICE, "members:write", member=True))]
KeyMaker = Annotated[Principal, Depends(requires(SERVICE, "keys:write"))]
TokenMaker = Annotated[Principal, Depends(requires(SERVICE, "tokens:write"))]
CommunityWriter = Annotated[Principal, Depends(requires(SERVICE, "communities:write"))]


def _line(text: str) -> str:
    if not domain.printable(text):
        raise ValueError("control characters are not allowed")
    if not text.strip():
        raise ValueError("something readable is needed")
    return text


def _prose(text: str) -> str:
    if not domain.printable(text, lines=True):
        raise ValueError("control characters are not allowed")
    return text


def _zone(name: str) -> str:
    zone_named(name)
    return name


def _day_start(text: str) -> str:
    domain.day_start_minutes(text)
    return text


Zone = Annotated[str, Field(max_length=64, description="IANA zone."), AfterValidator(_zone)]
DayStart = Annotated[str, Field(max_length=5, description="When the day begins, HH:MM."), AfterValidator(_day_start)]
Locale = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, description="BCP 47.")]
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_line)]
Prose = Annotated[str, Field(max_length=4000), AfterValidator(_prose)]
Reason = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_prose)]


def identity_of(platform: str, external_id: str, pointer: str = "") -> str:
    """`platform:external_id`; Unprocessable, at `pointer`, when the two make none."""
    try:
        return domain.identity_of(platform, external_id)
    except ValueError as error:
        wrong = FieldError(pointer, "identity_malformed", str(error))
        raise Unprocessable(str(error), code="identity_malformed", errors=[wrong]) from error


def shown(status: int, example: dict[str, Any] | list[Any]) -> dict[int | str, dict[str, Any]]:
    """A `responses=` entry with an example of the reply."""
    return {status: {"content": {"application/json": {"example": example}}}}


def other_than(member_id: UUID, caller: Principal) -> bool:
    """Whether the caller is a member and this is somebody else."""
    return caller.member_id is not None and caller.member_id != member_id
