#!/usr/bin/env python3
"""A bot for any chat, against Guildhall's public API: standard library only, meant to be copied and changed.

It reads what people say as lines, `alice: hello`, on standard input, and prints what it would answer. Put your chat's
messages in place of `sys.stdin`. Needs an API key with `events:write` and `rewards:read` in GUILDHALL_KEY.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from urllib.parse import quote

URL = os.environ.get("GUILDHALL_URL", "http://127.0.0.1:8000")
KEY = os.environ["GUILDHALL_KEY"]
SOURCE, GROUP = "/bots/example", "console:lobby"


def ask(method: str, path: str, body: object = None) -> dict:
    """The answer as JSON. What may pass is tried again: an event keeps its id, so it counts once all the same."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/cloudevents+json"}
    data = json.dumps(body).encode() if body is not None else None
    for pause in (0.5, 1, 2, 5, 10, 0):
        request = urllib.request.Request(URL + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 502, 503, 504) or not pause:
                raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error
        except OSError:
            if not pause:
                raise
        time.sleep(pause)
    raise SystemExit("not reached")


def post(type: str, person: str, **data: object) -> dict:
    event = {
        "specversion": "1.0", "id": str(uuid.uuid4()), "source": SOURCE, "type": type,
        "time": datetime.now(UTC).isoformat(), "datacontenttype": "application/json",
        "data": {"actor": f"console:{quote(person)}", "group": GROUP, **data},
    }  # fmt: skip
    return ask("POST", "/v1/events", event)


for line in sys.stdin:
    person, _, text = line.strip().partition(": ")
    if text == "/checkin":
        post("checkin.submitted", person)
    elif text == "/points":
        member = ask("GET", f"/v1/identities?platform=console&external_id={quote(quote(person))}")["member_id"]
        points = {one["unit"]: one["balance"] for one in ask("GET", f"/v1/accounts/{member}")["items"]}
        print(f"{person}, you have {points['points']} points.", flush=True)
    elif text:
        post("message.created", person, text=text, kind="text")
