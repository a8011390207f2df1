"""Segments put together by hand, and that of the staff in every community there is."""

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime
from kit.migrations import add_segments
from kit.tables import SEQUENCE

revision = "0002"
down_revision = "0001"

STAFF = """INSERT INTO segments (community_id, id, version, name, description, created_at, changed_at)
SELECT id, 'staff', 1, 'Staff', 'Who runs the community.', created_at, created_at FROM communities"""


def upgrade() -> None:
    add_segments()
    op.create_table(
        "segments",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "id", name=op.f("pk_segments")),
    )
    op.create_table(
        "segment_members",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("segment_id", sa.String(length=60), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "segment_id", "member_id", name=op.f("pk_segment_members")),
    )
    op.create_index("ix_segment_members_member", "segment_members", ["community_id", "member_id", "segment_id"])
    op.create_index("ix_segment_members_since", "segment_members", ["community_id", "segment_id", "since", "member_id"])
    op.create_table(
        "segment_changes",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("segment_id", sa.String(length=60), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("change", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_segment_changes")),
    )
    op.create_index("ix_segment_changes_segment", "segment_changes", ["community_id", "segment_id", "seq"])
    op.execute(STAFF)
