"""The members service, wired."""

from pathlib import Path

from kit.contracts.members import (
    BindAnswered,
    CommunityChanged,
    DayChangeDue,
    IdentityLinked,
    KeyChanged,
    MemberChanged,
    MemberTokensRevoked,
    SessionChanged,
    SigningKeyChanged,
)
from kit.service import Service
from services.members.api import ROUTERS
from services.members.handlers import ACTIVITY_TYPES, SUBSCRIPTIONS
from services.members.loops import LOOPS
from services.members.tables import metadata

SERVICE = Service(
    name="members",
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    publishes=(
        CommunityChanged,
        MemberChanged,
        IdentityLinked,
        BindAnswered,
        KeyChanged,
        SigningKeyChanged,
        MemberTokensRevoked,
        SessionChanged,
        DayChangeDue,
    ),
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    prefixes=(
        "communities", "members", "applications", "gates", "invites", "join", "payments", "house-rules", "cases",
        "roles", "duties", "groups", "pairings", "segments", "tracks", "identities", "keys", "tokens", "sessions",
        "exports", "audit",
    ),
    loops=LOOPS,
    activity_types=ACTIVITY_TYPES,
)  # fmt: skip
