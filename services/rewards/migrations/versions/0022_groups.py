"""Accounts of groups are listed: a community's system accounts are found without reading all of its members'."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    system = sa.text("system = 1")
    columns = ["community_id", "unit"]
    op.create_index("ix_accounts_system", "accounts", columns, sqlite_where=system, postgresql_where=system)
