"""What went through units' system accounts, day by day. What was sealed before is added up by the service itself."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "unit_days",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("came", sa.BigInteger(), nullable=False),
        sa.Column("went", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "unit", "day", "account", name=op.f("pk_unit_days")),
    )
    op.create_table(
        "unit_day_heads",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", name=op.f("pk_unit_day_heads")),
    )
    op.create_index("ix_holds_state", "holds", ["community_id", "state", "id"])
