"""Feishu, as it posts events: encrypted and signed where the app has an encrypt key, with a token inside anyway."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from services.events.receivers.feishu import FeishuSecrets
from services.events.receivers.form import Delivery, NoSettings
from tests.events.receivers.sending import Sample, Sender, files


def samples() -> Iterator[Sample]:
    """The recorded file holds a list of events."""
    for path in files("feishu", "feishu"):
        told = json.loads(path.read_bytes())
        for n, one in enumerate(told if isinstance(told, list) else [told]):
            yield Sample(f"{path.stem}-{n}", json.dumps(one).encode())


def with_token(body: bytes, token: str) -> bytes:
    try:
        told = json.loads(body)
    except ValueError:
        return body
    if not isinstance(told, dict):
        return body
    place: Any = told["header"] if isinstance(told.get("header"), dict) else told
    place["token"] = token
    return json.dumps(told).encode()


def encrypted(plain: bytes, encrypt_key: str) -> str:
    key, iv = hashlib.sha256(encrypt_key.encode()).digest(), b"sixteen bytes iv"
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(iv)).encryptor()
    text = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    return base64.b64encode(iv + text).decode()


def deliver(sample: Sample, secret: FeishuSecrets, at: datetime) -> Delivery:
    body = with_token(sample.body, secret.verification_token)
    if not secret.encrypt_key:
        return Delivery({}, {}, body, at)
    body = json.dumps({"encrypt": encrypted(body, secret.encrypt_key)}).encode()
    timestamp, nonce = str(int(at.timestamp())), "4ca44d1c"
    signature = hashlib.sha256((timestamp + nonce + secret.encrypt_key).encode() + body).hexdigest()
    names = ("x-lark-request-timestamp", "x-lark-request-nonce", "x-lark-signature")
    return Delivery(dict(zip(names, (timestamp, nonce, signature), strict=True)), {}, body, at)


SENDER = Sender(
    "feishu",
    (FeishuSecrets("first-token", "first-key"), FeishuSecrets("other-token", "other-key")),
    deliver,
    samples,
    NoSettings(),
)
