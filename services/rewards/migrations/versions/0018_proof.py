"""Check-ins that a series did not take as they came."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "checkin_attempts",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("series_id", sa.String(length=60), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("missing", JsonText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "series_id", "event_id", name=op.f("pk_checkin_attempts")),
    )
    op.create_index("ix_checkin_attempts_event", "checkin_attempts", ["event_id"])
    op.create_index("ix_checkin_attempts_list", "checkin_attempts", ["community_id", "series_id", "id"])
    op.create_index("ix_checkin_attempts_member", "checkin_attempts", ["community_id", "series_id", "member_id", "id"])
