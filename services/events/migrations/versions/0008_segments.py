"""Copies of members with their segments."""

from kit.migrations import add_segments

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    add_segments()
