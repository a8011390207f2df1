"""Check-in series, their facts and streaks. Communities there are get the series that new ones begin with."""

from datetime import date

import sqlalchemy as sa
from alembic import op

from kit.clock import system_clock
from kit.database import JsonText, UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    series = op.create_table(
        "checkin_series",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("body", JsonText(), nullable=False),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "id", "version", name=op.f("pk_checkin_series")),
    )
    op.create_table(
        "checkin_calendars",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("day_start", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "owner_id", "since", name=op.f("pk_checkin_calendars")),
    )
    op.create_table(
        "checkin_facts",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("series_id", sa.String(length=60), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("transaction_id", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.String(length=150), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("voided_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint(
            "community_id", "series_id", "member_id", "day", "kind", "number", name=op.f("pk_checkin_facts")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkin_streaks",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("series_id", sa.String(length=60), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("current", sa.BigInteger(), nullable=False),
        sa.Column("longest", sa.BigInteger(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("kept", JsonText(), nullable=True),
        sa.Column("window_from", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("community_id", "series_id", "member_id", name=op.f("pk_checkin_streaks")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkin_gaps",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("gap_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("community_id", "gap_id", name=op.f("pk_checkin_gaps")),
    )
    _give_series(series)


def _give_series(series: sa.Table) -> None:
    """The defaults as they were when this migration was written: what reads them fills in what came later."""
    body = {"id": "daily", "name": "Daily check-in", "on": ["checkin.submitted"]}
    welcomed = sa.table("rule_sets", sa.column("community_id", sa.Uuid()))
    connection = op.get_bind()
    rows = [
        {
            "community_id": row.community_id,
            "id": "daily",
            "version": 1,
            "first_day": date.min,
            "body": body,
            "actor": "guildhall",
            "created_at": system_clock(),
        }
        for row in connection.execute(sa.select(welcomed.c.community_id).distinct())
    ]
    if rows:
        connection.execute(series.insert(), rows)
