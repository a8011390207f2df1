"""The secrets that texts are read with: one of each community, made of the installation's."""

from functools import partial
from hashlib import blake2b
from uuid import UUID

from kit.sealing import derived
from kit.service import ServiceRuntime
from services.events.texts.reading import Readers
from services.events.texts.similarity import Pieces

PURPOSE = "events: similarity"


def _key(secret: bytes, community_id: UUID) -> bytes:
    return blake2b(community_id.bytes, key=secret, digest_size=32).digest()


def pieces_of(one: ServiceRuntime, community_id: UUID) -> Pieces:
    """What makes texts of this community comparable, the same on every replica and after every start."""
    readers = one.memory.get("readers")
    if readers is None:
        readers = one.memory["readers"] = Readers(partial(_key, derived(one.settings.secret_key, PURPOSE)))
    assert isinstance(readers, Readers)
    return readers.of(community_id)
