"""A credential that asks too often is told so, in time and by itself (K14)."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.settings import load_settings
from services.compose import SERVICES
from tests.support.databases import _template_sqlite
from tests.support.http import client_of
from tests.support.platform import App, running

BURST = 40


@pytest.fixture
async def slow(tmp_path: Path, sqlite_templates: Path) -> AsyncIterator[App]:
    """A platform that lets each credential ask 40 times at once, and once in 20 minutes after that."""
    for service in SERVICES:
        shutil.copy(await _template_sqlite(service, sqlite_templates), tmp_path)
    settings = load_settings({}, data_dir=tmp_path, rate_burst=BURST, rate_per_second=1 / 1200)
    async with running(settings, migrating=False) as app:
        yield app


async def test_every_answer_tells_what_is_left_and_the_one_too_many_when_to_come_back(slow: App) -> None:
    """Each service counts for itself; here all of it is asked of one."""
    event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "message.created", "data": {"actor": "qq:1"}}
    media = {"Content-Type": "application/cloudevents+json"}
    left = []
    while True:
        reply = await slow.client.post("/v1/events", json=event, headers=media)
        assert reply.headers["ratelimit-limit"] == str(BURST)
        left.append(int(reply.headers["ratelimit-remaining"]))
        if reply.status_code != 200:
            break
    assert left[:-1] == list(range(left[0], -1, -1))
    assert (reply.status_code, reply.json()["code"]) == (429, "rate_limited")
    assert 1100 <= int(reply.headers["retry-after"]) <= 1200
    assert int(reply.headers["ratelimit-reset"]) >= int(reply.headers["retry-after"])


async def test_a_route_of_the_framework_counts_and_refuses_as_well_and_another_credential_goes_on(slow: App) -> None:
    made = await slow.client.post("/v1/keys", json={"name": "other", "scopes": ["events:read", "rewards:read"]})
    assert made.status_code == 201, made.text
    for _ in range(BURST + 1):
        reply = await slow.client.get("/v1/units")
    assert (reply.status_code, reply.json()["code"]) == (429, "rate_limited")
    assert reply.headers["ratelimit-remaining"] == "0"
    await slow.settle()
    headers = {"Authorization": f"Bearer {made.json()['secret']}"}
    async with client_of(slow.url, headers=headers) as other:
        assert (await other.get("/v1/units")).status_code == 200


async def test_an_answer_to_nobody_counts_for_nobody(slow: App) -> None:
    async with client_of(slow.url) as stranger:
        for _ in range(BURST + 5):
            reply = await stranger.get("/v1/units")
        assert reply.status_code == 401
        assert "ratelimit-limit" not in reply.headers
