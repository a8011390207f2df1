"""Discourse, as it posts a webhook: what happened stands in headers, and the body is signed."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime

from services.events.receivers.discourse import Settings
from services.events.receivers.form import Delivery, OneSecret
from tests.events.receivers.sending import Sample, Sender, files

AS_WEBHOOK = {"category_slug": "made", "topic_posts_count": 2, "topic_archetype": "regular"}


def samples() -> Iterator[Sample]:
    """Posts as the interface gives them are wrapped as a webhook does; ours are whole, and are named type.event."""
    for path in files("discourse", "discourse"):
        type, event = path.name.split(".")[:2]
        held = json.loads(path.read_text())
        if type == "api_post":
            type, event = "post", "post_destroyed" if event == "user_deleted" else "post_created"
            held = {"post": {**held, **AS_WEBHOOK}}
        headers = {"x-discourse-event-type": type, "x-discourse-event": event}
        yield Sample(path.stem, json.dumps(held).encode(), headers)


def deliver(sample: Sample, secret: OneSecret, at: datetime) -> Delivery:
    digest = hmac.new(secret.secret.encode(), sample.body, hashlib.sha256)
    headers = {
        "content-type": "application/json",
        "x-discourse-instance": "https://forum.example.org",
        "x-discourse-event-id": "1234",
        "x-discourse-event-signature": f"sha256={digest.hexdigest()}",
    }
    return Delivery({**headers, **sample.headers}, {}, sample.body, at)


SENDER = Sender("discourse", (OneSecret("one-of-twelve"), OneSecret("the-other-one")), deliver, samples, Settings())
