"""Timelines follow links: a member's identities are found by the member."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index("ix_known_identities_member", "known_identities", ["community_id", "member_id"], unique=False)
