"""Tables of the members service."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, Uuid

from kit.database import JsonText, UtcDateTime, metadata_for
from kit.tables import SEQUENCE

metadata = metadata_for("members")

communities = Table(
    "communities",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("day_start", Integer, nullable=False),
    Column("next_zone", String(64)),
    Column("next_day_start", Integer),
    Column("next_from", UtcDateTime),
    # When the present zone and day start began to hold; null: with the community.
    Column("day_since", UtcDateTime),
    Column("locale", String(35), nullable=False),
    Column("state", String(20), nullable=False),
    Column("charter", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

members = Table(
    "members",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("display_name", Text, nullable=False),
    # The name without case as UTF-8 bytes: bytes compare alike on both engines, so a prefix is a range of an index.
    Column("name_key", LargeBinary, nullable=False),
    Column("state", String(20), nullable=False),
    Column("state_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("held", Boolean, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("locale", String(35)),
    Column("zone", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_members_created", "community_id", "created_at", "id"),
    Index("ix_members_name", "community_id", "name_key", "id"),
    Index("ix_members_state", "community_id", "state", "created_at", "id"),
)

identities = Table(
    "identities",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("identity", String(300), primary_key=True),
    Column("member_id", Uuid, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("linked", Boolean, nullable=False),
    Column("first_seen_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_identities_member", "community_id", "member_id"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("from_state", String(20)),
    Column("to_state", String(20), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", String(100)),
    Column("effective_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_transitions_member", "community_id", "member_id", "seq"),
)

segments = Table(
    "segments",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("id", String(60), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

# Who is in which, and why. What is announced of a member is what stands here, whatever put it here.
segment_members = Table(
    "segment_members",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("segment_id", String(60), primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Index("ix_segment_members_member", "community_id", "member_id", "segment_id"),
    Index("ix_segment_members_since", "community_id", "segment_id", "since", "member_id"),
)

# Who came in and went out, for good: of segments that are gone too.
segment_changes = Table(
    "segment_changes",
    metadata,
    Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
    Column("community_id", Uuid, nullable=False),
    Column("segment_id", String(60), nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("change", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_segment_changes_segment", "community_id", "segment_id", "seq"),
)

link_codes = Table(
    "link_codes",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("member_id", Uuid, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

link_attempts = Table(
    "link_attempts",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("identity", String(300), primary_key=True),
    Column("period", BigInteger, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Index("ix_link_attempts_period", "period"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False, index=True),
    Column("version", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("hint", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("mode", String(10), nullable=False),
    Column("scopes", JsonText, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("successor_of", Uuid),
    Column("last_used_at", UtcDateTime),
    Column("created_by", String(200), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("x", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("signs_from", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
)

token_revocations = Table(
    "token_revocations",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("issued_before", UtcDateTime, nullable=False),
)

operators = Table(
    "operators",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("communities", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("operator", String(100), nullable=False),
    Column("communities", JsonText, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("operator", String(100), nullable=False),
    Column("role", String(20), nullable=False),
    Column("communities", JsonText, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)
