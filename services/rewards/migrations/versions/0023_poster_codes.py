"""Codes that verify posters of months; a poster that was drawn before has none, until it is drawn again."""

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "poster_codes",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "member_id", "month", name=op.f("pk_poster_codes")),
    )
    op.create_index("ix_poster_codes_code", "poster_codes", ["code"], unique=True)
