"""What the other services announce becomes messages: once, in the reader's language, and not for everybody."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from kit.contracts.notify import MessageStateChanged
from tests.events.support import on_the_log
from tests.notify.support import Notify

ENGLISH = {
    "points.granted": (
        "+10 points, +10 XP for your check-in",
        "Thank you! For your check-in you got 10 points and 10 XP.",
    ),
    "level.reached": ("Level 2 reached", "You reached level 2 (Apprentice) with 100 XP."),
    "board.first": ("First on “Experience” this week", "With 120 you lead the board “Experience” of week 2026-W48."),
    "points.adjusted": ("+50 points", "Your account was changed by +50 points: for the talk."),
}  # fmt: skip
CHINESE = {
    "points.granted": ("打卡：积分 +10，经验值 +10", "谢谢你！因打卡获得 10 积分和 10 经验值。"),
    "level.reached": ("升到 2 级", "你的经验值达到 100，升到 2 级（Apprentice）。"),
    "board.first": ("本周“Experience”榜第一名", "你以 120 分领先“Experience”榜（2026-W48 周）。"),
    "points.adjusted": ("积分 +50", "你的账户变动：积分 +50，原因：for the talk。"),
}


@pytest.mark.parametrize(
    ("locale", "granted", "lost"),
    [
        (None, "You got the badge “Helper”: for the fair.", "The badge “Helper” expired; you can get it again."),
        ("zh-CN", "你获得了徽章“Helper”：for the fair。", "徽章“Helper”已到期，可以再次获得。"),
    ],
)
async def test_a_badge_is_told_when_it_is_granted_and_when_it_ends_unless_it_is_silent(
    notify: Notify, locale: str | None, granted: str, lost: str
) -> None:
    ann = await notify.place.member("Ann", locale=locale)
    got, over = notify.place.badge(ann, reason="for the fair"), notify.place.badge_over(ann)
    await notify.hear(got, got, over, replace(got, number=2, notify=False), replace(over, number=2, notify=False))
    assert sorted(m["body"] for m in await notify.place.inbox(ann)) == sorted([granted, lost])


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("undone", "The badge “Helper” was taken back: what it was for holds no more."),
        ("by_hand", "The badge “Helper” was taken back: a mistake."),
    ],
)
async def test_why_a_badge_was_taken_back_is_said(notify: Notify, why: str, said: str) -> None:
    ann = await notify.place.member("Ann")
    await notify.hear(notify.place.badge_over(ann, why=why, reason="a mistake"))
    assert [m["body"] for m in await notify.place.inbox(ann)] == [said]


@pytest.mark.parametrize(
    ("locale", "up", "down"),
    [
        (None, "2026-W48 of “Experience” is over: you go up to Gold.", "you go down to Silver."),
        ("zh-CN", "“Experience”榜 2026-W48 已结束：你升入Gold。", "你降至Silver。"),
    ],
)
async def test_who_goes_up_or_down_in_a_league_is_told_once_and_who_stays_or_did_not_play_is_not(
    notify: Notify, locale: str | None, up: str, down: str
) -> None:
    ann = await notify.place.member("Ann", locale=locale)
    promoted = notify.place.moved(ann)
    demoted = replace(promoted, period_key="2026-W49", outcome="demoted", tier_before="Gold", tier="Silver")
    stayed = replace(promoted, period_key="2026-W50", outcome="stayed", tier="Silver")
    await notify.hear(promoted, promoted, demoted, stayed, replace(demoted, period_key="2026-W51", played=False))
    bodies = [m["body"] for m in sorted(await notify.place.inbox(ann), key=lambda m: m["position"])]
    assert (len(bodies), bodies[0], bodies[1].endswith(down)) == (2, up, True)


def everything(notify: Notify, member: Any) -> list[Any]:
    place = notify.place
    scored = place.scored((member, "points", 10), (member, "xp", 10))
    return [scored, place.level(member), place.led(member), place.adjusted(member)]


@pytest.mark.parametrize(("locale", "texts"), [(None, ENGLISH), ("zh-CN", CHINESE), ("zh-Hant-TW", CHINESE)])
async def test_each_kind_of_news_arrives_with_its_text_in_the_members_language(
    notify: Notify, locale: str | None, texts: dict[str, tuple[str, str]]
) -> None:
    ann = await notify.place.member("Ann", locale=locale)
    await notify.hear(*everything(notify, ann))
    got = {m["template"]: (m["title"], m["body"]) for m in await notify.place.inbox(ann)}
    assert got == texts
    assert {(m["state"], m["channel"], m["template_version"]) for m in await notify.place.inbox(ann)} == {
        ("delivered", "inbox", 1)
    }


async def test_without_a_language_of_their_own_members_read_the_communitys(notify: Notify) -> None:
    hall = await notify.new_place(locale="zh-CN")
    ann = await hall.member("Ann")
    await notify.hear(hall.adjusted(ann))
    assert (await hall.inbox(ann))[0]["locale"] == "zh-CN"


async def test_the_same_event_again_makes_no_second_message(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    events = everything(notify, ann)
    ids = await notify.hear(*events)
    await notify.hear(*events, ids=ids)
    assert len(await notify.place.inbox(ann)) == 4


async def test_the_same_news_under_another_id_makes_no_second_message_either(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    events = everything(notify, ann)
    await notify.hear(*events)
    await notify.hear(*events)
    assert sorted(m["position"] for m in await notify.place.inbox(ann)) == [1, 2, 3, 4]
    assert await notify.place.unread(ann) == 4
    assert await notify.dead() == []


async def test_history_is_told_to_nobody(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    past = [replace(e, history=True) for e in everything(notify, ann) if hasattr(e, "history")]
    assert len(past) == 3
    await notify.hear(*past)
    assert await notify.rows("messages") == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "bot"}, "recipient_is_bot"),
        ({"state": "banned"}, "not_a_member"),
        ({"state": "removed"}, "not_a_member"),
        ({"state": "left"}, "not_a_member"),
        ({"state": "erased"}, "not_a_member"),
    ],
)
async def test_bots_and_who_is_no_member_hear_nothing_and_it_is_written_down_why(
    notify: Notify, fields: dict[str, Any], reason: str
) -> None:
    someone = await notify.place.member("Someone", **fields)
    await notify.hear(*everything(notify, someone))
    assert await notify.place.inbox(someone) == []
    assert await notify.place.unread(someone) == 0
    listed = (await notify.place.get("/v1/messages", member=str(someone)))["items"]
    assert [(m["state"], m["reason"], m["position"]) for m in listed] == [("not_sent", reason, None)] * 4


async def test_somebody_just_seen_for_the_first_time_is_told(notify: Notify) -> None:
    stranger = uuid4()
    await notify.hear(notify.place.scored((stranger, "xp", 10)))
    [message] = await notify.place.inbox(stranger)
    trace = await notify.place.get(f"/v1/messages/{message['id']}/trace")
    assert next((s["step"], s["detail"]) for s in trace["steps"]) == ("member", "seen for the first time")


async def test_an_activity_that_paid_several_people_tells_each_of_their_own(notify: Notify) -> None:
    ann, ben = await notify.place.member("Ann"), await notify.place.member("Ben")
    await notify.hear(notify.place.scored((ann, "xp", 8), (ben, "xp", 2), (ann, "xp", 3), type="answer.posted"))
    assert [m["title"] for m in await notify.place.inbox(ann)] == ["+11 XP for your answer"]
    assert [m["title"] for m in await notify.place.inbox(ben)] == ["+2 XP for your answer"]


async def test_nothing_is_told_of_what_paid_nothing_or_nobody_or_quietly(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    quiet = notify.place.scored((ann, "xp", 1), tells=False)
    nothing = notify.place.scored((ann, "xp", 0))
    nobody = notify.place.scored((None, "xp", 5))
    await notify.hear(quiet, nothing, nobody)
    assert await notify.rows("messages") == []


@pytest.mark.parametrize("kind", ["day", "month", "all"])
async def test_of_boards_only_the_first_place_of_a_week_is_told(notify: Notify, kind: str) -> None:
    ann = await notify.place.member("Ann")
    await notify.hear(notify.place.led(ann, period_kind=kind))
    assert await notify.rows("messages") == []


async def test_a_taking_away_is_told_with_its_sign_and_without_a_reason_where_there_is_none(notify: Notify) -> None:
    ann = await notify.place.member("Ann", locale="zh-CN")
    await notify.hear(notify.place.adjusted(ann, -30, reason=""))
    [message] = await notify.place.inbox(ann)
    assert (message["title"], message["body"]) == ("积分 -30", "你的账户变动：积分 -30。")


async def test_a_taking_back_that_asks_for_no_word_is_told_nobody(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    await notify.hear(notify.place.adjusted(ann, -2, notify=False), notify.place.adjusted(ann, -3))
    [message] = await notify.place.inbox(ann)
    assert message["title"] == "-3 points"


async def test_a_message_names_what_it_is_about_and_is_announced_once(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    scored = notify.place.scored((ann, "xp", 10))
    await notify.hear(scored)
    [message] = (await notify.place.get("/v1/messages", cause=str(scored.event_id)))["items"]
    announced = [e for e in await on_the_log(notify.log, "guildhall.notify") if isinstance(e, MessageStateChanged)]
    assert [(str(e.message_id), e.state, e.cause_id) for e in announced] == [
        (message["id"], "delivered", scored.event_id)
    ]


async def test_a_hundred_scored_events_of_many_members_in_one_batch_reach_everybody_once(notify: Notify) -> None:
    people = [uuid4() for _ in range(7)]
    await notify.hear(*(notify.place.scored((people[n % 7], "xp", n + 1)) for n in range(100)))
    for number, person in enumerate(people):
        own = await notify.place.inbox(person)
        amounts = sorted(m["variables"]["grants"][0]["amount"] for m in own)
        assert amounts == [n + 1 for n in range(100) if n % 7 == number]
        assert sorted(m["position"] for m in own) == list(range(1, len(own) + 1))


async def test_news_of_a_community_not_known_yet_waits_until_it_is(notify: Notify) -> None:
    hall, ann = uuid4(), uuid4()
    await notify.say(replace(notify.place.adjusted(ann), community_id=hall))
    place = await notify.new_place(id=hall)
    assert [m["title"] for m in await place.inbox(ann)] == ["+50 points"]
    assert await notify.dead() == []
