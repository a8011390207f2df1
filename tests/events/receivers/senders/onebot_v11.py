"""OneBot v11, as NapCat posts it: one event a request, signed with HMAC-SHA1."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime

from services.events.receivers.form import Delivery, NoSettings, OneSecret
from tests.events.receivers.sending import Sample, Sender, files


def samples() -> Iterator[Sample]:
    """A file has one event, or a list of them."""
    for path in files("onebot-v11", "onebot-v11"):
        told = json.loads(path.read_bytes())
        for number, event in enumerate(told if isinstance(told, list) else [told]):
            yield Sample(f"{path.stem}-{number}", json.dumps(event, ensure_ascii=False).encode())


def deliver(sample: Sample, secret: OneSecret, at: datetime) -> Delivery:
    signature = hmac.new(secret.secret.encode(), sample.body, hashlib.sha1).hexdigest()
    headers = {"content-type": "application/json", "x-self-id": "700001", "x-signature": f"sha1={signature}"}
    return Delivery(headers, {}, sample.body, at)


SENDER = Sender("onebot-v11", (OneSecret("one"), OneSecret("other")), deliver, samples, NoSettings())
