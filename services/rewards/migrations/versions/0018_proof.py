"""Check-ins that a series did not take as they came, and who confirms them."""

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
        sa.Column("thing", sa.Uuid()),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("due_at", UtcDateTime()),
        sa.Column("decided_at", UtcDateTime()),
        sa.Column("decided_by", sa.String(length=150)),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "series_id", "event_id", name=op.f("pk_checkin_attempts")),
    )
    op.create_index("ix_checkin_attempts_event", "checkin_attempts", ["event_id"])
    op.create_index("ix_checkin_attempts_list", "checkin_attempts", ["community_id", "series_id", "id"])
    op.create_index("ix_checkin_attempts_member", "checkin_attempts", ["community_id", "series_id", "member_id", "id"])
    op.create_index("ix_checkin_attempts_state", "checkin_attempts", ["community_id", "series_id", "state", "id"])
    op.create_index("ix_checkin_attempts_thing", "checkin_attempts", ["thing"])
    op.create_index("ix_checkin_attempts_due", "checkin_attempts", ["due_at"])
    op.create_table(
        "checkin_confirmations",
        sa.Column("thing", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("thing", "member_id", name=op.f("pk_checkin_confirmations")),
        sqlite_with_rowid=False,
    )
