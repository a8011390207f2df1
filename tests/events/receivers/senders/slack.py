"""Slack, as it posts to a Request URL: a version, the seconds and the body are signed, with colons between them."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from services.events.receivers.form import Delivery, NoSettings, OneSecret
from tests.events.receivers.sending import Sample, Sender, files


def enveloped(event: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """An event as the Events API wraps it; what the older real-time interface sent are the same events, bare."""
    return {
        "type": "event_callback",
        "token": "not-used",
        "team_id": "T0MADE",
        "api_app_id": "A0MADE",
        "event_id": f"Ev0MADE{number}",
        "event_time": 1795607940,
        "event": event,
    }


def samples() -> Iterator[Sample]:
    """Files named `rtm.` hold lists of bare events."""
    for path in files("slack", "slack"):
        held = json.loads(path.read_text())
        if isinstance(held, list):
            for number, event in enumerate(held):
                yield Sample(f"{path.stem}.{number}", json.dumps(enveloped(event, number)).encode())
        else:
            yield Sample(path.stem, path.read_bytes())


def deliver(sample: Sample, secret: OneSecret, at: datetime) -> Delivery:
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.secret.encode(), b":".join((b"v0", stamp.encode(), sample.body)), hashlib.sha256)
    headers = {"x-slack-signature": f"v0={digest.hexdigest()}", "x-slack-request-timestamp": stamp}
    return Delivery({"content-type": "application/json", **headers, **sample.headers}, {}, sample.body, at)


SENDER = Sender("slack", (OneSecret("one"), OneSecret("other")), deliver, samples, NoSettings(), signs_time=True)
