"""What the routes of this service share."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path
from pydantic import AfterValidator, Field

from kit.auth import Principal, requires
from kit.copies import known_members
from kit.database import Database, Tx
from kit.errors import BadRequest, Forbidden, NotFound
from kit.http import database_of
from kit.http.instants import in_range
from services.rewards.store.entries import accounts_of

SERVICE = "rewards"
SOME_ID = "01939e2c-7000-7000-8000-000000000000"

Db = Annotated[Database, Depends(database_of(SERVICE))]
Reader = Annotated[Principal, Depends(requires(SERVICE, "rewards:read"))]
ReaderOrMember = Annotated[Principal, Depends(requires(SERVICE, "rewards:read", member=True))]
Writer = Annotated[Principal, Depends(requires(SERVICE, "rewards:write"))]
WriterOrMember = Annotated[Principal, Depends(requires(SERVICE, "rewards:write", member=True))]


def _readable(text: str) -> str:
    if any(ord(c) < 32 and c not in "\n\t" for c in text):
        raise ValueError("control characters are not allowed")
    return text


Text = Annotated[str, AfterValidator(_readable)]
UnitId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,29}$", description="As in GET /v1/units.")]
BoardId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
SeriesId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
UnitPath = Annotated[str, Path(pattern=r"^[a-z][a-z0-9]{0,29}$")]
BoardPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
SeriesPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]


def check_own(principal: Principal, member_id: UUID) -> None:
    """Forbidden for a member token that asks about somebody else."""
    if principal.member_id is not None and principal.member_id != member_id:
        raise Forbidden("a member token sees its own member only", code="not_yours")


async def check_known(tx: Tx, principal: Principal, member_id: UUID) -> None:
    """NotFound for an id that is no member's of the community.

    Who has an account is somebody, though the news of them is still on its way; a member token speaks for itself.
    """
    if principal.member_id == member_id or await known_members(tx, principal.community_id, [member_id]):
        return
    if not await accounts_of(tx, principal.community_id, member_id):
        raise NotFound("no such member", code="member_unknown")


def position(cursor: list[Any] | None, *kinds: type) -> tuple[str, list[Any]] | None:
    """A cursor made of "n" (after) or "p" (before) and values of these kinds; BadRequest for any other list."""
    if cursor is None:
        return None
    try:
        direction, *values = cursor
        if direction not in ("n", "p") or len(values) != len(kinds):
            raise ValueError("not one of ours")
        return direction, [_parsed(value, kind) for value, kind in zip(values, kinds, strict=True)]
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRequest("this cursor is not one of this list; begin without it", code="cursor_invalid") from error


def _parsed(value: Any, kind: type) -> Any:
    if kind is int:
        if type(value) is not int or abs(value) >= 2**63:
            raise ValueError("no whole number of 64 bits")
        return value
    if kind is datetime:
        return in_range(datetime.fromisoformat(value))
    if kind is date:
        return date.fromisoformat(value)
    if kind is str:
        return _readable(value)
    return kind(value)
