"""What is kept how long: daily figures, wishes of communities, kept texts and their keys, modes of types.

The index over what is not counted yet is made over every row there is: some seconds for each million of them, in which
PostgreSQL stores no activity (the door takes them all the same).
"""

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("activities", sa.Column("day", sa.Date(), nullable=True))
    uncounted = sa.text("day IS NULL")
    op.create_index(
        "ix_activities_uncounted",
        "activities",
        ["event_id"],
        unique=False,
        sqlite_where=uncounted,
        postgresql_where=uncounted,
    )
    op.create_table(
        "daily",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("group_ref", sa.String(length=300), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "day", "type", "group_ref", name=op.f("pk_daily")),
    )
    op.create_table(
        "wishes",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("keep_text_days", sa.Integer(), nullable=False),
        sa.Column("activity_days", sa.Integer(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.String(length=150), nullable=False),
        sa.PrimaryKeyConstraint("community_id", name=op.f("pk_wishes")),
    )
    op.create_table(
        "type_modes",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.String(length=150), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "type", name=op.f("pk_type_modes")),
    )
    _texts()


def _texts() -> None:
    op.create_table(
        "text_keys",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "actor_id", name=op.f("pk_text_keys")),
    )
    op.create_table(
        "texts",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_texts")),
    )
    op.create_index("ix_texts_actor", "texts", ["community_id", "actor_id"], unique=False)
    op.create_index("ix_texts_at", "texts", ["community_id", "at", "event_id"], unique=False)
    op.create_table(
        "text_readings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(length=150), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_text_readings")),
    )
    op.create_index("ix_text_readings_community", "text_readings", ["community_id", "id"], unique=False)
