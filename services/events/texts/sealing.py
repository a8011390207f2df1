"""A text as it travels and lies: encrypted with the key of who wrote it (AES-256-GCM), bound to its event.

Who has not the key has nothing but about how long it is. A sealed text names its key, so that one that was destroyed
is told from a wrong one.
"""

import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_ID, _NONCE = 16, 12


class Unreadable(Exception):
    """Sealed with another key, for another event, or not by us."""


@dataclass(frozen=True, slots=True)
class TextKey:
    """One member's, as long as it exists."""

    id: UUID
    secret: bytes

    def seal(self, text: str, event_id: UUID) -> bytes:
        nonce = os.urandom(_NONCE)
        # Half of a surrogate pair is no text anywhere else.
        plain = text.encode("utf-8", "replace")
        return self.id.bytes + nonce + AESGCM(self.secret).encrypt(nonce, plain, event_id.bytes)

    def open(self, sealed: bytes, event_id: UUID) -> str:
        """Unreadable for what was not sealed with this key for this event."""
        nonce, rest = sealed[_ID : _ID + _NONCE], sealed[_ID + _NONCE :]
        try:
            return AESGCM(self.secret).decrypt(nonce, rest, event_id.bytes).decode()
        except (InvalidTag, ValueError) as error:
            raise Unreadable("not sealed with this key for this event") from error


def key_id_of(sealed: bytes) -> UUID:
    return UUID(bytes=sealed[:_ID])


def packed(sealed: bytes) -> str:
    return b64encode(sealed).decode()


def unpacked(text: str) -> bytes:
    return b64decode(text)
