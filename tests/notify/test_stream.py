"""The live inbox: what arrives is on it at once, a reader who comes back misses nothing and gets nothing twice."""

import asyncio
from datetime import timedelta

import pytest

from tests.notify.support import Notify, stream


async def test_what_arrives_after_the_stream_opened_is_on_it_with_the_new_count(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    await notify.place.send(ann)
    async with stream(await notify.token(notify.place, ann)) as live:
        begin = await live.next()
        assert (begin.id, begin.event, begin.data) == ("1", "unread", {"unread": 1})
        made = await notify.place.send(ann)
        [message] = await live.messages(1)
        assert (message.id, message.data) == ("2", made)
        count = await live.next()
        assert (count.id, count.event, count.data) == ("2", "unread", {"unread": 2})
        await notify.place.client.post(f"/v1/inbox/{made['id']}/read")
        assert (await live.next()).data == {"unread": 1}


async def test_news_from_the_log_is_on_the_stream(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    async with stream(await notify.token(notify.place, ann)) as live:
        await live.next()
        await notify.say(notify.place.level(ann))
        [message] = await live.messages(1)
        assert message.data["title"] == "Level 2 reached"


async def test_a_reader_who_comes_back_gets_everything_behind_what_it_saw_once_and_in_order(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    own = await notify.token(notify.place, ann)
    made = []
    async with stream(own) as live:
        for _ in range(3):
            made.append((await notify.place.send(ann))["id"])
        seen = await live.messages(2)
    for _ in range(4):
        made.append((await notify.place.send(ann))["id"])
    async with stream(own, after=seen[-1].id) as live:
        more = await live.messages(4)
        made.append((await notify.place.send(ann))["id"])
        more += await live.messages(2)
    assert [f.data["id"] for f in [*seen, *more]] == made[:2] + made[2:8]
    assert [f.id for f in [*seen, *more]] == [str(n) for n in range(1, 9)]


async def test_from_the_very_beginning_more_than_one_look_is_taken_and_nothing_is_left_out(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    await notify.hear(*(notify.place.adjusted(ann, n + 1) for n in range(250)))
    async with stream(await notify.token(notify.place, ann), after="0") as live:
        frames = await live.messages(250)
    assert [f.id for f in frames] == [str(n) for n in range(1, 251)]
    assert sorted(f.data["variables"]["amount"] for f in frames) == list(range(1, 251))


async def test_a_reader_cut_off_again_and_again_while_others_write_loses_nothing(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    own = await notify.token(notify.place, ann)

    async def writing() -> list[str]:
        return [(await notify.place.send(ann))["id"] for _ in range(20)]

    writer = asyncio.create_task(writing())
    got: list[str] = []
    last = "0"
    while len(got) < 20:
        async with stream(own, after=last) as live:
            for frame in await live.messages(min(3, 20 - len(got))):
                got.append(frame.data["id"])
                last = frame.id
    assert got == await writer


async def test_a_stream_shows_nobody_elses_messages(notify: Notify) -> None:
    ann, ben = await notify.place.member("Ann"), await notify.place.member("Ben")
    there = await notify.new_place()
    await there.member("Ann", id=ann)
    async with stream(await notify.token(notify.place, ann), after="0") as live:
        await notify.place.send(ben)
        await there.send(ann)
        mine = await notify.place.send(ann)
        [frame] = await live.messages(1)
        assert (frame.id, frame.data["id"]) == ("1", mine["id"])


async def test_a_key_listens_for_the_member_it_names(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    async with stream(notify.place.client, member=str(ann)) as live:
        await live.next()
        made = await notify.place.send(ann)
        assert (await live.messages(1))[0].data == made


async def test_a_revoked_token_hears_no_more(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    async with stream(await notify.token(notify.place, ann)) as live:
        await live.next()
        notify.clock.advance(timedelta(seconds=5))
        await notify.revoke_tokens(notify.place, ann)
        notify.clock.advance(timedelta(seconds=5))
        with pytest.raises(StopAsyncIteration):
            while True:
                assert (await live.next()).event == "unread"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_an_event_id_that_is_not_ours_is_refused(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    own = await notify.token(notify.place, ann)
    for wrong in ("x", "-1", "1.5", "٣", "9" * 30):
        reply = await own.get("/v1/inbox/stream", headers={"Last-Event-ID": wrong.encode()})
        assert (reply.status_code, reply.json()["code"]) == (400, "cursor_invalid"), wrong
