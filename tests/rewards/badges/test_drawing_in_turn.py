"""Certificates over HTTP when many want one at once, and those that nobody gets."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import pytest

from services.rewards.api import desk
from services.rewards.domain.paper import Paper
from tests.rewards.serving import Rewards


class Pen:
    """Stands in for the drawing libraries, and takes as long as the test says."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.begun = threading.Event()
        self.drawn: list[str] = []
        self._one = threading.Lock()

    def draw(self, paper: Paper, format: str, font: str) -> bytes:
        member = paper.lines[3].text
        assert self._one.acquire(blocking=False), "one at a time"
        self.begun.set()
        self.free.wait(20)
        self._one.release()
        self.drawn.append(member)
        return f"{member} {format}".encode()


@pytest.fixture
def pen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pen]:
    one = Pen()
    monkeypatch.setattr(desk, "_draw", one.draw)
    yield one
    one.free.set()


async def found(rewards: Rewards, *names: str) -> list[str]:
    """A badge that these hold; where their certificates are."""
    body = {"id": "founder", "name": "Founder", "criterion": {"kind": "hand"}}
    assert (await rewards.client.post("/v1/badges", json=body)).status_code == 201
    out = []
    for name in names:
        await rewards.guild.know(name, display_name=name)
        url = f"/v1/badges/founder/members/{rewards.guild.member(name)}"
        assert (await rewards.client.post(url, json={"reason": "Was there"})).status_code == 201
        out.append(f"{url}/certificate")
    return out


def code_of(reply: httpx2.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


async def begin(rewards: Rewards, pen: Pen, url: str, **more: Any) -> "asyncio.Task[httpx2.Response]":
    """A request whose certificate is being drawn."""
    task = asyncio.create_task(rewards.client.get(url, **more))
    await asyncio.to_thread(pen.begun.wait, 20)
    return task


async def test_a_few_wait_for_their_turn_and_who_comes_after_them_is_told_to_come_again_at_once(
    rewards: Rewards, pen: Pen
) -> None:
    urls = await found(rewards, *[f"p{n}" for n in range(desk.MOST_WAITING + 3)])
    first = await begin(rewards, pen, urls[0])
    # All at once: two of these find the line full, and come back while the first is still being drawn.
    others = [asyncio.create_task(rewards.client.get(url)) for url in urls[1:]]
    refused: list[httpx2.Response] = []
    for done in asyncio.as_completed(others):
        refused.append(await done)
        if len(refused) == 2:
            break
    assert [code_of(reply) for reply in refused] == [(503, "drawing_busy")] * 2
    assert all(int(reply.headers["Retry-After"]) > 0 for reply in refused)
    assert pen.drawn == []
    pen.free.set()
    replies = [await first, *[await task for task in others]]
    assert sorted(reply.status_code for reply in replies) == [200] * (desk.MOST_WAITING + 1) + [503] * 2


async def test_nobody_has_two_places_in_the_line(rewards: Rewards, pen: Pen) -> None:
    (mine, yours) = await found(rewards, "ann", "bob")
    first = await begin(rewards, pen, mine, params={"format": "pdf"})
    second = await rewards.client.get(mine, params={"format": "png"})
    assert code_of(second) == (503, "drawing_busy")
    assert second.headers["Retry-After"] == "1"
    other = asyncio.create_task(rewards.client.get(yours))
    pen.free.set()
    assert [(await task).status_code for task in (first, other)] == [200, 200]
    assert (await rewards.client.get(mine, params={"format": "png"})).content == b"ann png"


async def test_who_went_away_while_theirs_was_drawn_lets_nobody_draw_beside_it(rewards: Rewards, pen: Pen) -> None:
    (mine, yours) = await found(rewards, "ann", "bob")
    first = await begin(rewards, pen, mine)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    other = asyncio.create_task(rewards.client.get(yours))
    await asyncio.sleep(0.1)
    pen.free.set()
    assert (await other).content == b"bob pdf"


async def test_a_certificate_is_drawn_once_as_long_as_it_says_the_same(rewards: Rewards, pen: Pen) -> None:
    pen.free.set()
    (url,) = await found(rewards, "ann")
    for _ in range(3):
        assert (await rewards.client.get(url)).content == b"ann pdf"
    assert pen.drawn == ["ann"]
    await rewards.guild.know("ann", display_name="Anna", version=2)
    assert (await rewards.client.get(url)).content == b"Anna pdf"


def test_what_is_kept_of_drawn_files_is_bounded() -> None:
    async def ask() -> int:
        one = desk.Desk()
        for n in range(desk.MOST_KEPT + 5):
            assert await one.sheet(n, "ann", partial(bytes, 3)) == b"\0\0\0"
        return one.kept

    assert asyncio.run(ask()) == desk.MOST_KEPT


async def test_who_was_erased_has_no_certificate(rewards: Rewards, pen: Pen) -> None:
    pen.free.set()
    (url,) = await found(rewards, "ann")
    assert (await rewards.client.get(url)).status_code == 200
    await rewards.guild.know("ann", display_name="erased", state="erased", version=2)
    assert await rewards.refused("GET", url) == (404, "certificate_unknown")
    assert len(pen.drawn) == 1


@pytest.mark.parametrize("host", ["h" * 300, "rewards.example/elsewhere?", "a b", "ä.example", "me@rewards.example"])
async def test_an_address_that_is_none_stands_on_no_certificate(rewards: Rewards, pen: Pen, host: str) -> None:
    pen.free.set()
    (url,) = await found(rewards, "ann")
    reply = await rewards.client.get(url, headers={"Host": host.encode()})
    assert code_of(reply) == (400, "host_invalid")
    assert (await rewards.client.get(url, headers={"Host": "[::1]:8000"})).status_code == 200
