"""Discord, as it signs what it posts itself, and a forwarder as it posts what the gateway tells it."""

import json
from collections.abc import Iterator
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.events.receivers.discord import Secrets
from services.events.receivers.form import Delivery, NoSettings
from tests.events.receivers.sending import Sample, Sender, files

# Of each application the half of the key that Discord keeps to itself.
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2)]
PUBLIC = [key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex() for key in KEYS]


def samples() -> Iterator[Sample]:
    """First what Discord signs. Of the gateway's events the files hold what is under `d`, and are named by `t`."""
    forwarded = []
    for path in files("discord", "discord"):
        name = path.name.partition(".")[0]
        if name in ("interaction", "webhook"):
            yield Sample(path.stem, path.read_bytes())
            continue
        body = {"t": name.upper(), "d": json.loads(path.read_text()), "at": "2026-11-25T11:59:58.5Z"}
        forwarded.append(Sample(path.stem, json.dumps(body).encode()))
    yield from forwarded


def deliver(sample: Sample, secret: Secrets, at: datetime) -> Delivery:
    headers = {"content-type": "application/json", **sample.headers}
    if sample.name.startswith(("interaction", "webhook")):
        stamp = str(int(at.timestamp()))
        signature = KEYS[PUBLIC.index(secret.public_key)].sign(stamp.encode() + sample.body)
        headers |= {"x-signature-ed25519": signature.hex(), "x-signature-timestamp": stamp}
    else:
        headers |= {"authorization": f"Bearer {secret.secret}"}
    return Delivery(headers, {}, sample.body, at)


SENDER = Sender(
    "discord",
    (Secrets("one", PUBLIC[0]), Secrets("other", PUBLIC[1])),
    deliver,
    samples,
    NoSettings(),
    signs_time=True,
)
