"""DingTalk, as it pushes events over HTTP and posts what is written to a robot."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime

from services.events.receivers.dingtalk import DingTalkSecrets, DingTalkSettings
from services.events.receivers.form import Delivery
from tests.events.receivers.senders.wecom import encrypted, signature
from tests.events.receivers.sending import Sample, Sender, files

OWNER = "dingmadeup00000000"


def samples() -> Iterator[Sample]:
    """The documentation's file holds an event as it is streamed and as it is pushed; only the latter comes here."""
    for path in files("dingtalk", "dingtalk"):
        told = json.loads(path.read_bytes())
        yield Sample(path.stem, json.dumps(told.get("http", told)).encode())


def deliver(sample: Sample, secret: DingTalkSecrets, at: datetime) -> Delivery:
    timestamp = str(int(at.timestamp() * 1000))
    if sample.name.startswith("robot"):
        text = f"{timestamp}\n{secret.app_secret}".encode()
        sign = base64.b64encode(hmac.digest(secret.app_secret.encode(), text, hashlib.sha256)).decode()
        return Delivery({"timestamp": timestamp, "sign": sign}, {}, sample.body, at)
    inside = encrypted(sample.body, secret, OWNER)
    right = signature(secret.token, timestamp, "nEXhMP4r", inside)
    query = {"msg_signature": right, "signature": right, "timestamp": timestamp, "nonce": "nEXhMP4r"}
    return Delivery({}, query, json.dumps({"encrypt": inside}).encode(), at)


SENDER = Sender(
    "dingtalk",
    (
        DingTalkSecrets("firsttoken", "MadeUpAesKeyOfFortyThreeCharactersNumberOne", "first-secret"),
        DingTalkSecrets("othertoken", "MadeUpAesKeyOfFortyThreeCharactersNumberTwo", "other-secret"),
    ),
    deliver,
    samples,
    DingTalkSettings(OWNER),
    signs_body=False,  # Of an event the encrypted text inside, of a message nothing.
)
