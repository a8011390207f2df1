"""Copies of members with their segments."""

from kit.migrations import add_segments

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    add_segments()
