"""From the log into a service: once in effect, poison isolated, trouble waited out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, Integer, Table, Uuid, select

from kit import codec, dead_letters
from kit.clock import uuid7
from kit.consumer import Consumer, NotYet
from kit.contracts import ACTIVITY_TOPIC, MEMBERS_TOPIC, Envelope
from kit.contracts.platform import KeyUsed
from kit.database import Database, Tx, add_up, metadata_for
from kit.errors import BadMessage, Conflict, Unprocessable
from kit.log import Record, Stored, Topic
from kit.log.embedded import EmbeddedLog
from kit.service import Service, ServiceRuntime
from kit.settings import load_settings
from tests.support.clock import ManualClock

METADATA = metadata_for("scratch")
EFFECTS = Table("effects", METADATA, Column("key_id", Uuid, primary_key=True), Column("times", Integer, nullable=False))

MakeScratch = Callable[[object], Awaitable[Database]]
POISON = UUID(int=666)
LATER_VERSION = (
    b'{"specversion":"1.0","id":"01939e2c-0000-7000-8000-000000000000","source":"/x",'
    b'"type":"guildhall.members.x","time":"2026-01-01T00:00:00Z","data":{}}'
)


class Stage:
    """A consumer with a handler that counts, on a real log and database; `run` lets it work until the log is read."""

    def __init__(self, db: Database, log: EmbeddedLog, clock: ManualClock) -> None:
        service = Service("scratch", (KeyUsed,), (), (), {}, METADATA, Path())
        self.runtime = ServiceRuntime(service, db, log, clock, load_settings({}))
        self.db, self.log, self.clock = db, log, clock
        self.batches: list[int] = []
        self.trouble: list[Exception] = []

    async def handle(self, tx: Tx, batch: list[Envelope[KeyUsed]]) -> None:
        self.batches.append(len(batch))
        if self.trouble:
            raise self.trouble.pop(0)
        keys = [e.event.key_id for e in batch]
        await add_up(
            tx, EFFECTS, [{"key_id": k, "times": keys.count(k)} for k in set(keys)], key=["key_id"], add=["times"]
        )
        # Small numbers only, which no uuid4 is: a random key must not be poison by chance.
        if any(k.int < 10**9 and k.int % 1000 == POISON.int for k in keys):
            raise BadMessage("poison", "this key is poison")

    def consumer(self) -> Consumer:
        return Consumer(self.runtime, MEMBERS_TOPIC, {KeyUsed: [self.handle]})

    async def append(self, keys: Sequence[UUID], ids: Sequence[UUID] | None = None) -> list[UUID]:
        ids = ids or [uuid7(self.clock.now) for _ in keys]
        events = [KeyUsed(key_id=k, used_at=self.clock.now) for k in keys]
        bodies = [codec.encode(e, id=i, time=self.clock.now) for e, i in zip(events, ids, strict=True)]
        await self.log.append(MEMBERS_TOPIC, [Record(b"k", body) for body in bodies])
        return list(ids)

    @asynccontextmanager
    async def consuming(self, consumer: Consumer) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        task = asyncio.create_task(consumer.run(stopping))
        yield
        stopping.set()
        await task

    async def drain(self, consumer: Consumer | None = None) -> Consumer:
        consumer = consumer or self.consumer()
        async with self.consuming(consumer), asyncio.timeout(60):
            while sum((await self.log.lag(consumer.group, [MEMBERS_TOPIC])).values()) and not consumer.stopped_by:
                await asyncio.sleep(0.01)
        return consumer

    async def effects(self) -> dict[UUID, int]:
        async with self.db.read() as tx:
            return {r.key_id: r.times for r in await tx.all(select(EFFECTS))}

    async def dead(self) -> list[dead_letters.DeadLetter]:
        async with self.db.read() as tx:
            return await dead_letters.list_dead(tx)


@pytest.fixture
async def stage(scratch: MakeScratch, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Stage]:
    log = EmbeddedLog(tmp_path / "log.sqlite", clock=clock)
    await log.start()
    await log.ensure([Topic(MEMBERS_TOPIC, compacted=True)])
    yield Stage(await scratch(METADATA), log, clock)
    await log.stop()


async def test_what_is_appended_twice_has_its_effect_once(stage: Stage) -> None:
    keys = [uuid4() for _ in range(5)]
    ids = await stage.append(keys)
    await stage.append(keys[:3], ids[:3])
    await stage.append([keys[0], keys[0]], [ids[0], ids[0]])
    await stage.drain()
    assert await stage.effects() == dict.fromkeys(keys, 1)


async def test_a_batch_whose_offset_was_never_committed_is_read_again_without_effect(stage: Stage) -> None:
    key = uuid4()
    await stage.append([key])
    records = await (await stage.log.subscribe("another", [MEMBERS_TOPIC])).fetch(10, 1)
    consumer = stage.consumer()
    await consumer._apply(records)  # the process dies here: effects are committed, the offset is not
    await stage.drain()
    assert await stage.effects() == {key: 1}


async def test_one_bad_message_is_isolated_and_the_rest_of_its_batch_goes_on(stage: Stage) -> None:
    keys = [uuid4() for _ in range(40)]
    poisoned = [*keys[:17], POISON, *keys[17:]]
    ids = await stage.append(poisoned)
    consumer = await stage.drain()
    assert await stage.effects() == dict.fromkeys(keys, 1)
    [letter] = await stage.dead()
    assert (letter.code, letter.event_id, letter.attempts, letter.state) == ("poison", ids[17], 1, "dead")
    assert b'"type":"guildhall.members.key_used"' in letter.body
    assert consumer.stopped_by is None


async def test_what_fails_as_its_transaction_ends_is_isolated_too(stage: Stage) -> None:
    """Last steps are outside of every savepoint: a bug in one had stopped the consumer for good."""

    async def handle(tx: Tx, batch: list[Envelope[KeyUsed]]) -> None:
        keys = {e.event.key_id for e in batch}
        await add_up(tx, EFFECTS, [{"key_id": k, "times": 1} for k in keys], key=["key_id"], add=["times"])

        async def last(_tx: Tx) -> None:
            if POISON in keys:
                raise IndexError("a bug")

        tx.last.append(last)

    keys = [uuid4() for _ in range(12)]
    ids = await stage.append([*keys[:5], POISON, *keys[5:]])
    consumer = Consumer(stage.runtime, MEMBERS_TOPIC, {KeyUsed: [handle]})
    await stage.drain(consumer)
    assert await stage.effects() == dict.fromkeys(keys, 1)
    [letter] = await stage.dead()
    assert (letter.event_id, letter.state) == (ids[5], "dead")
    assert consumer.stopped_by is None


async def test_bytes_that_are_no_event_become_a_dead_letter(stage: Stage) -> None:
    key = uuid4()
    await stage.log.append(MEMBERS_TOPIC, [Record(b"k", b"{not json"), Record(b"k", b'{"type": 5}')])
    await stage.append([key])
    await stage.drain()
    assert await stage.effects() == {key: 1}
    assert [(d.code, d.event_id) for d in await stage.dead()] == [("undecodable", None)] * 2


async def test_a_tombstone_and_a_type_of_a_later_version_are_passed_over(stage: Stage) -> None:
    await stage.log.append(MEMBERS_TOPIC, [Record(b"k", None), Record(b"k", LATER_VERSION)])
    await stage.drain()
    assert await stage.dead() == []


async def test_what_a_service_is_not_concerned_by_leaves_no_trace_in_it(stage: Stage) -> None:
    keys = [uuid4() for _ in range(4)]
    only = replace(stage.runtime.service, concerned={KeyUsed: lambda event: event.key_id in keys[:2]})
    stage.runtime = replace(stage.runtime, service=only)
    ids = await stage.append(keys)
    await stage.drain()
    assert await stage.effects() == dict.fromkeys(keys[:2], 1)
    async with stage.db.read() as tx:
        assert {row.id for row in await tx.all(select(METADATA.tables["inbox"].c.id))} == set(ids[:2])


async def test_what_is_not_wanted_is_told_by_its_type_and_the_rest_of_it_is_not_looked_at() -> None:
    activity = b'{"type":"message.created","time":"no time at all","data":{}}'
    assert codec.decode(Stored(ACTIVITY_TOPIC, 0, 0, b"k", activity), lambda kind: kind != "message.created") is None
    with pytest.raises(BadMessage):
        codec.decode(Stored(ACTIVITY_TOPIC, 0, 0, b"k", activity), lambda kind: kind == "message.created")
    with pytest.raises(BadMessage):
        codec.decode(Stored(ACTIVITY_TOPIC, 0, 0, b"k", activity[:-1]), lambda kind: False)


async def test_trouble_with_the_infrastructure_is_retried_and_kills_nothing(stage: Stage) -> None:
    keys = [uuid4(), uuid4()]
    stage.trouble = [ConnectionResetError("gone"), NotYet("its community is still on its way"), TimeoutError()]
    await stage.append(keys)
    await stage.drain()
    assert await stage.effects() == dict.fromkeys(keys, 1)
    assert await stage.dead() == []


async def test_ten_dead_letters_in_a_row_stop_the_consumer_and_leave_the_rest_unread(stage: Stage) -> None:
    healthy, unread = [uuid4() for _ in range(3)], [uuid4() for _ in range(50)]
    await stage.append([*healthy, *(UUID(int=POISON.int + 1000 * i) for i in range(30)), *unread])
    consumer = await stage.drain()
    assert consumer.stopped_by is not None
    assert await stage.effects() == dict.fromkeys(healthy, 1)
    assert 10 <= len(await stage.dead()) < 20
    assert sum((await stage.log.lag(consumer.group, [MEMBERS_TOPIC])).values()) >= 50


async def test_what_is_nobodys_business_in_between_does_not_begin_the_row_anew(stage: Stage) -> None:
    """Most topics carry events of several kinds: a service whose every message fails must stop all the same."""
    ignored = Record(b"k", LATER_VERSION)
    [seen] = await stage.append([uuid4()])
    consumer = await stage.drain()
    for number in range(30):
        await stage.append([UUID(int=POISON.int + 1000 * number)])
        await stage.log.append(MEMBERS_TOPIC, [ignored])
        await stage.append([uuid4()], [seen])
        # One by one, so that what is passed over is a batch of its own now and then.
        await stage.drain(consumer)
        if consumer.stopped_by is not None:
            break
    assert len(await stage.dead()) == 10


async def test_two_copies_of_a_consumer_have_each_effect_once(stage: Stage) -> None:
    keys = [uuid4() for _ in range(300)]
    ids = await stage.append(keys)
    one, two = stage.consumer(), stage.consumer()
    async with stage.consuming(one):
        await stage.append(keys, ids)
        await stage.drain(two)
    assert await stage.effects() == dict.fromkeys(keys, 1)


async def test_a_dead_letter_that_is_retried_has_its_effect_or_counts_one_more_attempt(stage: Stage) -> None:
    await stage.append([POISON])
    await stage.drain()
    [letter] = await stage.dead()
    good = uuid4()
    handlers = {KeyUsed: [stage.handle]}
    async with stage.db.begin() as tx:
        again = await dead_letters.retry(tx, handlers, letter.id)
    assert (again.state, again.attempts, await stage.effects()) == ("dead", 2, {})
    mended = letter.body.replace(str(POISON).encode(), str(good).encode())
    async with stage.db.begin() as tx:
        done = await dead_letters.retry(tx, handlers, letter.id, body=mended)
    assert (done.state, await stage.effects(), await stage.dead()) == ("retried", {good: 1}, [])
    with pytest.raises(Conflict, match="retried already"):
        async with stage.db.begin() as tx:
            await dead_letters.retry(tx, handlers, letter.id)


async def test_an_edited_dead_letter_keeps_its_id(stage: Stage) -> None:
    [id] = await stage.append([POISON])
    await stage.drain()
    [letter] = await stage.dead()
    with pytest.raises(Unprocessable, match="keeps its id"):
        async with stage.db.begin() as tx:
            other = letter.body.replace(str(id).encode(), str(uuid4()).encode())
            await dead_letters.retry(tx, {KeyUsed: [stage.handle]}, letter.id, body=other)


async def test_dead_letters_of_one_code_are_discarded_together_with_a_reason(stage: Stage) -> None:
    await stage.append([UUID(int=POISON.int + 1000 * i) for i in range(4)])
    await stage.drain()
    async with stage.db.begin() as tx:
        closed = await dead_letters.bulk(tx, {}, code="poison", action="discard", reason="test data")
    assert {(d.state, d.reason) for d in closed} == {("discarded", "test data")}
    assert await stage.dead() == []
