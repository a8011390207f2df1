"""Platforms asked whether a connection is set up rightly: what they say, and a token that stays nowhere."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from kit.settings import load_settings
from services.events import loops
from services.events.handlers.limiting import CHECKS_AT_ONCE
from tests.events.bots import (
    GROUP,
    ME,
    TOKEN,
    asking,
    checked,
    connected,
    delivered,
    levels,
    message,
    no,
    telegram,
    yes,
)
from tests.events.support import Events, Place, event
from tests.notify.chats import answering, api, cut, hang_up, silent


@pytest.fixture
async def place(events: Events) -> Place:
    return await events.new_place("connections:write", "events:read", "events:write")


async def test_a_bot_that_is_set_up_rightly_has_nothing_to_mend(events: Events, place: Place) -> None:
    made = await connected(place)
    assert await delivered(place, made, message(1)) == 204
    await loops.write_down(events.runtime.services["events"])
    async with api(telegram(made)) as bot:
        found = await checked(place, made, asking(bot, GROUP))
    good = ("administrator", "privacy_off", "secret_not_told", "seen", "token_known", "updates_complete", "webhook_set")
    assert levels(found) == dict.fromkeys(good, "ok")
    assert [(path.rpartition("/")[2], body) for path, _, body in bot.asked][2:] == [
        ("getChatMember", {"chat_id": -100200, "user_id": 700123})
    ]
    assert {path.rpartition("/")[2] for path, _, _ in bot.asked[:2]} == {"getMe", "getWebhookInfo"}


async def test_what_a_bot_lacks_is_named_with_what_is_lost_by_it(place: Place) -> None:
    made = await connected(place)
    lacking = telegram(
        made,
        getMe=yes({**ME, "can_read_all_group_messages": False}),
        getWebhookInfo={"pending_update_count": 900, "allowed_updates": ["message"]},
        **{"chat-100200": yes({"status": "member"}), "chat-100300": no(403, "Forbidden: bot was kicked")},
    )
    async with api(lacking) as bot:
        found = await checked(place, made, asking(bot, GROUP, "telegram:-100300", "telegram:-100400"))
    assert levels(found) == {
        "not_in_group": "error",
        "never_seen": "warning",
        "privacy_on": "warning",
        "updates_pending": "warning",
        "updates_missing": "warning",
        "not_administrator": "warning",
        "token_known": "ok",
        "webhook_set": "ok",
        "secret_not_told": "ok",
        "administrator": "ok",
    }
    assert "chat_member" in found["updates_missing"]["message"]
    assert "message_reaction" in found["updates_missing"]["message"]
    assert GROUP in found["not_administrator"]["message"]
    assert "reactions" in found["not_administrator"]["message"]


async def test_groups_are_those_in_which_most_came_through_this_very_connection(events: Events, place: Place) -> None:
    made, other = await connected(place), await connected(place)
    for connection, chats in ((made, (-1, -2, -2, -3, -3, -3)), (other, (-4,) * 9)):
        for number, chat in enumerate(chats):
            said = {**message(100 * -chat + number, chat)}
            said["message"]["date"] = int(events.clock().timestamp())
            assert await delivered(place, connection, said) == 204
    await place.post(event(data={"actor": "telegram:5", "group": "telegram:-5"}))
    stranger = await events.new_place("connections:write", "events:read", name="Others")
    theirs = await connected(stranger)
    assert await delivered(stranger, theirs, message(1, -6)) == 204
    await events.settle()
    async with api(telegram(made)) as bot:
        await checked(place, made, asking(bot))
        assert sorted(body["chat_id"] for path, _, body in bot.asked if path.endswith("getChatMember")) == [-3, -2, -1]
        events.clock.advance(timedelta(days=40))
        assert "groups_unknown" in await checked(place, made, asking(bot))


async def test_a_webhook_that_is_not_there_or_somebody_elses_is_an_error_and_tells_no_more_than_its_host(
    place: Place,
) -> None:
    made = await connected(place)
    path = made["url"].partition("://")[2].partition("/")[2]
    for url, code, level in (
        ("", "webhook_unset", "error"),
        ("https://bots.example/700123:their-own-secret", "webhook_elsewhere", "error"),
        (f"https://hall.example/{path}", "webhook_other_name", "warning"),
    ):
        async with api(telegram(made, getWebhookInfo={"url": url})) as bot:
            found = (await checked(place, made, asking(bot, GROUP)))[code]
        assert found["level"] == level
        assert "their-own-secret" not in str(found)
        assert ("bots.example" in found["message"]) == (code == "webhook_elsewhere")


async def test_a_failed_delivery_is_an_error_until_something_came_and_of_yesterday_not_told(
    events: Events, place: Place
) -> None:
    made = await connected(place)
    one = events.runtime.services["events"]
    failed = {"last_error_date": int(events.clock().timestamp()), "last_error_message": "Connection\nrefused"}
    async with api(telegram(made, getWebhookInfo=failed)) as bot:
        # What was refused came at the moment of the failure: it is no sign that the trouble is over.
        assert await delivered(place, made, message(1), secret="another") == 401
        await loops.write_down(one)
        found = await checked(place, made, asking(bot, GROUP))
        assert found["delivery_failed"]["level"] == "error"
        assert "Connection refused" in found["delivery_failed"]["message"]
        events.clock.advance(timedelta(minutes=5))
        assert await delivered(place, made, message(2)) == 204
        await loops.write_down(one)
        assert levels(await checked(place, made, asking(bot, GROUP)))["delivery_failed"] == "warning"
        events.clock.advance(timedelta(days=2))
        assert "delivery_failed" not in await checked(place, made, asking(bot, GROUP))


async def test_a_platform_that_refuses_is_silent_or_answers_nonsense_is_a_finding_and_not_asked_further(
    place: Place,
) -> None:
    made = await connected(place)
    for behave, code, level in (
        (no(401, "Unauthorized"), "token_refused", "error"),
        (no(429, "Too Many Requests", parameters={"retry_after": 17}), "platform_busy", "warning"),
        (no(500, f"Internal: {TOKEN}"), "answer_unclear", "warning"),
        (cut, "answer_unclear", "warning"),
        (silent, "no_answer", "warning"),
    ):
        async with api(behave) as bot:
            found = await checked(place, made, asking(bot, GROUP))
        assert found[code]["level"] == level
        assert {body.get("chat_id") for _, _, body in bot.asked} == {None}
        assert code != "platform_busy" or "17 s" in found[code]["advice"]


async def test_a_group_of_which_nothing_is_answered_keeps_no_other_from_being_looked_at(place: Place) -> None:
    made = await connected(place)
    moved = no(400, "Bad Request: group chat was upgraded", parameters={"migrate_to_chat_id": -100777})
    some = telegram(made, **{"chat-1": silent, "chat-2": hang_up, "chat-3": moved, "chat-4": answering(200, b"x")})
    async with api(some) as bot:
        found = await checked(place, made, asking(bot, *(f"telegram:-{number}" for number in range(1, 7))))
    assert "telegram:-100777" in found["group_moved"]["message"]
    assert found["administrator"]["message"].endswith("telegram:-5, telegram:-6")
    assert {"no_answer", "answer_unclear"} <= set(found)


def contents(directory: Path) -> list[bytes]:
    """Of every file: the log, and the database where it is one."""
    return [file.read_bytes() for file in directory.rglob("*") if file.is_file()]


async def test_the_token_is_used_once_and_is_in_no_log_no_table_and_no_error(
    events: Events, place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    made = await connected(place)
    caplog.set_level("DEBUG")
    path, headers = f"/v1/connections/{made['id']}/check", {"Idempotency-Key": "once"}
    async with api(telegram(made)) as bot:
        for asked, status in (
            (asking(bot, GROUP), 200),
            (asking(bot, GROUP, token=f"{TOKEN}?x"), 422),
            (asking(bot, "qq:1"), 422),
            ({"credentials": {"token": TOKEN}, "base_url": "http://169.254.169.254"}, 422),
            ({"credentials": {"token": TOKEN}, "base_url": "http://127.0.0.1:1"}, 200),
            ({"credentials": {"token": {"is": TOKEN}}}, 422),
            ({"credentials": {"token": TOKEN * 80}}, 422),
            ({"credentials": {"key": TOKEN}}, 422),
        ):
            reply = await place.client.post(path, json=asked, headers=headers)
            assert reply.status_code == status, reply.text
            assert TOKEN not in reply.text
            assert "idempotent-replayed" not in reply.headers
        # Asked again with the same key it is asked again.
        times = len(bot.asked)
        await place.client.post(path, json=asking(bot, GROUP), headers=headers)
        assert len(bot.asked) == times + 3
    await events.settle()
    async with events.db.read() as tx:
        for table in events.db.metadata.sorted_tables:
            assert all(TOKEN not in str(value) for row in await tx.all(select(table)) for value in row), table.name
        assert await tx.all(select(events.db.table("idempotency"))) == []
    files = contents(tmp_path)
    assert files
    assert not any(TOKEN.encode() in content for content in files)
    assert TOKEN not in "".join([*capfd.readouterr(), caplog.text])


async def test_what_cannot_be_asked_is_refused(place: Place) -> None:
    made = {
        "telegram": await connected(place),
        "slack": await connected(place, "slack", secrets={"secret": "s" * 32}),
        "github": await connected(place, "github"),
    }
    cases: list[tuple[str, Any, str]] = [
        ("telegram", {"credentials": {"token": "no colon"}}, "credentials_invalid"),
        ("telegram", {"credentials": {"token": "1:a/../../x"}}, "credentials_invalid"),
        ("telegram", {"credentials": {"secret": "1:a"}}, "credentials_invalid"),
        ("telegram", {"credentials": {"token": "1:a"}, "groups": ["slack:C1"]}, "groups_invalid"),
        ("telegram", {"credentials": {"token": "1:a"}, "base_url": "ftp://x"}, "address_refused"),
        ("telegram", {"credentials": {"token": "1:a"}, "base_url": "http://u:p@x"}, "address_refused"),
        ("telegram", {"credentials": {"token": "1:a"}, "base_url": "http://x?y=1"}, "address_refused"),
        ("slack", {"credentials": {"token": "xoxb-1"}, "groups": ["slack:C1"]}, "groups_invalid"),
        ("github", {"credentials": {"token": "1:a"}}, "check_unsupported"),
        ("telegram", {"colour": "red"}, "validation_failed"),
    ]
    for platform, body, code in cases:
        reply = await place.client.post(f"/v1/connections/{made[platform]['id']}/check", json=body)
        assert (reply.status_code, reply.json()["code"]) == (422, code), body


async def test_an_address_in_our_own_network_is_called_only_where_the_setting_allows_it(
    events: Events, place: Place, tmp_path: Path
) -> None:
    made = await connected(place)
    events.runtime.services["events"].settings = load_settings({}, data_dir=tmp_path, secret_key="s" * 40)
    async with api(telegram(made)) as bot:
        for url in (bot.url, bot.url.replace("127.0.0.1", "localhost")):
            body = {**asking(bot), "base_url": url}
            reply = await place.client.post(f"/v1/connections/{made['id']}/check", json=body)
            assert (reply.status_code, reply.json()["code"]) == (422, "address_refused")
            assert "GUILDHALL_PRIVATE_CHANNELS" in reply.json()["detail"]
        assert bot.asked == []


async def test_platforms_are_not_asked_more_often_than_a_person_needs_it(place: Place) -> None:
    made = await connected(place)
    async with api(no(401, "Unauthorized")) as bot:
        path = f"/v1/connections/{made['id']}/check"
        replies = [await place.client.post(path, json=asking(bot)) for _ in range(CHECKS_AT_ONCE + 1)]
        assert [reply.status_code for reply in replies] == [*[200] * CHECKS_AT_ONCE, 429]
        assert replies[-1].headers["retry-after"]
    await checked(place, made)


async def test_slack_says_whose_the_token_is_and_which_scopes_are_missing(place: Place) -> None:
    made = await connected(place, "slack", secrets={"secret": "s" * 32})
    known = {"ok": True, "team_id": "T1", "user_id": "U1", "bot_id": "B1"}
    usual = answering(200, known, x_oauth_scopes="channels:history,users:read")
    async with api(usual) as bot:
        found = await checked(place, made, {"credentials": {"token": "xoxb-1"}, "base_url": bot.url})
        [(path, headers, _)] = bot.asked
        assert (path, headers["authorization"]) == ("/auth.test", "Bearer xoxb-1")
        assert "reactions:read" in found["scopes_missing"]["message"]
        bot.usual = answering(200, {"ok": False, "error": "token_revoked"})
        found = await checked(place, made, {"credentials": {"token": "xoxb-1"}, "base_url": bot.url})
        assert levels(found)["token_refused"] == "error"
