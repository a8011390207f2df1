"""Deliveries of platforms at their hooks, signed, one message each, against the same message posted as an event."""

import hashlib
import hmac
import json
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx2
import uvloop

from bench import report, wrk
from bench.ingest import on_log
from bench.installation import Child, Made, counter, prepare, running, settings_of
from bench.sizes import Size
from kit.clock import system_clock

BODIES = 20_000
"""Made before the run, so that signing is not what is measured; sent again they cost the door the same."""

TEXT = "Has anybody read the third chapter already? I am not sure about the ending."
COLUMNS = ("one message a request", "requests/s", "p50 ms", "p99 ms", "of an event without text", "of one with it")
Delivery = tuple[bytes, dict[str, str]]


def _onebot(number: int, at: datetime, secret: str) -> Delivery:
    body = _json({
        "time": int(at.timestamp()), "self_id": 700001, "post_type": "message", "message_type": "group",
        "sub_type": "normal", "message_id": number, "real_seq": str(number), "user_id": 10_000 + number % 5000,
        "group_id": 555, "message": [{"type": "text", "data": {"text": TEXT}}], "raw_message": TEXT, "font": 14,
        "sender": {"user_id": 10_000 + number % 5000, "nickname": "n", "card": "", "role": "member"},
    })  # fmt: skip
    return body, {"X-Signature": "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()}


def _telegram(number: int, at: datetime, secret: str) -> Delivery:
    person = {"id": 10_000 + number % 5000, "is_bot": False, "first_name": "n"}
    message = {
        "message_id": number, "from": person, "chat": {"id": -1001, "type": "supergroup", "title": "t"},
        "date": int(at.timestamp()), "text": TEXT,
    }  # fmt: skip
    return _json({"update_id": number, "message": message}), {"X-Telegram-Bot-Api-Secret-Token": secret}


def _slack(number: int, at: datetime, secret: str) -> Delivery:
    moment = int(at.timestamp())
    event = {
        "type": "message", "channel": "C1", "channel_type": "channel", "user": f"U{number % 5000}", "text": TEXT,
        "ts": f"{moment}.{number:06}", "event_ts": f"{moment}.{number:06}",
    }  # fmt: skip
    outer = {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": f"Ev{number}"}
    body = _json({**outer, "event_time": moment, "event": event})
    digest = hmac.new(secret.encode(), b"v0:%d:%b" % (moment, body), hashlib.sha256).hexdigest()
    return body, {"X-Slack-Signature": f"v0={digest}", "X-Slack-Request-Timestamp": str(moment)}


def _github(number: int, at: datetime, secret: str) -> Delivery:
    moment = at.isoformat(timespec="seconds").replace("+00:00", "Z")
    user = {"id": number % 5000 + 1, "login": "n", "type": "User"}
    comment = {"id": number, "user": user, "created_at": moment, "updated_at": moment, "body": TEXT}
    body = _json({
        "action": "created", "issue": {"id": 77}, "comment": comment, "repository": {"id": 900}, "sender": user,
    })  # fmt: skip
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return body, {"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": str(number), "X-Hub-Signature-256": signature}


PLATFORMS: dict[str, Callable[[int, datetime, str], Delivery]] = {
    "onebot-v11": _onebot,
    "telegram": _telegram,
    "slack": _slack,
    "github": _github,
}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _event(number: int, at: datetime, text: str | None) -> bytes:
    data = {"actor": f"qq:{10_000 + number % 5000}", "group": "qq:555", "kind": "text", "length": len(TEXT)}
    return _json({
        "specversion": "1.0", "id": f"bench-{number}", "source": "/bots/bench", "type": "message.created",
        "time": at.isoformat(timespec="seconds").replace("+00:00", "Z"), "subject": str(number),
        "datacontenttype": "application/json", "data": data if text is None else {**data, "text": text},
    })  # fmt: skip


def _connected(url: str, made: Made) -> dict[str, tuple[str, str]]:
    """Platform → (path of its hook, secret)."""
    out, body = {}, {"secrets": {"secret": token_hex(16)}}
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {made.api_key}"}) as client:
        for platform in PLATFORMS:
            reply = client.post(
                "/v1/connections", json={**body, "platform": platform, "name": platform}
            ).raise_for_status()
            out[platform] = f"/v1/hooks/{reply.json()['id']}", reply.json()["secret"]["secrets"]["secret"]
    return out


def _loads(child: Child, made: Made) -> dict[str, Callable[[], str]]:
    """What is compared, by name: a maker of its script, since signatures are good for some minutes."""
    posting = {"Authorization": f"Bearer {made.api_key}", "Content-Type": "application/cloudevents+json"}

    def events(text: str | None) -> str:
        at = system_clock()
        return wrk.delivery_script("/v1/events", [(_event(n, at, text), posting) for n in range(1, BODIES + 1)])

    def hook(platform: str, path: str, secret: str) -> str:
        at, form = system_clock(), {"Content-Type": "application/json"}
        made = (PLATFORMS[platform](n, at, secret) for n in range(1, BODIES + 1))
        return wrk.delivery_script(path, [(body, {**form, **headers}) for body, headers in made])

    hooks = {name: (lambda name=name, at=at: hook(name, *at)) for name, at in _connected(child.url, made).items()}
    return {"an event without text": lambda: events(None), "an event with text": lambda: events(TEXT), **hooks}


def run(size: Size) -> None:
    report.heading("Hooks, embedded, the door alone")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name:
        directory = Path(name)
        made = uvloop.run(prepare(settings_of(directory / "hooks")))
        with running("bench.door", "--data-dir", str(made.settings.data_dir), directory=directory) as child:
            answered = _compare(size, child, _loads(child, made), directory)
            accepted = counter(child.url, "guildhall_events_ingested_total")
        kept = uvloop.run(on_log(made.settings))
    # A heartbeat of a connection, its first sign, is an activity too.
    if kept < accepted or accepted < answered:
        raise wrk.WrongAnswers(f"{kept} kept, {accepted} accepted, {answered} answered")
    report.say(f"Every answer 2xx; {accepted:,} accepted, {kept:,} kept.")


def _compare(size: Size, child: Child, loads: dict[str, Callable[[], str]], directory: Path) -> int:
    answered = 0
    for connections in size.connections:
        rates: list[float] = []
        rows = []
        for name, script in loads.items():
            load = wrk.run(child.url, script(), directory, connections=connections, seconds=size.seconds)
            answered += load.requests
            rates.append(load.rate)
            figures = report.whole(load.rate), report.ms(load.p50), report.ms(load.p99)
            rows.append((name, *figures, *(report.ratio(load.rate / base) for base in rates[:2])))
        report.say(f"{connections} connections:\n")
        report.table(COLUMNS, [(*row, *[""] * (len(COLUMNS) - len(row))) for row in rows])
    return answered
