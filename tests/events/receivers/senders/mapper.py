"""A shop we do not know, as its webhooks might be."""

import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime

import msgspec

from services.events.receivers.form import Delivery, OneSecret
from services.events.receivers.mapper import MapperSettings
from tests.events.receivers.sending import Sample, Sender, files

SHOP = {
    "verify": "hmac-sha256",
    "header": "X-Shop-Signature",
    "signature_prefix": "sha256=",
    "items": "/orders",
    "when": "item.status == 'paid'",
    "fields": {
        "type": {"value": "order.paid"},
        "id": {"pointer": "/number", "prefix": "order:"},
        "time": {"pointer": "/paid_at"},
        "actor": {"pointer": "/customer/id", "prefix": "shop:"},
        "subject": {"pointer": "/number"},
        "text": {"pointer": "/note"},
        "data.amount": {"cel": "int(double(item.total) * 100.0 + 0.5)"},
        "data.currency": {"pointer": "/currency"},
        "data.channel": {"cel": "headers['x-shop-channel']"},
    },
}


def samples() -> Iterator[Sample]:
    for path in files("mapper", "mapper"):
        yield Sample(path.stem, path.read_bytes(), {"x-shop-channel": "web"})


def deliver(sample: Sample, secret: OneSecret, at: datetime) -> Delivery:
    signature = hmac.digest(secret.secret.encode(), sample.body, hashlib.sha256).hex()
    headers = {**sample.headers, "content-type": "application/json", "x-shop-signature": f"sha256={signature}"}
    return Delivery(headers, {}, sample.body, at)


SENDER = Sender(
    "mapper", (OneSecret("one"), OneSecret("other")), deliver, samples, msgspec.convert(SHOP, MapperSettings)
)
