"""QQ's open platform, as it posts to a bot's callback address."""

from collections.abc import Iterator
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.events.receivers.form import Delivery, NoSettings, OneSecret
from tests.events.receivers.sending import Sample, Sender, files


def samples() -> Iterator[Sample]:
    for path in files("qq-official", "qq-official"):
        yield Sample(path.stem, path.read_bytes())


def key_of(secret: str) -> Ed25519PrivateKey:
    """As the documentation has it: doubled until there are 32 bytes, then cut."""
    while len(secret) < 32:
        secret += secret
    return Ed25519PrivateKey.from_private_bytes(secret[:32].encode())


def deliver(sample: Sample, secret: OneSecret, at: datetime) -> Delivery:
    timestamp = str(int(at.timestamp()))
    signature = key_of(secret.secret).sign(timestamp.encode() + sample.body).hex()
    headers = {
        "user-agent": "QQBot-Callback",
        "x-bot-appid": "11111111",
        "x-signature-method": "Ed25519",
        "x-signature-timestamp": timestamp,
        "x-signature-ed25519": signature,
    }
    return Delivery(headers, {}, sample.body, at)


SENDER = Sender("qq-official", (OneSecret("one"), OneSecret("other")), deliver, samples, NoSettings(), signs_time=True)
