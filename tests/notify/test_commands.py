"""Commands in a chat are answered once, where they were given, while the platform lets us; and never blindly."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from kit.metrics import REPLIES_REFUSED
from services.notify.handlers.calling import give_up_overdue
from services.notify.handlers.purging import purge_windows
from services.notify.handlers.replying import give_up_waiting
from services.notify.tables import reply_windows
from tests.notify.chats import TELEGRAM, Command, command, ended, later, tell, wanted
from tests.notify.support import Notify


async def test_an_answer_is_said_through_the_connection_it_was_asked_through(notify: Notify) -> None:
    asked = await command(notify.place)
    await notify.hear(asked.points())
    [call] = await wanted(notify)
    message = await asked.message()
    assert (message["state"], message["channel"], message["template"]) == ("sending", "onebot", "command.points")
    assert (str(call.call_id), call.connection_id, call.cause_id) == (message["id"], asked.connection, asked.event_id)
    assert (call.group, call.identity, call.reply_to) == ("qq:555", "qq:10001", "-77")
    assert call.text == "You have 120 points."
    assert call.expires_at == notify.clock() + timedelta(minutes=5)


async def test_an_answer_that_comes_before_its_command_waits_for_it_and_holds_up_nothing_else(notify: Notify) -> None:
    early = await command(notify.place, said=False)
    await notify.hear(early.points())
    other = await command(notify.place)
    await notify.hear(other.points())
    assert await early.messages() == []
    assert (await other.message())["state"] == "sending"
    await tell(early)
    assert (await early.message())["state"] == "sending"


async def test_an_answer_whose_command_never_comes_is_dropped_after_five_minutes(notify: Notify) -> None:
    early = await command(notify.place, said=False)
    await notify.hear(early.points())
    before = REPLIES_REFUSED.labels("other", "no_window")._value.get()
    await later(notify, 301)
    await give_up_waiting(notify.db)
    await tell(early)
    assert await early.messages() == []
    assert REPLIES_REFUSED.labels("other", "no_window")._value.get() - before == 1


@pytest.mark.parametrize("order", ["command first", "answer first", "at once"])
async def test_told_again_under_any_id_it_is_answered_once(notify: Notify, order: str) -> None:
    asked = await command(notify.place, said=order == "command first")
    if order == "at once":
        await asyncio.gather(tell(asked), notify.say(asked.points()))
        await notify.settle()
    else:
        await notify.hear(asked.points())
    for _ in range(2):
        await tell(asked)
        await notify.hear(asked.points(), asked.points(999))
    assert len(await wanted(notify)) == 1
    assert len(await asked.messages()) == 1
    [window] = await notify.rows("reply_windows")
    assert window.remaining == 4
    assert await notify.dead() == []


ANSWERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "checkin.counted": (
        {"grants": [{"unit": "points", "amount": 10}, {"unit": "xp", "amount": 5}], "day": "2026-11-23"},
        "Checked in for 2026-11-23: +10 points, +5 XP.",
        "2026-11-23 打卡成功：积分 +10，经验值 +5。",
    ),
    "checkin.streak": (
        {"grants": [{"unit": "points", "amount": 10}], "day": "2026-11-23", "streak": 7},
        "Checked in for 2026-11-23, 7 days in a row: +10 points.",
        "2026-11-23 打卡成功，已连续 7 天：积分 +10。",
    ),
    "checkin.again": (
        {"day": "2026-11-23"},
        "You have checked in for 2026-11-23 already.",
        "2026-11-23 你已经打过卡了。",
    ),
    "checkin.again at": (
        {"day": "2026-11-23", "event_id": str(uuid4()), "at": "2026-11-23T08:05:00+08:00"},
        "You have checked in for 2026-11-23 already, at 08:05.",
        "2026-11-23 你已经打过卡了（08:05）。",
    ),
    "checkin.again at night": (
        {"day": "2026-11-23", "event_id": str(uuid4()), "at": "2026-11-24T02:10:00+08:00"},
        "You have checked in for 2026-11-23 already, at 2026-11-24 02:10.",
        "2026-11-23 你已经打过卡了（2026-11-24 02:10）。",
    ),
    "checkin.refused": (
        {"day": "2026-11-23", "missing": ["text_too_short", "media_missing", "number_missing", "rain"]},
        "This does not count for 2026-11-23 yet. It lacks: a longer text, a picture, a number, rain.",
        "2026-11-23 的打卡还不算数，缺少：更长的文字、图片、数字、rain。",
    ),
    "checkin.pending": (
        {"day": "2026-11-23"},
        "Your check-in for 2026-11-23 waits for somebody to confirm it.",
        "2026-11-23 的打卡已提交，等待确认。",
    ),
    "checkin.nothing": (
        {"reason": "x"},
        "Your check-in was noted; it earned nothing.",
        "打卡已记录，这次没有奖励。",
    ),
    "points": ({"balances": []}, "You have nothing yet.", "你还没有积分。"),
    "rank": (
        {"board": "XP", "period": "2026-W48", "rank": 3, "total": 40, "score": 120, "unit": "xp"},
        "“XP” (2026-W48): you are number 3 of 40 with 120 XP.",
        "“XP”榜（2026-W48）：你排第 3，共 40 人，经验值 120。",
    ),
    "rank.none": ({"board": "XP"}, "You are not on “XP” yet.", "你还没有登上“XP”榜。"),
    "rank.no_board": ({}, "There is no board here yet.", "这里还没有排行榜。"),
}


async def test_every_answer_has_its_words_in_both_languages(notify: Notify) -> None:
    chinese = await notify.new_place(locale="zh-CN")
    for place, column in ((notify.place, 1), (chinese, 2)):
        asked = {name: await command(place) for name in ANSWERS}
        await notify.hear(*(asked[name].answer(name.partition(" ")[0], ANSWERS[name][0]) for name in ANSWERS))
        for name, one in asked.items():
            assert (await one.message())["body"] == ANSWERS[name][column]


@pytest.mark.parametrize("outcome", ["linked", "refused", "throttled", "conflict"])
async def test_who_said_a_code_hears_what_came_of_it(notify: Notify, outcome: str) -> None:
    ann = await notify.place.member("Ann")
    asked = await command(notify.place, "bind")
    await notify.hear(asked.bound(outcome, ann if outcome == "linked" else None))
    message = await asked.message()
    assert message["template"] == f"command.bind.{outcome}"
    assert message["member_id"] == str(ann if outcome == "linked" else asked.member)


async def test_nobody_answers_commands_that_are_others_or_answers_without_words(notify: Notify) -> None:
    theirs = await command(notify.place, "weather")
    ours = await command(notify.place)
    await notify.hear(ours.answer("something.new", {"x": 1}), ours.bound("something_new"))
    assert await theirs.messages() == await ours.messages() == await wanted(notify) == []
    assert await notify.dead() == []


@pytest.mark.parametrize(
    "more",
    [
        {"importname": "old"},
        {"replayid": "r1"},
        {"stale": True},
        {"connection": None},
        {"data": {"bot": True}},
        {"type": "message.created"},
    ],
    ids=str,
)
async def test_what_was_not_said_just_now_to_a_bot_opens_no_window(notify: Notify, more: dict[str, Any]) -> None:
    asked = await command(notify.place, said=False)
    await tell(asked, **more)
    await notify.hear(asked.points())
    assert await asked.messages() == []


async def test_after_the_window_nothing_goes_and_the_message_says_why(notify: Notify) -> None:
    asked = await command(notify.place)
    await later(notify, 300)
    await notify.hear(asked.points())
    message = await asked.message()
    assert (message["state"], message["reason"]) == ("expired", "expired")
    assert await wanted(notify) == []


async def test_a_budget_that_is_spent_is_not_overdrawn(notify: Notify) -> None:
    asked = await command(notify.place)
    async with notify.db.begin() as tx:
        await tx.execute(reply_windows.update().values(remaining=0))
    before = REPLIES_REFUSED.labels("onebot", "budget_spent")._value.get()
    await notify.hear(asked.points())
    message = await asked.message()
    assert (message["state"], message["reason"]) == ("not_sent", "budget_spent")
    assert REPLIES_REFUSED.labels("onebot", "budget_spent")._value.get() - before == 1


async def test_the_official_api_of_qq_lets_us_answer_in_private_for_an_hour(notify: Notify) -> None:
    asked = await command(notify.place, actor="qq-official:abc", data={"group": None})
    await later(notify, 3500)
    await notify.hear(asked.points())
    assert (await asked.message())["state"] == "sending"


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        ("sent", "sent", None),
        ("failed", "not_sent", "bot_refused"),
        ("expired", "expired", "expired"),
        ("unknown", "unknown", "no_answer"),
    ],
)
@pytest.mark.parametrize("told", ["in one batch", "one by one"])
async def test_what_became_of_the_call_is_told_once(
    notify: Notify, told: str, outcome: str, state: str, reason: str | None
) -> None:
    asked = await command(notify.place)
    await notify.hear(asked.points())
    [call] = await wanted(notify)
    news = [ended(call, outcome), ended(call, outcome), ended(call, "failed")]
    for batch in [news] if told == "in one batch" else [[one] for one in news]:
        await notify.hear(*batch)
    message = await asked.message()
    expected = (state, reason) if outcome != "unknown" else ("not_sent", "bot_refused")
    assert (message["state"], message["reason"]) == expected
    assert (await asked.steps())[:5] == [
        ("member", "passed"), ("suppression", "passed"), ("window", "passed"), ("expiry", "passed"), ("send", "passed"),
    ]  # fmt: skip
    assert ("outcome", state) in await asked.steps()
    assert await notify.dead() == []


async def test_of_calls_of_others_nothing_moves(notify: Notify) -> None:
    asked = await command(notify.place)
    await notify.hear(asked.points())
    [call] = await wanted(notify)
    stranger = await notify.new_place()
    await notify.hear(
        ended(call, community_id=stranger.id), ended(call, connection_id=uuid4()), ended(call, call_id=uuid4())
    )
    assert (await asked.message())["state"] == "sending"


async def test_a_call_of_which_nothing_is_heard_is_unknown_in_the_end_and_may_still_turn_out(notify: Notify) -> None:
    asked = await command(notify.place)
    await notify.hear(asked.points())
    [call] = await wanted(notify)
    await later(notify, 3600 + 301)
    await give_up_overdue(notify.db)
    assert (await asked.message())["state"] == "unknown"
    await notify.hear(ended(call))
    assert (await asked.message())["state"] == "sent"


async def test_stop_is_answered_and_kept_until_an_operator_lifts_it(notify: Notify) -> None:
    asked = await command(notify.place, "stop")
    message = await asked.message()
    assert message["template"] == "command.stop.done"
    await command(notify.place, "stop")
    [one] = (await notify.place.get("/v1/suppressions"))["items"]
    assert (one["member_id"], one["channel"], one["reason"]) == (str(asked.member), "chat", "stopped")
    later_on = await command(notify.place)
    await notify.hear(later_on.points())
    assert (await later_on.message())["state"] == "sending"
    stranger = await notify.new_place()
    assert (await stranger.get("/v1/suppressions"))["items"] == []
    assert (await stranger.client.delete(f"/v1/suppressions/{one['id']}")).status_code == 404
    assert (await notify.place.client.delete(f"/v1/suppressions/{one['id']}")).status_code == 204
    again = await notify.place.client.delete(f"/v1/suppressions/{one['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "suppression_unknown")
    assert (await notify.place.get("/v1/suppressions", member=str(asked.member)))["items"] == []


@pytest.mark.parametrize(
    ("fields", "reason"), [({"kind": "bot"}, "recipient_is_bot"), ({"state": "banned"}, "not_a_member")]
)
async def test_bots_and_who_was_put_out_are_not_answered(notify: Notify, fields: dict[str, Any], reason: str) -> None:
    asked = await command(notify.place)
    await notify.place.member("Someone", id=asked.member, **fields)
    await notify.hear(asked.points())
    message = await asked.message()
    assert (message["state"], message["reason"]) == ("not_sent", reason)


async def test_windows_are_forgotten_after_a_day(notify: Notify) -> None:
    await command(notify.place)
    notify.clock.advance(timedelta(hours=23))
    kept = await command(notify.place, **TELEGRAM_COMMAND)
    notify.clock.advance(timedelta(hours=2))
    assert await purge_windows(notify.db, stopping=asyncio.Event()) == 1
    assert [UUID(str(row.event_id)) for row in await notify.rows("reply_windows")] == [kept.event_id]


TELEGRAM_COMMAND: dict[str, Any] = {"actor": TELEGRAM["actor"], "data": {"group": TELEGRAM["group"], "ref": None}}


async def test_a_hundred_commands_in_one_batch_are_answered_each(notify: Notify) -> None:
    asked = [await command(notify.place, said=False, actor=f"qq:{n}") for n in range(1, 101)]
    await notify.say(*(one.points(n) for n, one in enumerate(asked)))
    await asyncio.gather(*(tell(one) for one in asked))
    calls = {call.cause_id: call.text for call in await wanted(notify)}
    assert calls == {one.event_id: f"You have {n} points." for n, one in enumerate(asked)}
    assert isinstance(asked[0], Command)
