"""Versions of rules that hold from a time to come. Those that are there hold as they did."""

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("rule_sets", sa.Column("effective_from", UtcDateTime()))
    op.add_column("rule_sets", sa.Column("cancelled_at", UtcDateTime()))
    op.add_column("rule_sets", sa.Column("cancelled_by", sa.String(length=150)))
