"""A platform with two communities and keys of every fate, asked badly; and how exactly its refusals read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from kit.settings import load_settings
from tests.support.clock import ManualClock
from tests.support.http import client_of
from tests.support.platform import App, running

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
JSON = "application/json"
NOBODY = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Ask:
    """One request. `body` is sent as it is when bytes, as JSON otherwise; `{name}` in path, headers and body stands
    for an id of the world. `who` names the credential."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    who: str = "everything"


def get(path: str, who: str = "everything", **headers: str) -> Ask:
    return Ask("GET", path, None, _named(headers), who)


def send(path: str, body: Any = None, who: str = "everything", method: str = "POST", **headers: str) -> Ask:
    return Ask(method, path, body, _named(headers), who)


def door(body: Any, kind: str = STRUCTURED, who: str = "everything", query: str = "", **headers: str) -> Ask:
    """Something posted as activity."""
    return Ask("POST", f"/v1/events{query}", body, {"Content-Type": kind, **_named(headers)}, who)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def problem(status: int, code: str, detail: str, *errors: tuple[str, str, str], **more: Any) -> tuple[int, Any]:
    """A whole problem document, but for the request's id."""
    body: dict[str, Any] = {"type": f"/problems/{code}", "title": HTTPStatus(status).phrase, "status": status}
    body |= {"code": code, "detail": detail, **more}
    if errors:
        body["errors"] = [{"pointer": p, "code": c, "message": m} for p, c, m in errors]
    return status, body


def refused(*items: tuple[str | None, str, str, str]) -> tuple[int, Any]:
    """The answer to a batch of which every item (id, code, pointer, message) is refused."""
    results = [
        {
            "index": index,
            "id": id,
            "status": "rejected",
            "retryable": False,
            "error": {"code": code, "pointer": pointer, "message": message},
        }
        for index, (id, code, pointer, message) in enumerate(items)
    ]
    return 200, {"accepted": 0, "rejected": len(items), "results": results}


@dataclass
class World:
    """`url` is where it is asked: the application itself, or what stands before it."""

    app: App
    ids: dict[str, str]
    credentials: dict[str, str]
    url: str

    async def answer(self, ask: Ask) -> tuple[int, Any]:
        """Status and body, without what differs from run to run."""
        headers = {name: self._filled(value) for name, value in ask.headers.items()}
        content = ask.body
        if content is not None and not isinstance(content, bytes):
            content = self._filled(msgspec.json.encode(content).decode()).encode()
            headers.setdefault("Content-Type", JSON)
        secret = self.credentials[ask.who]
        if secret:
            headers.setdefault("Authorization", f"Bearer {secret}")
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        async with client_of(self.url, timeout=60) as client:
            reply = await client.request(ask.method, self._filled(ask.path), content=content, headers=encoded)
        return reply.status_code, self._told(reply)

    async def answers(self, asked: Mapping[str, Ask]) -> dict[str, tuple[int, Any]]:
        return {name: await self.answer(ask) for name, ask in asked.items()}

    def _filled(self, text: str) -> str:
        for name, id in self.ids.items():
            text = text.replace("{" + name + "}", id)
        return text

    def _told(self, reply: httpx2.Response) -> Any:
        text = reply.text
        for name, id in self.ids.items():
            text = text.replace(id, "{" + name + "}")
        body = msgspec.json.decode(text) if text else None
        if isinstance(body, dict):
            assert body.pop("request_id", reply.headers["x-request-id"]) == reply.headers["x-request-id"]
            body.pop("batch_id", None)
            if reply.status_code >= 400 and "type" in body:
                assert reply.headers["content-type"] == "application/problem+json"
        return body


@asynccontextmanager
async def world(directory: Path, clock: ManualClock) -> AsyncIterator[World]:
    settings = load_settings({}, data_dir=directory / "data")
    settings.data_dir.mkdir()
    async with running(settings, clock) as app:
        yield await _peopled(app, clock)


async def _peopled(app: App, clock: ManualClock) -> World:
    async def made(path: str, body: dict[str, Any], client: Any = app.client, **headers: str) -> dict[str, Any]:
        reply = await client.post(path, json=body, headers=headers)
        assert reply.status_code in (200, 201), reply.text
        result: dict[str, Any] = reply.json()
        return result

    async def key(scopes: list[str], **more: Any) -> dict[str, Any]:
        return await made("/v1/keys", {"name": "one of many", "scopes": scopes, **more})

    soon = (clock() + timedelta(hours=1)).isoformat()
    expired, revoked = await key(["events:write"], expires_at=soon), await key(["events:write"])
    writer, reader = await key(["events:write"]), await key(["members:read", "rewards:read", "events:read"])
    assert (await app.client.delete(f"/v1/keys/{revoked['id']}")).status_code == 200
    ada = await made("/v1/members", {"display_name": "Ada", "identity": {"platform": "qq", "external_id": "1"}})
    early = await made("/v1/tokens", {"member_id": ada["id"]})
    async with client_of(app.url, headers={"Origin": app.url}) as owner:
        signed = await owner.post("/v1/sessions/sign-in", data={"token": app.sign_in_url.partition("token=")[2]})
        assert signed.status_code == 303, signed.text
        await app.settle()
        other = await made("/v1/communities", {"name": "Other"}, owner)
        await app.settle()
        there = {"Guildhall-Community": other["id"]}
        eve = await made("/v1/members", {"display_name": "Eve"}, owner, **there)
        their_key = await made("/v1/keys", {"name": "theirs", "scopes": ["events:write"]}, owner, **there)
        entry = {"member_id": eve["id"], "unit": "points", "amount": 5, "reason": "hello"}
        await app.settle()
        their_entry = await made("/v1/entries", entry, owner, **{**there, "Idempotency-Key": "theirs"})
    clock.advance(timedelta(hours=2))
    token = await made("/v1/tokens", {"member_id": ada["id"]})
    event = {"specversion": "1.0", "id": "theirs", "source": "/s", "type": "their.own", "data": {"actor": "qq:1"}}
    await app.settle()
    own_client = {"Authorization": f"Bearer {their_key['secret']}", "Content-Type": STRUCTURED}
    await made("/v1/events", event, **own_client)
    await app.settle()
    await made("/v1/entries", {**entry, "member_id": ada["id"]}, **{"Idempotency-Key": "used"})
    ids = {
        "ada": ada["id"],
        "eve": eve["id"],
        "other": other["id"],
        "here": str(app.community),
        "their_key": their_key["id"],
        "their_entry": their_entry["id"],
    }
    credentials = {
        "everything": app.api_key,
        "nobody": "",
        "expired key": expired["secret"],
        "revoked key": revoked["secret"],
        "writer": writer["secret"],
        "reader": reader["secret"],
        "ada": token["token"],
        "ada, an hour ago": early["token"],
        "forged key": "gh_live_" + "x" * 43,
        "forged token": token["token"][:-4] + "AAAA",
        "noise": "noise",
    }
    return World(app, ids, credentials, app.url)
