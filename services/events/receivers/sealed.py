"""The envelope that WeCom and DingTalk share: a SHA-1 signature around a message encrypted with AES-256-CBC.

Inside are 16 random bytes, the message's length (4 bytes, network order), the message, and whom it is meant for.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Mapping, Sequence

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from services.events.receivers.form import Malformed, Refused

BLOCK = 32
_TOKEN = re.compile(r"[!-~]{1,64}")
_KEY = re.compile(r"[A-Za-z0-9+/]{43}")
_LETTERS = string.ascii_letters + string.digits
# 43 characters are two bits more than 32 bytes; a strict decoder wants these to be zero.
_LAST = "AEIMQUYcgkosw048"


class EnvelopeSecrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both are typed in on the platform's page. `encoding_aes_key` is the base64 of the AES key, without its "="."""

    token: str
    encoding_aes_key: str

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.token):
            raise ValueError("token is 1 to 64 printable characters without spaces")
        if not _KEY.fullmatch(self.encoding_aes_key):
            raise ValueError("encoding_aes_key is 43 letters and digits")

    @property
    def key(self) -> bytes:
        return base64.b64decode(self.encoding_aes_key + "=")


def made(given: Mapping[str, str]) -> EnvelopeSecrets:
    """Both as given, or made here; Malformed where a given one cannot be."""
    token = given.get("token") or _random(32)
    key = given.get("encoding_aes_key") or _random(42) + secrets.choice(_LAST)
    for name, form, value in (("token", _TOKEN, token), ("encoding_aes_key", _KEY, key)):
        if not form.fullmatch(value):
            raise Malformed(f"/{name}", "copy it from the platform's page, or leave it out and one is made")
    return EnvelopeSecrets(token, key)


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    text = "".join(sorted((token, timestamp, nonce, encrypted)))
    return hashlib.sha1(text.encode(errors="replace"), usedforsecurity=False).hexdigest()


def signer(
    given: str, timestamp: str, nonce: str, encrypted: str, candidates: Sequence[EnvelopeSecrets]
) -> tuple[int, EnvelopeSecrets]:
    """The secrets it is signed with, and their place; Refused when with none. As long whatever is wrong."""
    if not given or not encrypted:
        raise Refused("signature_missing", "no signature, or nothing encrypted: is the address the whole one?")
    found = None
    for place, one in enumerate(candidates):
        right = signature(one.token, timestamp, nonce, encrypted)
        if hmac.compare_digest(right.encode(), given.encode(errors="replace")):
            found = place, one
    if found is None:
        raise Refused("signature_wrong", "the signature is not of this token: is it this connection's token?")
    return found


def opened(encrypted: str, key: bytes) -> tuple[bytes, str]:
    """The message and whom it is meant for; Malformed for what is not encrypted with this key."""
    plain = decrypted(encrypted, key, key[:16], BLOCK)
    length = int.from_bytes(plain[16:20], "big")
    if len(plain) < 20 + length:
        raise Malformed("/encrypt", "what is inside is shorter than it says")
    return plain[20 : 20 + length], plain[20 + length :].decode(errors="replace")


def sealed(message: bytes, meant_for: str, key: bytes, random: bytes) -> str:
    """The message as the platform opens it. `random` is 16 bytes."""
    plain = random + len(message).to_bytes(4, "big") + message + meant_for.encode()
    pad = BLOCK - len(plain) % BLOCK
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()).decode()


def decrypted(encrypted: str, key: bytes, iv: bytes | None, block: int) -> bytes:
    """AES-CBC of base64, without its padding to whole blocks; without `iv` it is the first 16 bytes."""
    try:
        cipher = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("/encrypt", "is no base64") from error
    if iv is None:
        iv, cipher = cipher[:16], cipher[16:]
    if not cipher or len(cipher) % 16 or len(iv) != 16:
        raise Malformed("/encrypt", "is not whole blocks of AES")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    plain = decryptor.update(cipher) + decryptor.finalize()
    pad = plain[-1]
    if not 1 <= pad <= min(block, len(plain)) or plain[-pad:] != bytes([pad]) * pad:
        raise Malformed("/encrypt", "is not encrypted with this connection's key")
    return plain[:-pad]
