"""WeCom, as it calls back: XML encrypted with AES-256-CBC inside XML, its signature in the address."""

import base64
import hashlib
import struct
from collections.abc import Iterator
from datetime import datetime

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from services.events.receivers.form import Delivery
from services.events.receivers.sealed import EnvelopeSecrets
from services.events.receivers.wecom import WeComSettings
from tests.events.receivers.sending import Sample, Sender, files

CORP = "wwmadeup0000000000"
SECRETS = (
    EnvelopeSecrets("firsttoken", "MadeUpAesKeyOfFortyThreeCharactersNumberOne"),
    EnvelopeSecrets("othertoken", "MadeUpAesKeyOfFortyThreeCharactersNumberTwo"),
)


def samples() -> Iterator[Sample]:
    for path in files("wecom", "wecom"):
        yield Sample(path.stem, path.read_bytes())


def encrypted(message: bytes, secret: EnvelopeSecrets, meant_for: str) -> str:
    """16 random bytes, the length in network order, the message, the receiver; padded to 32."""
    key = base64.b64decode(secret.encoding_aes_key + "=")
    padder = PKCS7(256).padder()
    plain = padder.update(b"0123456789abcdef" + struct.pack("!I", len(message)) + message + meant_for.encode())
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain + padder.finalize()) + encryptor.finalize()).decode()


def signature(token: str, timestamp: str, nonce: str, text: str) -> str:
    return hashlib.sha1("".join(sorted([token, timestamp, nonce, text])).encode()).hexdigest()


def query(secret: EnvelopeSecrets, text: str, at: datetime) -> dict[str, str]:
    timestamp, nonce = str(int(at.timestamp())), "1372623149"
    return {"msg_signature": signature(secret.token, timestamp, nonce, text), "timestamp": timestamp, "nonce": nonce}


def deliver(sample: Sample, secret: EnvelopeSecrets, at: datetime) -> Delivery:
    text = encrypted(sample.body, secret, CORP)
    body = f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{text}]]></Encrypt></xml>".encode()
    return Delivery({"content-type": "text/xml"}, query(secret, text, at), body, at)


def ask(word: str, secret: EnvelopeSecrets, at: datetime) -> Delivery:
    """The question whether the address is ours."""
    text = encrypted(word.encode(), secret, CORP)
    return Delivery({}, {**query(secret, text, at), "echostr": text}, b"", at, "GET")


SENDER = Sender(
    "wecom",
    SECRETS,
    deliver,
    samples,
    WeComSettings(CORP),
    signs_body=False,  # Only the encrypted text inside; a space after the XML changes nothing.
    signs_time=True,
)
