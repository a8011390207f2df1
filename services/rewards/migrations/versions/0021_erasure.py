"""Erasing members: who is being erased, closed accounts, what the chain was made with, hashes of boards since.

Nobody is erased yet: who was before is asked for once more by the members service's next word of them.
"""

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    under_way = sa.text("state <> 'done'")
    op.create_table(
        "erasures",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("pseudonym", sa.Uuid()),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", UtcDateTime()),
        sa.Column("again_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("community_id", "member_id", name=op.f("pk_erasures")),
    )
    op.create_index("ix_erasures_open", "erasures", ["asked_at"], sqlite_where=under_way, postgresql_where=under_way)
    op.create_table(
        "closed_owners",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "member_id", name=op.f("pk_closed_owners")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "erased_transactions",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("original", sa.LargeBinary(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "transaction_id", "number", name=op.f("pk_erased_transactions")),
    )
    op.create_index("ix_erased_transactions_record", "erased_transactions", ["record_id"])
    op.add_column("board_periods", sa.Column("erased_hash", sa.LargeBinary(length=32)))
