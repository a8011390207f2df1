"""docs/permissions.md against the running product: each route is asked with and without what the page says it needs."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from kit.auth import COMMUNITY_SCOPES, ROLES
from tests.support.http import client_of
from tests.support.platform import App

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
ROUTE = re.compile(r"^\| `([A-Z]+) (/[^`]*)` \| (.+?) \| (yes|no|) ?\|", re.MULTILINE)

NOTHING, SESSION, LINK, EVERY = "nothing", "the session's cookie", "a one-time token", "every scope"
SIGNATURE = "the platform's signature"


def documented() -> dict[tuple[str, str], tuple[str, str]]:
    found = ROUTE.findall(PAGE.read_text())
    return {(method, path): (needs.strip("`"), member) for method, path, needs, member in found}


class Caller:
    """Asks any route with any credential, an empty body and ids of nothing."""

    def __init__(self, app: App, client: httpx2.AsyncClient) -> None:
        self._app = app
        # No key of its own: what is asked with is what the test says.
        self._client = client

    async def ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        url = re.sub(r"\{[^}]+\}", str(uuid4()), path)
        body = None if method in ("GET", "DELETE") else {}
        request = self._client.stream(method, url, params={"service": "members"}, json=body, headers=headers)
        async with request as reply:
            if "json" not in reply.headers.get("content-type", ""):
                return reply.status_code, {}
            await reply.aread()
            parsed = reply.json()
            return reply.status_code, parsed if isinstance(parsed, dict) else {}

    async def key(self, *scopes: str) -> dict[str, str]:
        made = {"name": "k", "kind": "bot", "mode": "live", "scopes": sorted(scopes)}
        reply = await self._app.client.post("/v1/keys", json=made)
        assert reply.status_code == 201, reply.text
        return {"Authorization": f"Bearer {reply.json()['secret']}"}

    async def member_token(self) -> dict[str, str]:
        event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "message.created", "data": {"actor": "t:1"}}
        kind = {"Content-Type": "application/cloudevents+json"}
        assert (await self._app.client.post("/v1/events", json=event, headers=kind)).is_success
        await self._app.settle()
        member = (await self._app.client.get("/v1/members")).json()["items"][0]["id"]
        reply = await self._app.client.post("/v1/tokens", json={"member_id": member})
        return {"Authorization": f"Bearer {reply.json()['token']}"}


async def routes(app: App) -> list[tuple[str, str]]:
    paths = (await app.client.get("/openapi.json")).json()["paths"]
    return [(method.upper(), path) for path, operations in sorted(paths.items()) for method in sorted(operations)]


@pytest.fixture
async def caller(app: App) -> AsyncIterator[Caller]:
    async with client_of(app.url, timeout=10) as client:
        yield Caller(app, client)


async def test_the_page_says_of_every_route_what_it_needs(app: App, caller: Caller) -> None:
    token = await caller.member_token()
    only = {scope: await caller.key(scope) for scope in sorted(COMMUNITY_SCOPES)}
    without = {scope: await caller.key(*(COMMUNITY_SCOPES - {scope})) for scope in sorted(COMMUNITY_SCOPES)}
    every = await caller.key(*COMMUNITY_SCOPES)
    await app.settle()
    page = documented()
    assert sorted(page) == sorted(await routes(app)), "a line for every route, and none for one that is gone"
    wrong = []
    for (method, path), (needs, member) in sorted(page.items()):
        nobody, _ = await caller.ask(method, path, {})
        if needs == NOTHING:
            right = nobody not in (401, 403)
        elif needs == SIGNATURE:
            # There is no such connection; that a wrong signature is refused is shown platform by platform.
            right = nobody == 404
        elif needs in (SESSION, LINK):
            right = nobody in (401, 403, 422)
        else:
            scopes = sorted(COMMUNITY_SCOPES) if needs == EVERY else [needs]
            lacking = [await caller.ask(method, path, without[scope]) for scope in scopes]
            having = await caller.ask(method, path, only.get(needs, every))
            as_member = await caller.ask(method, path, token)
            right = (
                nobody == 401
                and {(status, body.get("code")) for status, body in lacking} == {(403, "scope_missing")}
                and having[0] != 401
                and having[1].get("code") != "scope_missing"
                and ("no" if as_member[1].get("code") == "scope_missing" else "yes") == member
            )
        if not right:
            wrong.append(f"{method} {path}: not {needs}, member {member or '-'}")
    assert not wrong


@pytest.mark.parametrize("role", sorted(ROLES))
def test_the_page_says_what_each_role_may(role: str) -> None:
    lines = PAGE.read_text().splitlines()
    names = [name.strip() for name in next(line for line in lines if line.startswith("| scope |")).split("|")[2:-1]]
    column = names.index(role)
    table = {
        line.split("|")[1].strip(" `"): line.split("|")[2:-1]
        for line in lines
        if re.match(r"\| `[a-z]+:[a-z]+` ", line)
    }
    assert set(table) == COMMUNITY_SCOPES
    assert {scope for scope, cells in table.items() if cells[column].strip() == "yes"} == ROLES[role]
