"""What the routes of this service share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends
from pydantic import AfterValidator, BaseModel, Field

from kit.auth import Principal, requires
from kit.copies import known_members
from kit.database import Database, Tx
from kit.errors import BadRequest, Forbidden, NotFound
from kit.http import Page, database_of, encode_cursor, runtime_of
from kit.service import ServiceRuntime
from services.notify.domain import unstorable
from services.notify.store import inboxes
from services.notify.store.messages import Place

SERVICE = "notify"
SOME_ID = "01939e2c-7000-7000-8000-000000000000"

Db = Annotated[Database, Depends(database_of(SERVICE))]
One = Annotated[ServiceRuntime, Depends(runtime_of(SERVICE))]
Reader = Annotated[Principal, Depends(requires(SERVICE, "notify:read"))]
Writer = Annotated[Principal, Depends(requires(SERVICE, "notify:write"))]
ReaderOrMember = Annotated[Principal, Depends(requires(SERVICE, "notify:read", member=True))]
WriterOrMember = Annotated[Principal, Depends(requires(SERVICE, "notify:write", member=True))]

TemplateName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,3}$", max_length=60)]
Locale = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, description="BCP 47.")]
State = Literal[
    "held", "queued", "sending", "sent", "delivered", "undelivered", "bounced", "not_sent", "unknown", "expired",
    "cancelled",
]  # fmt: skip


def _storable(value: Any) -> Any:
    why = unstorable(value)
    if why is not None:
        raise ValueError(f"{why} cannot be kept")
    return value


Json = Annotated[dict[str, Any], AfterValidator(_storable)]
Text = Annotated[str, AfterValidator(_storable)]


class MessageOut(BaseModel):
    """A message and where it stands; `position` counts up inside one inbox, null while it is not there."""

    id: UUID
    member_id: UUID
    template: str
    template_version: int
    category: str
    channel: str
    locale: str
    title: str
    body: str
    variables: dict[str, Any]
    cause_id: UUID | None = Field(description="The activity or reward it is about.")
    state: State
    reason: str | None
    created_at: datetime
    state_at: datetime
    not_before: datetime | None
    expires_at: datetime | None
    position: int | None
    seen_at: datetime | None
    read_at: datetime | None
    clicked_at: datetime | None
    acked_at: datetime | None


_UNSET = dict.fromkeys(("seen_at", "read_at", "clicked_at", "acked_at"))


def message_out(row: Any) -> MessageOut:
    """From a row, or from the dict of one that was just made."""
    values = row if isinstance(row, dict) else row._mapping
    return MessageOut(**{name: {**_UNSET, **values}[name] for name in MessageOut.model_fields})


async def whose(tx: Tx, caller: Principal, member: UUID | None) -> UUID:
    """The member an inbox route is about: the token's own, or the one a key or operator names.

    NotFound for an id that is no member's of the community; who has an inbox is somebody, though the news of them is
    still on its way.
    """
    if caller.member_id is not None:
        if member is not None and member != caller.member_id:
            raise Forbidden("a member token sees its own inbox only", code="not_yours")
        return caller.member_id
    if member is None:
        raise BadRequest("name the member: ?member=…, or come with a member token", code="member_required")
    there = await inboxes.one(tx, community_id=caller.community_id, member_id=member)
    if not there.changes and not await known_members(tx, caller.community_id, [member]):
        raise NotFound("no such member", code="member_unknown")
    return member


def place(cursor: list[Any] | None, kind: type) -> Place | None:
    """The place a cursor of these lists carries; BadRequest for any other cursor."""
    if cursor is None:
        return None
    try:
        direction, value = cursor
        if direction not in ("next", "prev"):
            raise ValueError("no direction")
        if kind is int and (type(value) is not int or not 0 <= value < 2**63):
            raise ValueError("no position")
        return Place(kind(value), direction == "prev")
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRequest("this cursor is not one of this list; begin without it", code="cursor_invalid") from error


def page_out(rows: Sequence[Any], limit: int, at: Place | None, by: str) -> Page[MessageOut]:
    """A page, newest first, of up to `limit` + 1 rows as the store gave them; `by` is the column its cursors carry."""
    more, items = len(rows) > limit, [message_out(row) for row in rows[:limit]]
    backwards = at is not None and at.backwards
    if backwards:
        items.reverse()
    newer, older = (more, True) if backwards else (at is not None, more)
    ends = [getattr(item, by) for item in (items[0], items[-1])] if items else []
    first, last = (value if isinstance(value, int) else str(value) for value in ends) if ends else (None, None)
    return Page[MessageOut](
        items=items,
        next=encode_cursor(["next", last]) if items and older else None,
        prev=encode_cursor(["prev", first]) if items and newer else None,
    )
