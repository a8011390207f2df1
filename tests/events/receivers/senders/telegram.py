"""Telegram, as it calls a webhook: the secret stands in a header, and nothing else says whose a request is."""

import json
from collections.abc import Iterator
from datetime import datetime

from services.events.receivers.form import Delivery, OneSecret
from services.events.receivers.telegram import Settings
from tests.events.receivers.sending import Sample, Sender, files


def samples() -> Iterator[Sample]:
    """A file is a list of updates; each is sent by itself."""
    for path in files("telegram", "telegram"):
        for number, update in enumerate(json.loads(path.read_text())):
            yield Sample(f"{path.stem}.{number}", json.dumps(update, ensure_ascii=False).encode())


def deliver(sample: Sample, secret: OneSecret, at: datetime) -> Delivery:
    headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": secret.secret}
    return Delivery(headers, {}, sample.body, at)


SENDER = Sender("telegram", (OneSecret("one"), OneSecret("other")), deliver, samples, Settings(), signs_body=False)
