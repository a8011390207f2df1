"""Messages are kept for their time and then forgotten, whatever became of them; what may still be sent never is."""

import asyncio
from datetime import timedelta

from services.notify.handlers.purging import purge
from tests.notify.support import Notify

KEEP = timedelta(days=180)
SECOND = timedelta(seconds=1)


async def forget(notify: Notify) -> int:
    return await purge(notify.db, keep=KEEP, stopping=asyncio.Event())


async def test_what_was_read_is_kept_from_then_and_what_was_not_from_its_arrival(notify: Notify) -> None:
    place = notify.place
    ann, ben = await place.member("Ann"), await place.member("Ben")
    read, unread, bens = await place.send(ann), await place.send(ann), await place.send(ben)
    notify.clock.advance(timedelta(days=100))
    await place.client.post(f"/v1/inbox/{read['id']}/read")
    notify.clock.advance(KEEP - timedelta(days=100))
    assert await forget(notify) == 0
    notify.clock.advance(SECOND)
    assert await forget(notify) == 2
    assert [m["id"] for m in await place.inbox(ann)] == [read["id"]]
    assert (await place.unread(ann), await place.unread(ben)) == (0, 0)
    for gone in (unread, bens):
        assert (await place.client.get(f"/v1/messages/{gone['id']}/trace")).status_code == 404
    notify.clock.advance(timedelta(days=100))
    assert await forget(notify) == 1
    new = await place.send(ann)
    assert [m["id"] for m in await place.inbox(ann)] == [new["id"]]
    assert await place.unread(ann) == 1


async def test_what_never_reached_an_inbox_goes_too_and_what_waits_stays(notify: Notify) -> None:
    place = notify.place
    ann, bot = await place.member("Ann"), await place.member("Robo", kind="bot")
    not_sent = await place.send(bot)
    held = await place.send(ann, not_before="2027-11-01T00:00:00Z")
    cancelled = await place.send(ann, not_before="2027-11-01T00:00:00Z")
    await place.client.post(f"/v1/messages/{cancelled['id']}/cancel")
    assert (not_sent["state"], held["state"]) == ("not_sent", "held")
    notify.clock.advance(KEEP + SECOND)
    assert await forget(notify) == 2
    left = (await place.get("/v1/messages"))["items"]
    assert [m["id"] for m in left] == [held["id"]]


async def test_an_inbox_that_is_read_and_written_while_it_is_purged_counts_right(notify: Notify) -> None:
    place = notify.place
    ann = await place.member("Ann")
    old = [await place.send(ann) for _ in range(12)]
    notify.clock.advance(KEEP + SECOND)

    async def read(id: str) -> int:
        return (await place.client.post(f"/v1/inbox/{id}/read")).status_code

    answers, *_ = await asyncio.gather(
        asyncio.gather(*(read(m["id"]) for m in old)),
        forget(notify),
        asyncio.gather(*(place.send(ann) for _ in range(5))),
    )
    # Whoever came first: read just now and therefore kept, or gone.
    assert set(answers) <= {200, 404}
    assert len(await place.inbox(ann)) == 5 + answers.count(200)
    assert await place.unread(ann) == 5


async def test_what_was_said_to_who_is_erased_goes_with_them(notify: Notify) -> None:
    place, other = notify.place, await notify.new_place()
    ann, ben = await place.member("Ann"), await place.member("Ben")
    await place.send(ann)
    held = await place.send(ann, not_before="2026-11-24T00:00:00Z")
    bens = await place.send(ben)
    same = await other.member("Ann", id=ann)
    theirs = await other.send(same)
    for version in (2, 3):
        await place.member("", id=ann, state="erased", version=version)
    assert [row.member_id for table in ("messages", "inboxes") for row in await notify.rows(table)].count(ann) == 2
    assert [m["id"] for m in await place.inbox(ben)] == [bens["id"]]
    assert [m["id"] for m in await other.inbox(same)] == [theirs["id"]]
    await notify.pass_time(days=2)
    assert held["id"] not in {str(row.id) for row in await notify.rows("messages")}
    assert await notify.dead() == []
    late = await place.send(ann)
    assert (late["state"], late["reason"]) == ("not_sent", "not_a_member")
