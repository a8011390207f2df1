"""Many at once: positions without gaps, counts that are right, twins that are one; PostgreSQL does run them at once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from services.notify.domain import Wish
from services.notify.handlers import reading, sending
from tests.notify.support import Notify


def wish(notify: Notify, member: UUID, **fields: Any) -> Wish:
    variables = {"amount": 1, "unit": "xp", "reason": ""}
    return Wish(
        community_id=notify.place.id,
        member_id=member,
        template="points.adjusted",
        variables=variables,
        actor="test",
        **fields,
    )


async def deliver(notify: Notify, *wishes: Wish) -> list[dict[str, Any]]:
    async with notify.db.begin() as tx:
        return await sending.send(tx, wishes)


async def template_used(notify: Notify) -> None:
    """The community has its version of the template: else writers would wait for that and not for the inbox."""
    await deliver(notify, wish(notify, uuid4()))


async def somebody_waits_for_a_lock(notify: Notify) -> None:
    """Returns when a transaction of this database waits for another; at once on SQLite, where writers queue."""
    if notify.db.dialect != "postgresql":
        return
    asking = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(30):
        while True:
            async with notify.db.read() as tx:
                if await tx.scalar(asking):
                    return


async def consistent(notify: Notify, *members: UUID) -> None:
    """Each inbox: positions 1 … last, and as many unread as there are messages without a time of reading."""
    rows = [r for r in await notify.rows("messages") if r.position is not None]
    inboxes = {r.member_id: r for r in await notify.rows("inboxes")}
    for member in members:
        own = sorted((r for r in rows if r.member_id == member), key=lambda r: r.position)
        assert [r.position for r in own] == list(range(1, len(own) + 1))
        assert inboxes[member].last == len(own)
        assert inboxes[member].unread == sum(r.read_at is None for r in own)


async def test_forty_writers_to_one_inbox_leave_no_gap(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    await asyncio.gather(*(deliver(notify, *[wish(notify, ann) for _ in range(n % 3 + 1)]) for n in range(40)))
    await consistent(notify, ann)
    assert await notify.place.unread(ann) == sum(n % 3 + 1 for n in range(40))


async def test_writers_to_several_inboxes_in_any_order_all_get_through(notify: Notify) -> None:
    people = [uuid4() for _ in range(5)]
    batches = [[wish(notify, people[(n * 3 + k) % 5]) for k in range(5)] for n in range(24)]
    await asyncio.gather(*(deliver(notify, *batch) for batch in batches))
    await consistent(notify, *people)
    assert sum([await notify.place.unread(p) for p in people]) == 120


async def test_of_twins_told_at_the_same_time_one_arrives_and_leaves_no_gap(notify: Notify) -> None:
    ann = uuid4()
    await template_used(notify)
    async with notify.db.begin() as tx:
        await sending.send(tx, [wish(notify, ann, dedupe="twin"), wish(notify, ann, dedupe="alone")])
        others = [wish(notify, ann), wish(notify, ann, dedupe="twin"), wish(notify, ann), wish(notify, ann)]
        late = asyncio.create_task(deliver(notify, *others))
        await somebody_waits_for_a_lock(notify)
    assert len(await late) == 3
    await consistent(notify, ann)
    assert await notify.place.unread(ann) == 5


async def test_a_twin_that_never_reached_the_inbox_leaves_no_gap_either(notify: Notify) -> None:
    ann = uuid4()
    await template_used(notify)
    past = notify.clock() - timedelta(hours=1)
    async with notify.db.begin() as tx:
        [expired] = await sending.send(tx, [wish(notify, ann, dedupe="twin", expires_at=past)])
        assert expired["state"] == "expired"
        late = asyncio.create_task(deliver(notify, wish(notify, ann, dedupe="twin"), wish(notify, ann)))
        await somebody_waits_for_a_lock(notify)
    [only] = await late
    assert only["position"] == 1
    await consistent(notify, ann)


async def test_a_twin_whose_transaction_is_undone_is_none(notify: Notify) -> None:
    ann = uuid4()
    await template_used(notify)
    late: asyncio.Task[Any] | None = None
    try:
        async with notify.db.begin() as tx:
            await sending.send(tx, [wish(notify, ann, dedupe="twin")])
            late = asyncio.create_task(deliver(notify, wish(notify, ann, dedupe="twin")))
            await somebody_waits_for_a_lock(notify)
            raise RuntimeError("undone")
    except RuntimeError:
        pass
    assert late is not None
    [made] = await late
    assert made["position"] == 1
    await consistent(notify, ann)


async def test_twenty_replicas_told_of_the_same_news_make_one_message(notify: Notify) -> None:
    ann = uuid4()
    await template_used(notify)
    made = await asyncio.gather(*(deliver(notify, wish(notify, ann, dedupe="news")) for _ in range(20)))
    assert sorted(map(len, made)) == [0] * 19 + [1]
    await consistent(notify, ann)
    assert await notify.place.unread(ann) == 1


async def test_reading_marking_and_arriving_at_once_keep_the_count_right(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    first = await deliver(notify, *[wish(notify, ann) for _ in range(10)])

    async def mark(row: dict[str, Any], kind: str) -> None:
        async with notify.db.begin() as tx:
            await reading.engage(tx, community_id=notify.place.id, member_id=ann, message_id=row["id"], mark=kind)

    async def read_up_to(row: dict[str, Any] | None) -> None:
        async with notify.db.begin() as tx:
            up_to = row["id"] if row else None
            await reading.read_all(tx, community_id=notify.place.id, member_id=ann, up_to=up_to)

    work = [deliver(notify, wish(notify, ann)) for _ in range(15)]
    work += [mark(row, kind) for row in first for kind in ("read", "acked")]  # type: ignore[misc]
    work += [read_up_to(first[4]), read_up_to(None), read_up_to(first[9])]  # type: ignore[list-item]
    await asyncio.gather(*work)
    await consistent(notify, ann)


async def test_taking_back_and_falling_due_at_once_end_in_one_state(notify: Notify) -> None:
    ann = await notify.place.member("Ann")
    held = [await notify.place.send(ann, not_before="2026-11-23T10:00:00Z") for _ in range(6)]
    notify.clock.advance(timedelta(hours=2))
    replies = await asyncio.gather(*(notify.place.client.post(f"/v1/messages/{m['id']}/cancel") for m in held))
    await notify.settle()
    for message, reply in zip(held, replies, strict=True):
        now = await notify.place.get(f"/v1/messages/{message['id']}")
        assert (reply.status_code, now["state"]) in {(200, "cancelled"), (409, "delivered")}
        assert (now["position"] is not None) == (now["state"] == "delivered")
    await consistent(notify, *([ann] if any(r.status_code == 409 for r in replies) else []))
