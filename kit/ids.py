"""Ids that are quick to make, to compare and to write.

asyncpg's UUID is a `uuid.UUID` written in C, equal to and hashed as any other with the same value; what a batch does
with ids (dictionary keys, texts, bytes) takes it a third of the time. PostgreSQL's rows have brought it all along;
this gives it to SQLite's rows and to computed ids.
"""

from collections.abc import Callable
from hashlib import sha1
from uuid import UUID

from asyncpg.pgproto import pgproto  # type: ignore[import-untyped]  # it ships no types

to_uuid: Callable[[str | bytes], UUID] = pgproto.UUID
"""From 32 hexadecimal digits, with or without dashes, or from 16 bytes; ValueError for anything else."""


def uuid5(namespace: UUID, name: str) -> UUID:
    """What `uuid.uuid5` computes."""
    digest = bytearray(sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return to_uuid(bytes(digest))
