"""Copies of members with their segments."""

from kit.migrations import add_segments

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    add_segments()
