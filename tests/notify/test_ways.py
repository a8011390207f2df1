"""Ways out of our own: set up without their secrets being seen again, calls on record before they are made, troubles
told apart. The bots' APIs are servers on loopback."""

import asyncio
import os
import signal
import sys
from typing import Any
from uuid import UUID, uuid4

import pytest

from kit.database import DatabaseUnavailable
from kit.metrics import PROVIDER_BUSY
from kit.outside import Outside
from services.notify.handlers.calling import give_up_overdue, send_next
from tests.notify.chats import (
    ONEBOT_OK,
    TELEGRAM,
    TELEGRAM_OK,
    Api,
    Behaviour,
    Command,
    answering,
    api,
    command,
    cut,
    hang_up,
    later,
    maker,
    set_up,
    tell,
    wanted,
)  # isort: skip  # fmt: skip
from tests.notify.support import Notify

IN_TELEGRAM: dict[str, Any] = {"actor": TELEGRAM["actor"], "data": {"group": TELEGRAM["group"], "ref": None}}
ALONE: dict[str, Any] = {"actor": TELEGRAM["actor"], "data": {"group": None, "ref": None}}


async def asked_of(notify: Notify, bot: Api, kind: str = "telegram", **more: Any) -> Command:
    """Somebody asks for points through a connection that has a channel."""
    connection = uuid4()
    await set_up(notify.place, kind, bot.url, connection)
    fields = {**(IN_TELEGRAM if kind == "telegram" else {}), "subject": "-100200:9", **more}
    asked = Command(notify.place, connection, fields.pop("actor", "qq:10001"))
    await tell(asked, **fields)
    await notify.hear(asked.points())
    return asked


async def test_telegram_says_it_in_answer_to_the_message(notify: Notify) -> None:
    async with api(TELEGRAM_OK) as bot:
        asked = await asked_of(notify, bot)
        message = await asked.becomes("sent")
    [(path, headers, body)] = bot.asked
    assert path == "/bot123:secret-token/sendMessage"
    assert body == {
        "chat_id": -100200,
        "text": "You have 120 points.",
        "reply_parameters": {"message_id": 9, "allow_sending_without_reply": True},
    }
    assert headers["host"] == bot.url.removeprefix("http://")
    assert message["channel"] == "telegram"
    assert (await asked.steps())[-3:] == [("send", "passed"), ("attempt", "made"), ("outcome", "sent")]
    assert await wanted(notify) == []


async def test_onebot_says_names_as_text_whatever_is_in_them(notify: Notify) -> None:
    async with api(ONEBOT_OK) as bot:
        connection = uuid4()
        await set_up(notify.place, "onebot", bot.url, connection)
        asked = Command(notify.place, connection, "qq:10001")
        await tell(asked)
        await notify.hear(asked.answer("rank.none", {"board": "[CQ:at,qq=all] <b>&amp;*_`"}))
        await asked.becomes("sent")
    [(path, headers, body)] = bot.asked
    assert (path, headers["authorization"]) == ("/send_group_msg", "Bearer 123:secret-token")
    assert body == {
        "group_id": 555,
        "message": [
            {"type": "reply", "data": {"id": "-77"}},
            {"type": "text", "data": {"text": "You are not on “[CQ:at,qq=all] <b>&amp;*_`” yet."}},
        ],
    }


@pytest.mark.parametrize(
    ("kind", "behave", "state", "reason"),
    [
        ("telegram", answering(400, {"ok": False, "description": "Bad Request"}), "not_sent", "provider_refused"),
        ("telegram", answering(401, {"ok": False, "description": "Unauthorized"}), "not_sent", "token_refused"),
        ("telegram", answering(302, b"", Location="http://127.0.0.1:1/"), "not_sent", "redirected"),
        ("telegram", answering(200, b"<html>"), "unknown", "answer_unclear"),
        ("telegram", cut, "unknown", "answer_unclear"),
        ("telegram", hang_up, "unknown", "no_answer"),
        ("onebot", answering(403, b""), "not_sent", "token_refused"),
        ("onebot", answering(200, {"status": "failed", "retcode": 1404}), "not_sent", "api_missing"),
        ("onebot", answering(200, {"status": "failed", "retcode": 100, "wording": "no"}), "not_sent", "bot_refused"),
        (
            "onebot",
            answering(200, {"status": "failed", "retcode": 1200, "message": "Timeout: NTEvent"}),
            "unknown",
            "not_confirmed",
        ),
        ("onebot", answering(200, {"status": "async", "retcode": 1, "data": None}), "sent", None),
    ],
)
async def test_each_answer_means_one_thing_and_is_asked_for_once(
    notify: Notify, kind: str, behave: Behaviour, state: str, reason: str | None
) -> None:
    async with api(behave) as bot:
        asked = await asked_of(notify, bot, kind)
        message = await asked.becomes(state)
        assert message["reason"] == reason
        await later(notify, 299)
        await asyncio.sleep(0.2)
    assert len(bot.asked) == 1


async def test_who_blocked_the_bot_is_suppressed_and_a_group_that_put_it_out_is_nobody(notify: Notify) -> None:
    no = answering(403, {"ok": False, "description": "Forbidden: bot was blocked by the user"})
    async with api(no) as bot:
        alone = await asked_of(notify, bot, **ALONE)
        assert (await alone.becomes("not_sent"))["reason"] == "blocked_by_user"
        assert bot.asked[0][2]["chat_id"] == 77
    async with api(answering(403, {"ok": False, "description": "Forbidden: bot was kicked"})) as bot:
        await (await asked_of(notify, bot)).becomes("not_sent")
    [one] = (await notify.place.get("/v1/suppressions"))["items"]
    assert (one["member_id"], one["reason"]) == (str(alone.member), "blocked")


@pytest.mark.parametrize("behave", [answering(500, b""), answering(502, {"ok": False})], ids=["500", "502"])
async def test_what_was_not_said_is_tried_again_and_said_once(notify: Notify, behave: Behaviour) -> None:
    async with api(TELEGRAM_OK) as bot:
        bot.next = [behave]
        asked = await asked_of(notify, bot)
        while ("outcome", "retry") not in await asked.steps():
            await asyncio.sleep(0.05)
        await later(notify, 5)
        await asked.becomes("sent")
    assert len(bot.asked) == 2


async def test_a_provider_that_is_busy_puts_off_the_whole_bot_and_no_other(notify: Notify) -> None:
    busy = answering(429, {"ok": False, "description": "Too Many", "parameters": {"retry_after": 20}})
    before = PROVIDER_BUSY.labels("telegram")._value.get()
    async with api(TELEGRAM_OK) as bot, api(TELEGRAM_OK) as other:
        bot.next = [busy]
        first = await asked_of(notify, bot)
        while ("outcome", "retry") not in await first.steps():
            await asyncio.sleep(0.05)
        second = Command(notify.place, first.connection, "telegram:78")
        await tell(second, data=IN_TELEGRAM["data"])
        await notify.hear(second.points())
        await (await asked_of(notify, other)).becomes("sent")
        assert (len(bot.asked), (await second.message())["state"]) == (1, "queued")
        await later(notify, 20)
        await first.becomes("sent")
        await second.becomes("sent")
    assert PROVIDER_BUSY.labels("telegram")._value.get() - before == 1


async def test_a_delay_beyond_the_window_ends_it(notify: Notify) -> None:
    async with api(answering(429, {"parameters": {"retry_after": 3000}})) as bot:
        message = await (await asked_of(notify, bot)).becomes("expired")
    assert message["reason"] == "expired"


async def test_a_provider_that_is_down_is_left_alone_after_five_troubles_and_tried_by_one(notify: Notify) -> None:
    async with api(answering(500, b"")) as bot:
        connection = uuid4()
        made = await set_up(notify.place, "telegram", bot.url, connection)
        people = [Command(notify.place, connection, f"telegram:{n}") for n in range(1, 9)]
        await asyncio.gather(*(tell(one, data=IN_TELEGRAM["data"]) for one in people))
        await notify.hear(*(one.points() for one in people))
        while (await notify.place.get(f"/v1/channels/{made['id']}"))["failures"] < 5:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert len(bot.asked) == 5
        await later(notify, 30)
        while (await notify.place.get(f"/v1/channels/{made['id']}"))["failures"] < 6:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert len(bot.asked) == 6
        bot.usual = TELEGRAM_OK
        await later(notify, 120)
        for one in people:
            await one.becomes("sent")
    assert (await notify.place.get(f"/v1/channels/{made['id']}"))["failures"] == 0


async def test_an_api_that_cannot_be_reached_is_tried_again_until_the_window_ends(notify: Notify) -> None:
    async with api(TELEGRAM_OK) as bot:
        pass
    asked = await asked_of(notify, bot)
    while ("outcome", "retry") not in await asked.steps():
        await asyncio.sleep(0.05)
    await later(notify, 300)
    assert (await asked.becomes("expired"))["reason"] == "expired"


async def test_a_database_that_is_away_for_a_moment_cuts_off_no_call(
    notify: Notify, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking, away = asyncio.Event(), asyncio.Event()

    async def unavailable(_: Any) -> int:
        away.set()
        raise DatabaseUnavailable("gone for a moment")

    async def slowly(bot: Api, writer: asyncio.StreamWriter) -> None:
        asking.set()
        await away.wait()
        await TELEGRAM_OK(bot, writer)

    async with api(slowly) as bot, asyncio.timeout(30):
        asked = await asked_of(notify, bot)
        await asking.wait()
        monkeypatch.setattr("services.notify.loops.give_up_overdue", unavailable)
        await away.wait()
        await asked.becomes("sent")
    assert len(bot.asked) == 1


async def test_two_replicas_say_each_thing_once(notify: Notify) -> None:
    async with api(TELEGRAM_OK) as bot:
        connection = uuid4()
        made = await set_up(notify.place, "telegram", bot.url, connection, secrets={"token": "1:a"})
        people = [Command(notify.place, connection, f"telegram:{n}") for n in range(1, 21)]
        one = notify.runtime.services["notify"]
        outside = Outside(private=True)

        async def replica() -> None:
            while len(bot.asked) < 20:
                await send_next(one, outside, UUID(made["id"]))
                await asyncio.sleep(0)

        await asyncio.gather(*(tell(each, data=IN_TELEGRAM["data"]) for each in people))
        async with asyncio.timeout(60):
            await asyncio.gather(notify.hear(*(each.points(n) for n, each in enumerate(people))), replica(), replica())
        for each in people:
            await each.becomes("sent")
        await outside.close()
    assert sorted(body["text"] for _, _, body in bot.asked) == sorted(f"You have {n} points." for n in range(20))


KILLED = """
import asyncio, os, sys
from pathlib import Path
from uuid import UUID
from kit.outside import Outside
from kit.settings import load_settings
from kit.service import ServiceRuntime
from services.notify.handlers.calling import send_next
from services.notify.service import SERVICE
from tests.support.clock import ManualClock
from tests.support.databases import _open
from datetime import datetime

async def main():
    clock = ManualClock(datetime.fromisoformat(sys.argv[3]))
    where = {"url": sys.argv[1]} if "://" in sys.argv[1] else {"directory": Path(sys.argv[1])}
    db = _open(SERVICE, clock, **where)
    settings = load_settings({}, secret_key="s" * 40, private_channels=True)
    one = ServiceRuntime(SERVICE, db, None, clock, settings)
    await send_next(one, Outside(private=True), UUID(sys.argv[2]))

asyncio.run(main())
"""


async def test_a_process_that_is_killed_between_the_record_and_the_answer_leaves_unknown_not_two(
    notify: Notify, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = asyncio.Event()

    async def hold(bot: Api, writer: asyncio.StreamWriter) -> None:
        asking.set()
        await asyncio.sleep(30)

    async with api(hold) as bot:
        connection = uuid4()
        made = await set_up(notify.place, "telegram", bot.url, connection)
        # Not ours to send: the other process is.
        monkeypatch.setattr("services.notify.loops.send_next", _nothing)
        asked = Command(notify.place, connection, "telegram:77")
        await tell(asked, data=IN_TELEGRAM["data"])
        await notify.hear(asked.points())
        url = notify.db.engine.url
        where = url.render_as_string(hide_password=False) if notify.db.dialect == "postgresql" else _directory(url)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, where, made["id"], notify.clock().isoformat(), env={**os.environ}
        )
        async with asyncio.timeout(60):
            await asking.wait()
        assert (await asked.message())["state"] == "sending"
        process.send_signal(signal.SIGKILL)
        await process.wait()
        monkeypatch.undo()
        await later(notify, 61)
        await give_up_overdue(notify.db)
        message = await asked.becomes("unknown")
        await later(notify, 200)
        await asyncio.sleep(0.3)
    assert message["reason"] == "lost"
    assert len(bot.asked) == 1


async def _nothing(*_: Any) -> bool:
    return False


def _directory(url: Any) -> str:
    return os.path.dirname(str(url.database).removeprefix("file:").partition("?")[0])


async def test_what_is_taken_back_while_it_waits_is_not_said(notify: Notify) -> None:
    async with api(TELEGRAM_OK) as bot:
        bot.next = [answering(429, {"parameters": {"retry_after": 60}})]
        first = await asked_of(notify, bot)
        while ("outcome", "retry") not in await first.steps():
            await asyncio.sleep(0.05)
        second = Command(notify.place, first.connection, "telegram:78")
        await tell(second, data=IN_TELEGRAM["data"])
        await notify.hear(second.points())
        reply = await notify.place.client.post(f"/v1/messages/{(await second.message())['id']}/cancel")
        assert reply.json()["state"] == "cancelled"
        await later(notify, 60)
        await first.becomes("sent")
        await asyncio.sleep(0.2)
    assert len(bot.asked) == 2


async def test_a_channel_that_is_off_says_nothing_and_the_message_says_why(notify: Notify) -> None:
    connection = uuid4()
    made = await set_up(notify.place, "telegram", "https://bots.example", connection)
    client = await maker(notify.place)
    off = await client.patch(f"/v1/channels/{made['id']}", json={"active": False})
    assert off.json()["active"] is False
    asked = await command(notify.place, connection=connection, actor="telegram:77")
    await notify.hear(asked.points())
    message = await asked.message()
    assert (message["state"], message["reason"]) == ("not_sent", "channel_off")
    assert (await client.delete(f"/v1/channels/{made['id']}")).status_code == 204
    again = await command(notify.place, connection=connection, actor="telegram:77")
    await notify.hear(again.points())
    assert [call.call_id for call in await wanted(notify)] == [(await _id(again))]


async def _id(asked: Command) -> Any:
    return UUID((await asked.message())["id"])
