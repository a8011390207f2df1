"""What the other processes know of the members service."""

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
from kit.declaration import Declaration

DECLARATION = Declaration(
    name="members",
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
    prefixes=(
        "communities", "members", "applications", "gates", "invites", "join", "payments", "house-rules", "cases",
        "roles", "duties", "groups", "pairings", "segments", "tracks", "identities", "keys", "tokens", "sessions",
        "exports", "audit",
    ),
)  # fmt: skip
