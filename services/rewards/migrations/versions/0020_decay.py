"""Boards whose scores decay. None of those that are there does."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("boards", sa.Column("decay_percent", sa.SmallInteger()))
    op.add_column("boards", sa.Column("decay_day", sa.Date()))
    decaying = sa.text("decay_percent IS NOT NULL")
    op.create_index("ix_boards_decay", "boards", ["decay_day"], sqlite_where=decaying, postgresql_where=decaying)
