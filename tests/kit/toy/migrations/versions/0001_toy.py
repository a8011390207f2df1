"""The toy's one table, behind the kit's."""

import sqlalchemy as sa
from alembic import op

from kit.migrations import create_kit_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_kit_tables()
    op.create_table(
        "uses",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_uses")),
    )
