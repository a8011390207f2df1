"""Dead letters as people meet them: over the API and on the command line (K33)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from typer.testing import CliRunner

from kit import codec, copies
from kit.auth import COMMUNITY_SCOPES, hash_secret
from kit.clock import system_clock, uuid7
from kit.contracts import MEMBERS_TOPIC
from kit.contracts.members import CommunityChanged
from kit.contracts.platform import KeyUsed
from kit.database import Database
from kit.http.app import build_app
from kit.log import Record
from kit.log.embedded import EmbeddedLog
from kit.runtime import Runtime
from services import server
from services.commands.dead_letters import cli
from tests.kit.stand import bearer, key_changed
from tests.kit.toy import POISON, Toy, uses
from tests.support.http import client_of

SECRET = "gh_live_" + "d" * 43
OF = {"service": "toy"}


@dataclass
class Bench:
    runtime: Runtime
    client: httpx2.AsyncClient
    community: UUID

    @property
    def db(self) -> Database:
        return self.runtime.services["toy"].db

    async def fail(self, *keys: UUID, community: UUID | None = None) -> None:
        """Events that the toy's handler gives up on, as the consumer meets them."""
        now = system_clock()
        for key in keys or (POISON,):
            body = codec.encode(KeyUsed(key_id=key, used_at=now), id=uuid7(now), time=now)
            wire = json.loads(body) | {"communityid": str(community or self.community)}
            await self.runtime.log.append(MEMBERS_TOPIC, [Record(b"k", json.dumps(wire).encode())])
        await self.runtime.settle()

    async def key(self, *scopes: str) -> dict[str, str]:
        secret = f"gh_live_{uuid4().hex}{uuid4().hex}"
        await self.know(key_changed(system_clock(), hash_secret(secret), (self.community,), frozenset(scopes)))
        return bearer(secret)

    async def know(self, *events: Any) -> None:
        async with self.db.begin() as tx:
            await copies.apply(tx, events)

    async def letters(self, **query: str) -> list[dict[str, Any]]:
        reply = await self.client.get("/v1/dead-letters", params={**OF, **query})
        assert reply.status_code == 200, reply.text
        return list(reply.json()["items"])

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self.client.post(f"/v1/dead-letters/{path}", params=OF, json=body)


@asynccontextmanager
async def standing(directory: Path) -> AsyncIterator[Bench]:
    runtime = Toy().runtime(EmbeddedLog(directory / "log.sqlite"), data_dir=directory, dead_letters_in_a_row=1000)
    await runtime.start(migrating=True)
    listener = server.bind("127.0.0.1", 0)
    http = server.make_server(build_app(runtime), 5)
    serving = asyncio.create_task(http.serve(sockets=[listener]))
    async with client_of(server.url_of(listener), headers=bearer(SECRET), timeout=30) as client:
        bench = Bench(runtime, client, uuid4())
        for id in (bench.community, uuid4()):
            await bench.know(
                CommunityChanged(
                    community_id=id, version=1, name="n", zone="UTC", day_start=0, locale="en", state="active"
                )
            )
        await bench.know(key_changed(system_clock(), hash_secret(SECRET), (bench.community,), COMMUNITY_SCOPES))
        yield bench
    http.should_exit = True
    await serving
    await runtime.stop()
    listener.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with standing(tmp_path) as made:
        yield made


async def test_a_letter_shows_the_original_bytes_and_why_it_was_given_up(bench: Bench) -> None:
    await bench.fail()
    [letter] = await bench.letters()
    assert (letter["code"], letter["state"], letter["attempts"]) == ("poison", "dead", 1)
    assert letter["consumer"] == f"guildhall.toy:{MEMBERS_TOPIC}"
    assert json.loads(letter["body"])["data"]["key_id"] == str(POISON)
    assert json.loads(letter["body"])["id"] == letter["event_id"]
    assert len(letter["stack_digest"]) == 16


async def test_a_retry_says_how_it_went(bench: Bench) -> None:
    await bench.fail()
    [letter] = await bench.letters()
    reply = await bench.post(f"{letter['id']}/retry")
    assert (reply.status_code, reply.json()["state"], reply.json()["attempts"]) == (200, "dead", 2)


async def test_a_mended_letter_has_its_effect_once_and_is_closed(bench: Bench) -> None:
    await bench.fail()
    [letter] = await bench.letters()
    good = uuid4()
    mended = letter["body"].replace(str(POISON), str(good))
    reply = await bench.post(f"{letter['id']}/edit-and-retry", body=mended)
    assert (reply.status_code, reply.json()["state"]) == (200, "retried")
    assert await uses(bench.db) == {good: 1}
    again = await bench.post(f"{letter['id']}/edit-and-retry", body=mended)
    assert (again.status_code, again.json()["code"]) == (409, "dead_letter_closed")
    assert await uses(bench.db) == {good: 1}
    assert await bench.letters() == []
    assert [one["id"] for one in await bench.letters(state="retried")] == [letter["id"]]


async def test_a_mended_letter_keeps_its_id_and_its_community(bench: Bench) -> None:
    await bench.fail()
    [letter] = await bench.letters()
    wire = json.loads(letter["body"])
    for change, code in (
        ({"id": str(uuid4())}, "event_id_changed"),
        ({"communityid": str(uuid4())}, "community_changed"),
    ):
        reply = await bench.post(f"{letter['id']}/edit-and-retry", body=json.dumps(wire | change))
        assert (reply.status_code, reply.json()["code"]) == (422, code)
    assert [one["attempts"] for one in await bench.letters()] == [1]


async def test_a_discarded_letter_keeps_the_reason_and_has_no_effect(bench: Bench) -> None:
    await bench.fail()
    [letter] = await bench.letters()
    assert (await bench.post(f"{letter['id']}/discard", reason="")).status_code == 422
    reply = await bench.post(f"{letter['id']}/discard", reason="a test")
    assert (reply.json()["state"], reply.json()["reason"]) == ("discarded", "a test")
    assert (await bench.post(f"{letter['id']}/retry")).json()["code"] == "dead_letter_closed"
    assert await uses(bench.db) == {}


async def test_all_of_one_code_are_retried_or_discarded_together(bench: Bench) -> None:
    await bench.fail(*[POISON] * 5)
    assert (await bench.post("bulk", action="discard", code="another")).json() == {
        "retried": 0,
        "discarded": 0,
        "still_dead": 0,
    }
    assert (await bench.post("bulk", action="retry", code="poison")).json()["still_dead"] == 5
    assert (await bench.post("bulk", action="discard", code="poison", reason="test")).json()["discarded"] == 5
    assert await bench.letters() == []


async def test_pages_go_through_all_letters_newest_first_and_show_each_once(bench: Bench) -> None:
    await bench.fail(*[POISON] * 11)
    seen: list[str] = []
    query = {**OF, "limit": "4"}
    while True:
        page = (await bench.client.get("/v1/dead-letters", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len(seen) == len(set(seen)) == 11
    created = [one["created_at"] for one in await bench.letters(limit="200")]
    assert created == sorted(created, reverse=True)
    assert [one["id"] for one in await bench.letters(limit="200")] == seen


async def test_letters_of_another_community_do_not_exist_for_us(bench: Bench) -> None:
    await bench.fail(community=uuid4())
    assert await bench.letters() == []
    async with bench.db.read() as tx:
        from kit.dead_letters import list_dead

        [letter] = await list_dead(tx)
    for path, body in (("retry", {}), ("discard", {"reason": "x"}), ("edit-and-retry", {"body": "{}"})):
        assert (await bench.post(f"{letter.id}/{path}", **body)).status_code == 404
    assert (await bench.post("bulk", action="discard", code="poison")).json()["discarded"] == 0


async def test_looking_and_acting_need_their_scopes(bench: Bench) -> None:
    await bench.fail()
    [letter] = await bench.letters()
    reader = await bench.key("ops:read")
    assert (await bench.client.get("/v1/dead-letters", params=OF, headers=reader)).status_code == 200
    reply = await bench.client.post(f"/v1/dead-letters/{letter['id']}/retry", params=OF, headers=reader)
    assert (reply.status_code, reply.json()["scope"]) == (403, "ops:write")
    for path in (f"{letter['id']}/discard", f"{letter['id']}/edit-and-retry", "bulk"):
        # Told before the empty body is: who may not write learns nothing of what fits.
        reply = await bench.client.post(f"/v1/dead-letters/{path}", params=OF, json={}, headers=reader)
        assert (reply.status_code, reply.json()["code"]) == (403, "scope_missing")
    nobody = await bench.key("rewards:read")
    assert (await bench.client.get("/v1/dead-letters", params=OF, headers=nobody)).status_code == 403


async def test_a_service_that_is_not_here_and_a_letter_that_is_none_are_404(bench: Bench) -> None:
    reply = await bench.client.get("/v1/dead-letters", params={"service": "plumbing"})
    assert (reply.status_code, reply.json()["code"]) == (404, "service_unknown")
    assert (await bench.post(f"{uuid4()}/retry")).status_code == 404
    for cursor in ("rubbish!", "W10", "WzEsMl0"):
        reply = await bench.client.get("/v1/dead-letters", params={**OF, "cursor": cursor})
        assert (reply.status_code, reply.json()["code"]) == (400, "cursor_invalid")


async def test_the_command_line_lists_retries_and_discards(bench: Bench) -> None:
    await bench.fail()
    [letter] = await bench.letters()
    common = ["--service", "toy", "--key", SECRET, "--url", str(bench.client.base_url).rstrip("/")]

    async def run(*arguments: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner(env={"COLUMNS": "300"}).invoke, cli, [*arguments, *common])
        # The server's own log lines stand between: it runs in this process.
        return done.exit_code, "\n".join(line for line in done.output.splitlines() if not line.startswith("["))

    code, output = await run("list")
    assert code == 0
    assert letter["id"] in output
    assert "poison" in output
    assert await run("retry", letter["id"]) == (0, "dead: this key is poison")
    assert await run("discard", letter["id"], "--reason", "a test") == (0, "discarded")
    code, output = await run("retry", letter["id"])
    assert code == 1
    assert "dead_letter_closed" in output
