"""Signals that rules may ask for, since when members are known, and the numbers that made a grant wait for review.

Of members who were active before this it is not known since when: they count as known since 1970.
"""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "signals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kept_until", UtcDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signals")),
    )
    op.add_column("member_labels", sa.Column("negated", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("member_labels", sa.Column("noted_at", UtcDateTime()))
    op.create_index("ix_member_labels_member", "member_labels", ["community_id", "member_id"])
    op.add_column("reviews", sa.Column("grounds", JsonText()))
    op.add_column("waiting_grants", sa.Column("grounds", JsonText()))
