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
    it came through, None when it was posted. `platform_seq`: `stream:number`, the platform's own numbering. `flags`:
    late, clamped, stale (told again after a login: nobody is welcomed or paid for it), throttled (one of too many of
    its actor in that minute: nobody is paid for it). `sealed_text`: what was written, where the community keeps it,
    readable to the events service alone. All times UTC with zone.
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
    platform_seq: str | None = None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRejection:
    """What is kept of one thing that was refused at the door; never what somebody wrote. `form` is event, payload (a
    platform's) or bytes (of which only `size` and SHA-256 are known); `marked` strings of it were left out."""

    rejection_id: UUID
    form: str
    code: str
    pointer: str
    message: str
    id: str | None
    size: int
    digest: str | None
    marked: int
    kept: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedBesides:
    """So many were refused with this code, and nothing of them was kept."""

    code: str
    count: int


@contract(ACTIVITY_TOPIC, key=lambda e: f"{e.community_id}:rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsRejected:
    """What one request or delivery brought that was refused, so that it can be mended and tried again. `beyond`: how
    many more, by code. `most`: so many of a community are kept a day (UTC), by the settings
    of whoever refused them."""

    community_id: UUID
    connection_id: UUID | None
    import_name: str | None
    items: tuple[KeptRejection, ...]
    beyond: tuple[RejectedBesides, ...]
    most: int


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
    """Activity of this connection may be missing. `kind` heartbeat: it was silent; `until` None while it is; announced
    again, with the same `gap_id`, when it ends. `kind` sequence: the numbers `first` to `last` of `stream` did not
    come, between `since` and `until`; `missing` of them are missing yet, 0 when it is announced again as all came."""

    community_id: UUID
    connection_id: UUID
    gap_id: UUID
    kind: str
    since: datetime
    until: datetime | None
    stream: str | None = None
    first: int | None = None
    last: int | None = None
    missing: int | None = None


@contract(ACTIVITY_TOPIC, key=lambda e: f"{e.community_id}:connection:{e.connection_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """What became of a `CallWanted`: `outcome` is sent, failed (it was not said; `reason` why), expired (there was no
    way to the bot in time) or unknown (it was handed to the bot, which did not say what came of it). `reference` is
    what the connection calls what was said, where it told. Announced once for a call."""

    community_id: UUID
    connection_id: UUID
    call_id: UUID
    outcome: str
    reason: str
    reference: str | None
