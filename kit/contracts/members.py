"""State events of the members service on `guildhall.members` (compacted): each carries the whole entity.

`version` rises with every change of one entity; a reader keeps the highest and ignores the rest.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kit.contracts import MEMBERS_TOPIC, contract

STAFF = "staff"
"""The segment that every community has from its beginning."""


@contract(MEMBERS_TOPIC, key=lambda e: f"community:{e.community_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityChanged:
    """`day_start` is minutes after midnight (0-1439); `zone` an IANA name; `state` is active or closed."""

    community_id: UUID
    version: int
    name: str
    zone: str
    day_start: int
    locale: str
    state: str
    purpose: str = ""
    audience: str = ""


@contract(MEMBERS_TOPIC, key=lambda e: f"member:{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChanged:
    """`state` is one of M's states, `kind` is person or bot, `identities` read `platform:external_id`; `segments` are
    the ids of those the member is in now, by whatever they came in, in order."""

    community_id: UUID
    member_id: UUID
    version: int
    display_name: str
    state: str
    kind: str
    locale: str | None
    zone: str | None
    identities: tuple[str, ...]
    changed_at: datetime
    segments: tuple[str, ...] = ()


@contract(MEMBERS_TOPIC, key=lambda e: f"identity:{e.community_id}:{e.identity}")
@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLinked:
    """`identity` belongs to `member_id` from now on, although its computed id is another."""

    community_id: UUID
    identity: str
    member_id: UUID
    version: int


@contract(MEMBERS_TOPIC, key=lambda e: f"key:{e.key_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChanged:
    """An API key. `hash` is the lower-case hex SHA-256 of the secret; `communities` empty means all of them."""

    key_id: UUID
    version: int
    name: str
    hash: str
    kind: str
    mode: str
    communities: tuple[UUID, ...]
    scopes: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None


@contract(MEMBERS_TOPIC, key=lambda e: f"signing-key:{e.kid}")
@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyChanged:
    """A public Ed25519 key for member tokens; `x` is its base64url form as in a JWK."""

    kid: str
    version: int
    x: str
    created_at: datetime
    retired_at: datetime | None


@contract(MEMBERS_TOPIC, key=lambda e: f"tokens:{e.community_id}:{e.member_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class MemberTokensRevoked:
    """Tokens of this member issued before `issued_before` are void."""

    community_id: UUID
    member_id: UUID
    version: int
    issued_before: datetime


@contract(MEMBERS_TOPIC, key=lambda e: f"session:{e.session_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """An operator's browser session; `hash` as for keys; `communities` empty means all of them."""

    session_id: UUID
    version: int
    hash: str
    operator: str
    role: str
    communities: tuple[UUID, ...]
    expires_at: datetime
    revoked_at: datetime | None


@contract(MEMBERS_TOPIC, key=lambda e: f"day-change:{e.community_id}")
@dataclass(frozen=True, slots=True, kw_only=True)
class DayChangeDue:
    """Due work of the members service itself: the day begins (`due_at`) from which another zone or day start holds."""

    community_id: UUID
    due_at: datetime


@contract(MEMBERS_TOPIC, key=lambda e: f"bind:{e.community_id}:{e.identity}")
@dataclass(frozen=True, slots=True, kw_only=True)
class BindAnswered:
    """What came of a code that an identity said in a chat (`command.invoked`, E11): `outcome` is linked, refused
    (wrong, used or expired), throttled (too many tries) or conflict (the identity is somebody else's already). Of an
    identity the topic keeps the last one. `event_id` is the activity; `member_id` whose code it was, None unless
    linked."""

    community_id: UUID
    event_id: UUID
    identity: str
    outcome: str
    member_id: UUID | None
