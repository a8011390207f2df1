"""Backfills of badges."""

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "badge_backfills",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("badge_id", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("since", UtcDateTime()),
        sa.Column("kept_from", UtcDateTime()),
        sa.Column("birth", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("indexed", sa.BigInteger()),
        sa.Column("cleared", sa.Boolean(), nullable=False),
        sa.Column("after_member", sa.Uuid()),
        sa.Column("after_day", sa.Date()),
        sa.Column("slot", sa.Uuid()),
        sa.Column("enough", sa.BigInteger()),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("began_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "badge_id", name=op.f("pk_badge_backfills")),
    )
    op.create_index("ix_badge_backfills_state", "badge_backfills", ["state"])
    op.create_table(
        "badge_backfill_inverses",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("badge_id", sa.String(length=60), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "badge_id", "event_id", name=op.f("pk_badge_backfill_inverses")),
        sqlite_with_rowid=False,
    )
