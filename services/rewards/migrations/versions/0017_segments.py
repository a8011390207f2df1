"""Segments: copies of members tell them, boards leave them out and can be narrowed to them.

Boards that are there leave nobody out.
"""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText
from kit.migrations import add_segments

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    add_segments()
    op.add_column("boards", sa.Column("excluded_segments", JsonText(), nullable=False, server_default=sa.text("'[]'")))
