"""Tables behind the HTTP side: kept replies, and the copies of what the members service announces."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, Uuid

from kit.database.types import JsonText, UtcDateTime


def add_http_tables(metadata: MetaData, *, segments: bool) -> None:
    """Put `idempotency` and the `known_*` copies on a service's metadata, those of members with their segments or
    without."""
    Table(
        "idempotency",
        metadata,
        Column("credential", String(100), primary_key=True),
        Column("route", String(200), primary_key=True),
        Column("key", String(255), primary_key=True),
        Column("body_hash", LargeBinary, nullable=False),
        Column("status", Integer, nullable=False),
        Column("headers", JsonText, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("created_at", UtcDateTime, nullable=False, index=True),
    )
    Table(
        "known_communities",
        metadata,
        Column("community_id", Uuid, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("name", Text, nullable=False),
        Column("zone", String(64), nullable=False),
        Column("day_start", Integer, nullable=False),
        Column("locale", String(35), nullable=False),
        Column("state", String(20), nullable=False),
    )
    Table(
        "known_members",
        metadata,
        Column("community_id", Uuid, primary_key=True),
        Column("member_id", Uuid, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("state", String(20), nullable=False),
        Column("kind", String(20), nullable=False),
        Column("locale", String(35)),
        Column("zone", String(64)),
        *([Column("segments", JsonText, nullable=False)] if segments else []),
    )
    Table(
        "known_identities",
        metadata,
        Column("community_id", Uuid, primary_key=True),
        Column("computed_id", Uuid, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("member_id", Uuid, nullable=False),
    )
    Table(
        "known_keys",
        metadata,
        Column("key_id", Uuid, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("hash", String(64), nullable=False, index=True),
        Column("name", Text, nullable=False),
        Column("kind", String(20), nullable=False),
        Column("mode", String(10), nullable=False),
        Column("communities", JsonText, nullable=False),
        Column("scopes", JsonText, nullable=False),
        Column("expires_at", UtcDateTime),
        Column("revoked_at", UtcDateTime),
    )
    Table(
        "known_sessions",
        metadata,
        Column("session_id", Uuid, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("hash", String(64), nullable=False, index=True),
        Column("operator", Text, nullable=False),
        Column("role", String(20), nullable=False),
        Column("communities", JsonText, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
        Column("revoked_at", UtcDateTime),
    )
    Table(
        "known_signing_keys",
        metadata,
        Column("kid", String(64), primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("x", String(64), nullable=False),
        Column("retired_at", UtcDateTime),
    )
    Table(
        "known_token_revocations",
        metadata,
        Column("community_id", Uuid, primary_key=True),
        Column("member_id", Uuid, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("issued_before", UtcDateTime, nullable=False),
        Index("ix_known_token_revocations_issued_before", "issued_before"),
    )
