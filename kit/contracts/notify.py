"""What the notify service publishes on `guildhall.notify`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.contracts import NOTIFY_TOPIC, contract


@contract(NOTIFY_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStateChanged:
    """A message moved to `state` (N3). `cause_id` is the activity or rewards event that it is about."""

    community_id: UUID
    message_id: UUID
    member_id: UUID
    template: str
    channel: str
    state: str
    reason: str | None
    cause_id: UUID | None
    changed_at: datetime


@contract(NOTIFY_TOPIC, key=lambda e: f"message:{e.message_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDue:
    """Due work of the notify service itself: a held message whose time has come."""

    community_id: UUID
    message_id: UUID


@contract(NOTIFY_TOPIC, key=lambda e: f"{e.community_id}:connection:{e.connection_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class CallWanted:
    """A message is to be said through the bot of a connection, which stands at the events service's door.

    `call_id` is the message's id: a call is made at most once for it. `group` (platform:external_id) says where,
    None: to `identity` alone. `reply_to` is what the connection calls the message it answers (`data.ref` of the
    activity, else its subject). `cause_id` is the activity it answers. Not made any more from `expires_at` on.
    """

    community_id: UUID
    connection_id: UUID
    call_id: UUID
    group: str | None
    identity: str
    text: str
    reply_to: str | None
    cause_id: UUID | None
    expires_at: datetime
