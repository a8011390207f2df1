"""What the routes of this service share."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path
from pydantic import AfterValidator, Field

from kit.auth import Principal, requires
from kit.contracts import identity_member_id
from kit.copies import known_members, resolve_members
from kit.database import Database, Tx
from kit.errors import BadRequest, FieldError, Forbidden, NotFound, Unprocessable
from kit.http import database_of
from kit.http.instants import in_range
from services.rewards.domain.adjusting import member_erased
from services.rewards.domain.groups import account_name
from services.rewards.domain.ledger import system_account_id
from services.rewards.store.entries import accounts_of
from services.rewards.store.erasures import closed

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
    if all(account.system for account in await accounts_of(tx, principal.community_id, member_id)):
        raise member_unknown()


def member_unknown() -> NotFound:
    return NotFound("no such member", code="member_unknown")


async def check_present(tx: Tx, principal: Principal, member_id: UUID) -> None:
    """The same, and Conflict for who was erased: nothing is done for them any more."""
    await check_known(tx, principal, member_id)
    if await closed(tx, principal.community_id, [member_id]):
        raise member_erased()


def computed_id(community_id: UUID, identity: str, at: str = "") -> UUID:
    """The member that an identity computes to; Unprocessable, with a pointer below `at`, for one that is none."""
    try:
        return identity_member_id(community_id, identity)
    except ValueError as error:
        wrong = FieldError(f"{at}/identity", "identity_malformed", str(error))
        raise Unprocessable(str(error), code="identity_malformed", errors=[wrong]) from error


def group_account(community_id: UUID, group: str, at: str = "") -> tuple[UUID, str]:
    """The id and the name of a group's account; Unprocessable, with a pointer below `at`, for what is no group."""
    platform, _, external = group.partition(":")
    if not (platform and external) or platform == "member":
        message = "a group reads platform:external_id, such as qq:100"
        wrong = FieldError(f"{at}/group", "identity_malformed", message)
        raise Unprocessable(message, code="identity_malformed", errors=[wrong])
    name = account_name(group)
    return system_account_id(community_id, name), name


async def whom(
    tx: Tx, community_id: UUID, named: Sequence[tuple[UUID | None, str | None]], at: str
) -> list[tuple[UUID, bool]]:
    """Whom each (member id, identity) names, of which one is given, and whether it was computed from an identity.
    Unprocessable for an identity that is none, where `at` is the pointer to one of them by its number."""
    computed: dict[int, UUID] = {}
    for number, (_, identity) in enumerate(named):
        if identity is not None:
            computed[number] = computed_id(community_id, identity, at.format(number))
    found = await resolve_members(tx, [(community_id, c) for c in computed.values()]) if computed else {}
    out = []
    for number, (member_id, identity) in enumerate(named):
        own = found[community_id, computed[number]] if member_id is None else member_id
        # `member:{uuid}` names a member outright: it has to be one we know, like a `member_id`.
        out.append((own, identity is not None and not identity.startswith("member:")))
    return out


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
