"""Several members of a group: they share the partitions, none has two owners, and what was lost cannot be committed."""

import asyncio
from collections import Counter

import pytest

from kit.log import Log, Partition, Revoked, Stored, Subscription
from tests.kit.log.conftest import PARTITIONS
from tests.kit.log.support import PATIENCE, next_to_read, read, records, topic, until, values


def shared(*members: Subscription) -> bool:
    """All partitions are owned, each by one of these members, and every member has some."""
    owned = [p for m in members for p in m.assigned()]
    return len(owned) == len(set(owned)) == PARTITIONS and all(m.assigned() for m in members)


async def test_two_members_share_the_partitions_and_none_is_owned_twice(log: Log) -> None:
    things = await topic(log)
    one = await log.subscribe("g", [things])
    await until(lambda: shared(one), one)
    two = await log.subscribe("g", [things])
    await until(lambda: shared(one, two), one, two)
    assert one.assigned() | two.assigned() == {Partition(things, n) for n in range(PARTITIONS)}
    await one.close()
    await two.close()


async def test_what_two_members_commit_together_is_everything_once(log: Log) -> None:
    things = await topic(log)
    one, two = await log.subscribe("g", [things]), await log.subscribe("g", [things])
    await until(lambda: shared(one, two), one, two)
    await log.append(things, records(400))
    committed: Counter[int] = Counter()

    async def work(member: Subscription) -> None:
        while sum(committed.values()) < 400:
            batch = await member.fetch(9, 0.2)
            if batch:
                await member.commit(next_to_read(batch))
                committed.update(values(batch))

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(work(one), work(two))
    assert committed == Counter(range(400))
    await one.close()
    await two.close()


async def test_when_a_member_leaves_the_other_goes_on_where_it_committed(log: Log) -> None:
    things = await topic(log)
    one, two = await log.subscribe("g", [things]), await log.subscribe("g", [things])
    await until(lambda: shared(one, two), one, two)
    await log.append(things, records(100))
    mine = await two.fetch(500, 10.0)
    await two.commit(next_to_read(mine))
    await two.close()
    await until(lambda: shared(one))
    rest = await read(one, 100 - len(mine), commit=True)
    assert sorted(values([*mine, *rest])) == list(range(100))
    await one.close()


async def lose_some(log: Log, things: str) -> tuple[Subscription, Subscription, list[Stored], set[Partition]]:
    """A member with everything in hand that lost some partitions meanwhile, their new owner, and which they are."""
    one = await log.subscribe("g", [things])
    in_hand = await read(one, 200)
    two = await log.subscribe("g", [things])
    await until(lambda: bool(two.assigned()), two)
    await two.abandon()  # it may have fetched while it waited
    lost = {Partition(r.topic, r.partition) for r in in_hand} & two.assigned()
    assert lost
    return one, two, in_hand, lost


async def test_a_partition_that_went_to_another_member_cannot_be_committed(log: Log) -> None:
    things = await topic(log)
    await log.append(things, records(200))
    one, two, in_hand, lost = await lose_some(log, things)
    for place in lost:
        with pytest.raises(Revoked):
            await one.commit({place: next_to_read(in_hand)[place]})
    await one.abandon()
    seen: set[int] = set()
    async with asyncio.timeout(PATIENCE):
        while seen < set(range(200)):
            for member in (one, two):
                batch = await member.fetch(100, 0.2)
                await member.commit(next_to_read(batch)) if batch else None
                seen |= set(values(batch))
    assert sum((await log.lag("g", [things])).values()) == 0
    await one.close()
    await two.close()


async def test_a_batch_from_before_a_partition_went_away_and_came_back_cannot_be_committed(log: Log) -> None:
    """Its new owner may have gone further meanwhile: the old commit would take the group back."""
    things = await topic(log)
    await log.append(things, records(200))
    one, two, in_hand, lost = await lose_some(log, things)
    await two.close()
    await until(lambda: lost <= one.assigned())
    with pytest.raises(Revoked):
        await one.commit(next_to_read(in_hand))
    await one.abandon()
    again = await read(one, 200)
    assert sorted(values(again)) == list(range(200))
    await one.commit(next_to_read(again))
    await one.close()


async def test_members_that_come_and_go_under_appends_lose_nothing(log: Log) -> None:
    things = await topic(log)
    appended = 0
    done: set[int] = set()
    finished = asyncio.Event()

    async def live(batches: int | None) -> None:
        """A member that leaves after some batches, half of them with one in hand; the last one stays to the end."""
        member = await log.subscribe("g", [things])
        handled = 0
        while not finished.is_set() and (batches is None or handled < batches):
            batch = await member.fetch(20, 0.2)
            handled += 1
            try:
                if batch and not (batches and handled == batches and batches % 2):
                    await member.commit(next_to_read(batch))
                    done.update(values(batch))
            except Revoked:
                await member.abandon()
        await member.close()

    staying = asyncio.create_task(live(None))
    async with asyncio.timeout(PATIENCE):
        for batches in (3, 5, 4):
            going = asyncio.create_task(live(batches))
            while not going.done():
                await log.append(things, records(20, start=appended))
                appended += 20
                await asyncio.sleep(0.01)
            await going
        while len(done) < appended or sum((await log.lag("g", [things])).values()):
            await asyncio.sleep(0.05)
        finished.set()
        await staying
    assert done == set(range(appended))
