"""Badges: versions, standings, grants, what is counted. Perks of levels."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0013"
down_revision = "0012"


def _of_member() -> list[sa.Column[object]]:
    return [
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("badge_id", sa.String(length=60), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
    ]


def upgrade() -> None:
    op.add_column("level_versions", sa.Column("perks", JsonText()))
    op.create_table(
        "badge_versions",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", JsonText(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "id", "version", name=op.f("pk_badge_versions")),
    )
    op.create_table(
        "badge_standings",
        *_of_member(),
        sa.Column("progress", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("granted_at", UtcDateTime()),
        sa.Column("expires_at", UtcDateTime()),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "badge_id", "member_id", name=op.f("pk_badge_standings")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_badge_standings_member", "badge_standings", ["community_id", "member_id"])
    op.create_index("ix_badge_standings_expiring", "badge_standings", ["held", "expires_at"])
    op.create_table(
        "badge_grants",
        *_of_member(),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("granted_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime()),
        sa.Column("event_id", sa.Uuid()),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime()),
        sa.Column("ended_why", sa.String(length=10)),
        sa.Column("ended_reason", sa.Text()),
        sa.PrimaryKeyConstraint("community_id", "badge_id", "member_id", "number", name=op.f("pk_badge_grants")),
    )
    op.create_index("ix_badge_grants_code", "badge_grants", ["code"], unique=True)
    op.create_table(
        "badge_runs",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("badge_id", sa.String(length=60), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("after_member", sa.Uuid()),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "badge_id", name=op.f("pk_badge_runs")),
    )
    op.create_index("ix_badge_runs_due", "badge_runs", ["done", "due_at"])
    op.create_table(
        "badge_marks",
        *_of_member(),
        sa.Column("value", sa.String(length=36), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("thing", sa.Uuid()),
        sa.Column("history", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "community_id", "badge_id", "member_id", "value", "event_id", name=op.f("pk_badge_marks")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_badge_marks_thing", "badge_marks", ["thing"])
