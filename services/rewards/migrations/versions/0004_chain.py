"""The chain over the ledger. What was posted before is sealed by itself, oldest first."""

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "ledger_blocks",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("ids", sa.LargeBinary(), nullable=False),
        sa.Column("after_id", sa.Uuid(), nullable=True),
        sa.Column("through_id", sa.Uuid(), nullable=True),
        sa.Column("sealed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "number", name=op.f("pk_ledger_blocks")),
    )
    op.create_table(
        "ledger_chains",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("through_id", sa.Uuid(), nullable=False),
        sa.Column("looked", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", name=op.f("pk_ledger_chains")),
    )
    op.create_table(
        "ledger_audits",
        sa.Column("night", sa.Date(), nullable=False),
        sa.Column("begun_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("night", name=op.f("pk_ledger_audits")),
    )
