"""What was refused is kept for a while, and can be tried again; what was stored can be sent once more; gaps in a
platform's numbering are seen."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "rejected",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("import_name", sa.String(length=64), nullable=True),
        sa.Column("form", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=100), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("marked", sa.Integer(), nullable=False),
        sa.Column("kept", JsonText(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("event_ids", JsonText(), nullable=False),
        sa.Column("changed_by", sa.String(length=150), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected")),
    )
    op.create_index("ix_rejected_code", "rejected", ["community_id", "code", "attempts", "id"], unique=False)
    op.create_index("ix_rejected_community", "rejected", ["community_id", "id"], unique=False)
    op.create_table(
        "rejected_days",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("code", sa.String(length=100), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "day", "code", name=op.f("pk_rejected_days")),
    )
    op.create_table(
        "replays",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("types", JsonText(), nullable=False),
        sa.Column("members", JsonText(), nullable=False),
        sa.Column("groups", JsonText(), nullable=False),
        sa.Column("speed", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("cursor_at", UtcDateTime(), nullable=True),
        sa.Column("cursor_id", sa.Uuid(), nullable=True),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=150), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index("ix_replays_community", "replays", ["community_id", "id"], unique=False)
    op.create_index("ix_replays_state", "replays", ["state", "id"], unique=False)
    op.create_table(
        "sequences",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("stream", sa.String(length=300), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "scope", "stream", name=op.f("pk_sequences")),
    )
    op.create_index("ix_sequences_at", "sequences", ["at"], unique=False)
    op.create_table(
        "missing_numbers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("stream", sa.String(length=300), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("first_number", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.Column("gap_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_missing_numbers")),
    )
    op.create_index(
        "ix_missing_numbers_stream",
        "missing_numbers",
        ["community_id", "scope", "stream", "first_number"],
        unique=False,
    )
    op.create_index("ix_missing_numbers_told", "missing_numbers", ["gap_id", "found_at"], unique=False)
    op.add_column("connection_signs", sa.Column("own_at", UtcDateTime(), nullable=True))
    for column in (
        sa.Column("stream", sa.String(length=300), nullable=True),
        sa.Column("first_number", sa.BigInteger(), nullable=True),
        sa.Column("last_number", sa.BigInteger(), nullable=True),
        sa.Column("missing", sa.BigInteger(), nullable=True),
    ):
        op.add_column("gaps", column)
