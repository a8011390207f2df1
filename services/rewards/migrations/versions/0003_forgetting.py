"""What is kept for a time knows for how long.

Counters and moments from before know it when they are used again, and stay until then; decisions from before count as
taken now.
"""

import sqlalchemy as sa
from alembic import op

from kit.clock import system_clock
from kit.database import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("counters", sa.Column("kept_until", UtcDateTime(), nullable=True))
    op.add_column("moments", sa.Column("kept_until", UtcDateTime(), nullable=True))
    now = UtcDateTime().bind_processor(op.get_bind().dialect)(system_clock())
    # A constant default adds the column without rewriting the table, however many decisions there are.
    constant = sa.text(str(now) if isinstance(now, int) else f"'{now.isoformat()}'")
    op.add_column("decisions", sa.Column("decided_at", UtcDateTime(), nullable=False, server_default=constant))
    op.create_table(
        "forgotten_days",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "day", name=op.f("pk_forgotten_days")),
    )
