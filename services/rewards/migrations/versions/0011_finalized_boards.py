"""Periods of boards that are finalised, seasons, who is on no board, what boards can be narrowed to.

Periods that are over when this runs are left as they are: nobody was told that they would be finalised.
"""

import sqlalchemy as sa
from alembic import op

from kit.clock import system_clock
from kit.database import JsonText, UtcDateTime
from kit.days import local_day

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    today = sa.text(f"'{local_day(system_clock(), 'UTC', 0).isoformat()}'")
    op.add_column("boards", sa.Column("seasons", JsonText(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("boards", sa.Column("prizes", JsonText(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("boards", sa.Column("late_grace_hours", sa.Integer(), nullable=False, server_default=sa.text("48")))
    op.add_column("boards", sa.Column("since", sa.Date(), nullable=False, server_default=today))
    for column in (
        sa.Column("due_at", UtcDateTime()),
        sa.Column("closed_at", UtcDateTime()),
        sa.Column("finalized_at", UtcDateTime()),
        sa.Column("hash", sa.LargeBinary(length=32)),
        sa.Column("members", sa.BigInteger()),
        sa.Column("late_entries", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    ):
        op.add_column("board_periods", column)
    _make_running_periods_due()
    waiting = sa.text("due_at IS NOT NULL")
    op.create_index("ix_board_periods_due", "board_periods", ["due_at"], sqlite_where=waiting, postgresql_where=waiting)
    hidden = sa.Column("hidden", sa.SmallInteger(), nullable=False, server_default=sa.text("0"))
    op.add_column("board_scores", hidden)
    op.drop_index("ix_board_scores_order", "board_scores")
    order = ["slot", "hidden", "negated", "reached_at", "member_id"]
    op.create_index("ix_board_scores_order", "board_scores", order)
    op.create_table(
        "board_absences",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("board_id", sa.String(length=60), nullable=False),
        sa.Column("by", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "member_id", "board_id", "by", name=op.f("pk_board_absences")),
    )
    op.create_index("ix_board_absences_board", "board_absences", ["community_id", "board_id", "member_id"])
    op.create_table(
        "member_labels",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("value", sa.String(length=300), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "kind", "value", "member_id", name=op.f("pk_member_labels")),
        sqlite_with_rowid=False,
    )


def _make_running_periods_due() -> None:
    """To be looked at soon: the exact time is worked out then."""
    now = system_clock()
    periods = sa.table(
        "board_periods", sa.column("kind", sa.String()), sa.column("last_day", sa.Date()),
        sa.column("due_at", UtcDateTime()),
    )  # fmt: skip
    running = periods.c.kind != "all", periods.c.last_day >= local_day(now, "UTC", 0)
    op.get_bind().execute(periods.update().where(*running).values(due_at=now))
