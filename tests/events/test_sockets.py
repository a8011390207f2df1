"""Bots that stand at the door with a WebSocket (OneBot's reverse WebSocket), as their programs do it."""

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kit.contracts import ACTIVITY_TOPIC
from kit.contracts.events import CallEnded
from kit.contracts.notify import CallWanted
from services.events.api import sockets
from services.events.handlers import calling
from services.events.store import calls as store
from tests.events.support import Events, Place, on_the_log
from tests.events.test_commands import connected, message, place, post

__all__ = ["place"]


def standing(made: dict[str, Any], secret: str | None = None, **headers: str) -> Any:
    """A bot with the connection's secret, or another."""
    token = made["secret"]["secrets"]["secret"] if secret is None else secret
    url = made["url"].replace("http", "ws", 1) + "/onebot"
    return connect(url, additional_headers={"Authorization": f"Bearer {token}", "X-Self-ID": "700001", **headers})


def wanted(place: Place, made: dict[str, Any], events: Events, **more: Any) -> CallWanted:
    fields: dict[str, Any] = {
        "community_id": place.id, "connection_id": UUID(made["id"]), "call_id": uuid4(), "group": "qq:100",
        "identity": "qq:9001", "text": "hello [CQ:at,qq=all]", "reply_to": "4007", "cause_id": None,
        "expires_at": events.clock() + timedelta(minutes=5),
    }  # fmt: skip
    return CallWanted(**{**fields, **more})


async def answering(bot: ClientConnection, heard: list[dict[str, Any]], **answer: Any) -> None:
    """Answer every call like a OneBot program."""
    with suppress(ConnectionClosed):
        async for frame in bot:
            call = json.loads(frame)
            heard.append(call)
            usual = {"status": "ok", "retcode": 0, "data": {"message_id": 5000 + len(heard)}}
            await bot.send(json.dumps({**usual, **answer, "echo": call["echo"]}))


async def ended(events: Events, count: int = 1) -> list[CallEnded]:
    async with asyncio.timeout(60):
        while True:
            told = [e for e in await on_the_log(events.log, ACTIVITY_TOPIC) if isinstance(e, CallEnded)]
            if len(told) >= count:
                return told
            await asyncio.sleep(0.05)


async def test_what_comes_over_a_socket_is_taken_like_deliveries(events: Events, place: Place) -> None:
    made = await connected(place)
    now = events.clock().timestamp()
    async with standing(made) as bot:
        for number in range(1, 51):
            await bot.send(json.dumps(message("hello", now, number)))
        await bot.send("this is no json")
        await bot.send(json.dumps(message("after it", now, 51)))
        async with asyncio.timeout(60):
            while len(await place.timeline(limit=100)) < 51:
                await asyncio.sleep(0.05)
    assert {a["source"] for a in await place.timeline(limit=100)} == {"/platforms/onebot-v11"}
    assert (await post(place, made, message("hello", now, 1))).status_code == 204
    await events.settle()
    assert len(await place.timeline(limit=100)) == 51


@pytest.mark.parametrize("secret", ["", "wrong"])
async def test_a_bot_without_the_secret_does_not_get_in(place: Place, secret: str) -> None:
    made = await connected(place)
    with pytest.raises(InvalidStatus) as refused:
        async with standing(made, secret):
            pass
    assert refused.value.response.status_code == 401


async def test_the_secret_may_stand_in_the_address(events: Events, place: Place) -> None:
    made = await connected(place)
    url = made["url"].replace("http", "ws", 1) + f"/onebot?access_token={made['secret']['secrets']['secret']}"
    async with connect(url) as bot:
        await bot.send(json.dumps(message("hello", events.clock().timestamp())))
        async with asyncio.timeout(60):
            while not await place.timeline():
                await asyncio.sleep(0.05)


async def test_who_does_not_connect_is_told_so(place: Place) -> None:
    made = await connected(place, platform="github")
    with pytest.raises(InvalidStatus) as refused:
        async with standing(made):
            pass
    assert refused.value.response.status_code == 400
    with pytest.raises(InvalidStatus) as unknown:
        async with standing({**made, "url": made["url"].replace(made["id"], str(uuid4()))}):
            pass
    assert unknown.value.response.status_code == 404


async def test_a_bot_whose_connection_is_switched_off_is_sent_away(events: Events, place: Place) -> None:
    made = await connected(place)
    async with standing(made) as bot:
        await place.client.patch(f"/v1/connections/{made['id']}", json={"active": False})
        events.clock.advance(timedelta(seconds=3))
        await bot.send(json.dumps(message("hello", events.clock().timestamp())))
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(bot.recv(), 10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_a_call_is_said_once_to_the_group_in_answer_to_the_message(events: Events, place: Place) -> None:
    made = await connected(place)
    heard: list[dict[str, Any]] = []
    call = wanted(place, made, events)
    async with standing(made) as bot:
        program = asyncio.create_task(answering(bot, heard))
        await events.hear(call)
        await events.hear(call)
        [told] = await ended(events)
        await asyncio.sleep(0.5)
        program.cancel()
    assert (told.call_id, told.outcome, told.reference) == (call.call_id, "sent", "5001")
    [said] = heard
    assert (said["action"], said["params"]["group_id"]) == ("send_group_msg", 100)
    assert said["params"]["message"] == [
        {"type": "reply", "data": {"id": "4007"}},
        {"type": "text", "data": {"text": "hello [CQ:at,qq=all]"}},
    ]


async def test_a_call_to_one_person_goes_to_them_alone(events: Events, place: Place) -> None:
    made = await connected(place)
    heard: list[dict[str, Any]] = []
    async with standing(made) as bot:
        program = asyncio.create_task(answering(bot, heard))
        await events.hear(wanted(place, made, events, group=None, reply_to=None))
        await ended(events)
        program.cancel()
    assert (heard[0]["action"], heard[0]["params"]["user_id"]) == ("send_private_msg", 9001)


async def test_a_call_the_bot_refuses_failed_with_its_number(events: Events, place: Place) -> None:
    made = await connected(place)
    async with standing(made) as bot:
        program = asyncio.create_task(answering(bot, [], status="failed", retcode=1404, data=None))
        await events.hear(wanted(place, made, events))
        [told] = await ended(events)
        program.cancel()
    assert (told.outcome, told.reason) == ("failed", "the bot refused: retcode 1404")


async def test_a_call_that_is_not_answered_is_unknown_and_never_made_again(
    events: Events, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "ANSWER_SECONDS", 0.3)
    made = await connected(place)
    async with standing(made) as bot:
        await events.hear(wanted(place, made, events))
        [told] = await ended(events)
        await bot.recv()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bot.recv(), 1)
    assert told.outcome == "unknown"


async def test_a_bot_that_goes_away_before_it_answers_leaves_an_unknown_call(events: Events, place: Place) -> None:
    made = await connected(place)
    async with standing(made) as bot:
        await events.hear(wanted(place, made, events))
        await bot.recv()
    [told] = await ended(events)
    assert (told.outcome, told.reason) == ("unknown", "the bot went away before it answered")


async def test_a_call_waits_for_its_bot_until_its_time_is_over(events: Events, place: Place) -> None:
    made = await connected(place)
    early, late = wanted(place, made, events), wanted(place, made, events, expires_at=events.clock())
    await events.hear(early, late)
    heard: list[dict[str, Any]] = []
    async with standing(made) as bot:
        program = asyncio.create_task(answering(bot, heard))
        told = await ended(events, 1)
        program.cancel()
    assert [(e.call_id, e.outcome) for e in told if e.outcome == "sent"] == [(early.call_id, "sent")]
    events.clock.advance(timedelta(seconds=1))
    await calling.give_up(events.runtime.services["events"])
    await events.settle()
    told = await ended(events, 2)
    assert {e.call_id: e.outcome for e in told} == {early.call_id: "sent", late.call_id: "expired"}


async def test_a_call_that_a_lost_process_began_is_unknown(events: Events, place: Place) -> None:
    made = await connected(place)
    call = wanted(place, made, events)
    await events.hear(call)
    async with events.db.begin() as tx:
        assert await store.move(tx, call_id=call.call_id, before=[store.WAITING], after=store.CALLING)
    events.clock.advance(timedelta(seconds=61))
    await calling.give_up(events.runtime.services["events"])
    await events.settle()
    assert [(e.call_id, e.outcome) for e in await ended(events)] == [(call.call_id, "unknown")]


async def test_of_two_that_claim_a_call_one_makes_it(events: Events, place: Place) -> None:
    made = await connected(place)
    call = wanted(place, made, events)
    await events.hear(call)
    async with events.db.read() as tx:
        [row] = await store.waiting(tx, connection_ids=[call.connection_id], limit=5)
    claims = await asyncio.gather(*(calling.claim(events.db, row) for _ in range(8)))
    assert claims.count(True) == 1


async def test_a_bot_that_only_posts_is_answered_in_its_delivery_when_the_answer_is_there_in_time(
    events: Events, place: Place
) -> None:
    made = await connected(place)
    body = message("/points", events.clock().timestamp())
    delivering = asyncio.create_task(post(place, made, body))
    async with asyncio.timeout(60):
        while not (commands := await place.timeline(type="command.invoked")):
            await asyncio.sleep(0.02)
    await events.hear(wanted(place, made, events, cause_id=UUID(commands[0]["event_id"]), text="You have 12 points."))
    answer = await delivering
    assert answer.status_code == 200
    assert answer.json()["reply"] == [{"type": "text", "data": {"text": "You have 12 points."}}]
    await events.settle()
    [told] = await ended(events)
    assert (told.outcome, told.reason) == ("sent", "in the answer to the delivery")


async def test_an_open_socket_is_a_sign_of_life(events: Events, place: Place) -> None:
    made = await connected(place)
    async with standing(made):
        async with asyncio.timeout(60):
            while (await place.get(f"/v1/connections/{made['id']}"))["beat_at"] is None:
                await asyncio.sleep(0.1)


async def test_a_bot_that_is_slow_to_answer_keeps_no_other_waiting(events: Events, place: Place) -> None:
    slow, quick = await connected(place), await connected(place, name="second bot")
    async with standing(slow) as silent, standing(quick) as bot:
        await events.hear(wanted(place, slow, events), wanted(place, slow, events))
        await silent.recv()
        program = asyncio.create_task(answering(bot, []))
        call = wanted(place, quick, events)
        await events.hear(call)
        told = await ended(events)
        program.cancel()
    assert [(e.call_id, e.outcome) for e in told] == [(call.call_id, "sent")]


async def test_a_member_who_is_called_heartbeat_is_no_sign_of_life(
    events: Events, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "BEAT", timedelta(seconds=0.2))
    made = await connected(place)
    async with standing(made) as bot:
        said = message("hello", events.clock().timestamp())
        said["sender"]["nickname"] = "heartbeat"
        await bot.send(json.dumps(said))
        async with asyncio.timeout(60):
            while not await place.timeline():
                await asyncio.sleep(0.05)
        events.clock.advance(timedelta(minutes=1))
        now = events.clock().isoformat().replace("+00:00", "Z")
        async with asyncio.timeout(60):
            while (await place.get(f"/v1/connections/{made['id']}"))["beat_at"] != now:
                await asyncio.sleep(0.1)


async def test_who_tries_secrets_is_not_looked_at_for_a_while(place: Place) -> None:
    made = await connected(place)
    seen = set()
    for _ in range(70):
        with pytest.raises(InvalidStatus) as refused:
            async with standing(made, "wrong"):
                pass
        seen.add(refused.value.response.status_code)
    assert seen == {401, 429}
