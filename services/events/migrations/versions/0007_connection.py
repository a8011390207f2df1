"""The timeline of one connection.

Made over the rows that came through a connection: some seconds for each million of them, in which PostgreSQL stores no
activity (the door takes them all the same).
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    connected = sa.text("connection_id IS NOT NULL")
    op.create_index(
        "ix_activities_connection",
        "activities",
        ["connection_id", "effective_at", "event_id"],
        unique=False,
        sqlite_where=connected,
        postgresql_where=connected,
    )
