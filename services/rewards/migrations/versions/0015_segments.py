"""Segments: copies of members tell them, boards leave them out and can be narrowed to them.

Boards that are there leave nobody out.
"""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText
from kit.migrations import add_segments

revision = "0015"
down_revision = "0013"


def upgrade() -> None:
    add_segments()
    op.add_column("boards", sa.Column("excluded_segments", JsonText(), nullable=False, server_default=sa.text("'[]'")))
    of_segments = sa.text("kind = 'segment'")
    op.create_index(
        "ix_member_labels_segments",
        "member_labels",
        ["community_id", "member_id"],
        sqlite_where=of_segments,
        postgresql_where=of_segments,
    )
