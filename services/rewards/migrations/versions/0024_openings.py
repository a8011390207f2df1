"""What balances were when a day began, for rules that ask for levels. No rules asked before there was a way to."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    default = sa.false()
    op.add_column("rule_sets", sa.Column("asks_levels", sa.Boolean(), nullable=False, server_default=default))
    op.create_table(
        "openings",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.String(length=30), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "member_id", "unit", name=op.f("pk_openings")),
    )
