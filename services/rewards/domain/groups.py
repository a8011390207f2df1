"""Accounts of chat groups: system accounts that the ledger knows as a group's by their ids alone."""

from hashlib import sha256
from typing import Final
from uuid import UUID

from kit.ids import to_uuid

PREFIX: Final = "group:"
LONGEST: Final = 100
"""So many characters at most has the name of an account."""

_DIGEST = "#"


def account_name(group: str) -> str:
    """The name of the account of a group (`qq:100`), which no other group's has. One that is too long for a name goes
    by its SHA-256, and so does one that begins as those do."""
    name = PREFIX + group
    if len(name) <= LONGEST and not group.startswith(_DIGEST):
        return name
    return f"{PREFIX}{_DIGEST}{sha256(group.encode()).hexdigest()}"


def group_of(name: str) -> str:
    """The group as its account's name tells it: itself, or `#` and its SHA-256."""
    return name.removeprefix(PREFIX)


def marked(computed: UUID) -> UUID:
    """The id of a group's account: of version 8, which no other id here has."""
    digits = bytearray(computed.bytes)
    digits[6] = digits[6] & 0x0F | 0x80
    return to_uuid(bytes(digits))


def beneficiary(owner_id: UUID | None) -> tuple[UUID | None, UUID | None]:
    """Whom a decision is for, as others are told: the member, or the group's account."""
    return (None, owner_id) if owner_id is not None and is_group(owner_id) else (owner_id, None)


def is_group(owner_id: UUID) -> bool:
    """Whether this is the id of a group's account. Members' are of versions 4, 5 and 7."""
    return owner_id.bytes[6] >> 4 == 8
