"""What the events service publishes on `guildhall.activity`: the activities themselves, and what it noticed.

An `Activity` travels as the client's own CloudEvent plus our extension attributes (see `kit.codec`);
its type is the client's, so it is no `@contract` and consumers subscribe to the class.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from kit.contracts import ACTIVITY_TOPIC, contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What somebody did, as accepted by `POST /v1/events`.

    `event_id` is `activity_event_id(community_id, source, id)`. `actor_id` and `author_id` are computed from
    `data.actor` / `data.author` without knowing links: a consumer maps them through its `known_identities`.
    `occurred_at` is claimed, `received_at` ours, `effective_at` the clamped one that days and windows use.
    `import_name` marks history: lateness does not apply and nobody is notified. `connection_id`: the bot's connection
    it came through, None when it was posted. `flags`: late, clamped, stale (told again after a login: nobody is
    welcomed or paid for it). `sealed_text`: what was written, where the community keeps it, readable to the events
    service alone. All times UTC with zone.
    """

    event_id: UUID
    community_id: UUID
    source: str
    id: str
    type: str
    subject: str | None
    occurred_at: datetime
    received_at: datetime
    effective_at: datetime
    actor: str | None
    actor_id: UUID | None
    author: str | None
    author_id: UUID | None
    group: str | None
    import_name: str | None = None
    replay_id: str | None = None
    connection_id: UUID | None = None
    flags: tuple[str, ...] = ()
    sealed_text: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


@contract(ACTIVITY_TOPIC, key=lambda e: f"{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityObserved:
    """An identity was seen for the first time; announced once per (community, identity)."""

    community_id: UUID
    identity: str
    member_id: UUID
    first_seen_at: datetime
    is_bot: bool = False
    history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedItem:
    """An item of an import that was refused at the door; never its text."""

    id: str | None
    code: str
    pointer: str
    message: str


@contract(ACTIVITY_TOPIC, key=lambda e: f"{e.community_id}:import:{e.import_name}")
@dataclass(frozen=True, slots=True, kw_only=True)
class ImportItemsRejected:
    """Items of one request of an import that were refused, so that `GET /v1/imports/{name}` can tell them."""

    community_id: UUID
    import_name: str
    items: tuple[RejectedItem, ...]


@contract(ACTIVITY_TOPIC, key=lambda e: f"{e.community_id}:connection:{e.connection_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStateChanged:
    """A bot's connection was lost or is back: `state` is `down` or `up`, since when, and why."""

    community_id: UUID
    connection_id: UUID
    platform: str
    name: str
    state: str
    since: datetime
    reason: str


@contract(ACTIVITY_TOPIC, key=lambda e: f"{e.community_id}:connection:{e.connection_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class GapChanged:
    """Activity of this connection may be missing: it was silent (`kind` heartbeat). `until` None while it is; announced
    again, with the same `gap_id`, when it ends."""

    community_id: UUID
    connection_id: UUID
    gap_id: UUID
    kind: str
    since: datetime
    until: datetime | None
