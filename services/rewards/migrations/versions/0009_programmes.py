"""Check-ins that inverse events undo: what such an event would name. Check-ins of before can be undone by hand only."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("checkin_facts", sa.Column("thing", sa.Uuid()))
    op.create_index("ix_checkin_facts_thing", "checkin_facts", ["thing"])
