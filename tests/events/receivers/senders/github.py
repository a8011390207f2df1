"""GitHub, as it delivers webhooks."""

import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime

from services.events.receivers.form import Delivery, NoSettings, OneSecret
from tests.events.receivers.sending import Sample, Sender, files


def samples() -> Iterator[Sample]:
    """The event is in a header, here in the file's name before its first dot."""
    for path in files("github", "github"):
        yield Sample(path.stem, path.read_bytes(), {"x-github-event": path.name.partition(".")[0]})


def deliver(sample: Sample, secret: OneSecret, at: datetime) -> Delivery:
    signature = hmac.new(secret.secret.encode(), sample.body, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={signature}", "x-github-delivery": f"guid-{sample.name}"}
    return Delivery({"content-type": "application/json", **sample.headers, **headers}, {}, sample.body, at)


SENDER = Sender("github", (OneSecret("one"), OneSecret("other")), deliver, samples, NoSettings())
