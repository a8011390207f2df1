"""Since when a community's zone and day start are what they are, so that they change once in seven days (R22).

What was changed before this is not known, and the next change is free.
"""

import sqlalchemy as sa
from alembic import op

from kit.database import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("communities", sa.Column("day_since", UtcDateTime(), nullable=True))
