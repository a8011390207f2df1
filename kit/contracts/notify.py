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
