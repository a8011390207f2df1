"""Leagues of boards. Boards that are there have none."""

import sqlalchemy as sa
from alembic import op

from kit.database import JsonText, UtcDateTime

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("boards", sa.Column("leagues", JsonText(), nullable=False, server_default=sa.text("'[]'")))
    op.create_table(
        "league_periods",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Uuid(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("drawn_at", UtcDateTime()),
        sa.Column("settled_at", UtcDateTime()),
        sa.Column("after_member", sa.Uuid()),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_league_periods")),
    )
    op.create_index("ix_league_periods_generation", "league_periods", ["generation", "first_day"])
    _create_partial("ix_league_periods_open", "league_periods", ["slot"], "settled_at IS NULL")
    op.create_table(
        "league_seats",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("tier", sa.SmallInteger()),
        sa.Column("number", sa.BigInteger()),
        sa.Column("tier_after", sa.SmallInteger()),
        sa.PrimaryKeyConstraint("slot", "member_id", name=op.f("pk_league_seats")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_league_seats_number", "league_seats", ["slot", "tier", "number"], unique=True)
    waiting, playing = ("number IS NULL AND tier_after IS NULL", "number IS NOT NULL AND tier_after IS NULL")
    _create_partial("ix_league_seats_waiting", "league_seats", ["slot", "first_at", "member_id"], waiting)
    _create_partial("ix_league_seats_playing", "league_seats", ["slot", "tier", "number"], playing)
    op.create_table(
        "league_tallies",
        sa.Column("slot", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "tier", name=op.f("pk_league_tallies")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "league_tiers",
        sa.Column("generation", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("generation", "member_id", name=op.f("pk_league_tiers")),
        sqlite_with_rowid=False,
    )


def _create_partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
