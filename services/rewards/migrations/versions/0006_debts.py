"""What members owe, and a longer word for what a unit's reversals do."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("debt", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    with op.batch_alter_table("units") as units:
        units.alter_column("clawback", type_=sa.String(length=30), existing_nullable=False)
