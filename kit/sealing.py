"""What must be kept but not read from a stolen database: encrypted under the installation's secret."""

import base64

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derived(secret_key: str, purpose: str) -> bytes:
    """Thirty-two bytes that only who has the secret can make, other ones for each purpose (`service: thing`)."""
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"guildhall {purpose}".encode())
    return derive.derive(secret_key.encode())


class Box:
    """Seals and opens bytes. `purpose` (`service: thing`) keeps what was sealed for one thing from being opened for
    another."""

    def __init__(self, secret_key: str, purpose: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(derived(secret_key, purpose)))

    def seal(self, plain: bytes) -> bytes:
        return self._fernet.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """InvalidToken (cryptography) when it was sealed under another secret or for another purpose."""
        return self._fernet.decrypt(sealed)
