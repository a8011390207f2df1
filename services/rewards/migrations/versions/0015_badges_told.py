"""Which grants of badges were told of, badges for periods of boards, and what waits for places found by its event."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    # Who was told of a grant before is not known; of their ends everybody was.
    op.add_column("badge_grants", sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.true()))
    _key_runs_by_slot()
    op.create_index("ix_waiting_grants_event", "waiting_grants", ["event_id"])


def _key_runs_by_slot() -> None:
    """The key gets longer, which SQLite does with a new table only. A row a badge for a programme: a few."""
    connection = op.get_bind()
    names = ("community_id", sa.Uuid()), ("badge_id", sa.String()), ("due_at", UtcDateTime())
    before = sa.table(
        "badge_runs",
        *(sa.column(name, kind) for name, kind in names),
        sa.column("after_member", sa.Uuid()),
        sa.column("done", sa.Boolean()),
    )
    rows = [dict(row._mapping) for row in connection.execute(sa.select(before))]
    op.drop_index("ix_badge_runs_due", "badge_runs")
    op.drop_table("badge_runs")
    after = op.create_table(
        "badge_runs",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("badge_id", sa.String(length=60), nullable=False),
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("after_member", sa.Uuid()),
        sa.Column("enough", sa.BigInteger()),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "badge_id", "slot", name=op.f("pk_badge_runs")),
    )
    if rows:
        connection.execute(after.insert(), [{**row, "slot": UUID(int=0), "enough": None} for row in rows])
    op.create_index("ix_badge_runs_due", "badge_runs", ["done", "due_at"])
