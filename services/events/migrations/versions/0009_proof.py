"""What the door looks for in check-ins."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "checkin_series",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("series_id", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("types", JsonText(), nullable=False),
        sa.Column("code_word", sa.String(length=2)),
        sa.Column("place", JsonText()),
        sa.PrimaryKeyConstraint("community_id", "series_id", name=op.f("pk_checkin_series")),
    )
