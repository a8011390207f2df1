"""Two replicas of the rewards service in one group, on Kafka and one PostgreSQL database: as if there were one."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import select, text

from kit import codec
from kit.contracts import ACTIVITY_TOPIC, MEMBERS_TOPIC, REWARDS_TOPIC
from kit.contracts.events import Activity
from kit.contracts.rewards import ActivityScored
from kit.database import Database, open_database
from kit.log import Log, Record
from kit.log.embedded import EmbeddedLog
from kit.log.kafka import KafkaLog
from kit.runtime import Runtime
from kit.settings import Settings, load_settings
from services.compose import SERVICES
from services.rewards.service import SERVICE
from services.rewards.tables.boards import board_scores, boards
from services.rewards.tables.ledger import accounts, entries, transactions, units
from services.rewards.tables.levels import level_versions
from services.rewards.tables.rules import rule_sets
from tests.rewards.guild import MORNING, Guild
from tests.rewards.ledger.support import check_books, community_changed
from tests.support.clock import ManualClock

_numbers = count(1)
Start = Callable[[], Awaitable[Runtime]]


def settings(directory: Path) -> Settings:
    # Small batches, so that many transactions of both replicas meet.
    return load_settings({}, data_dir=directory, secret_key="s" * 40, consumer_batch=20)


def runtime(log: Log, db: Database, clock: ManualClock, directory: Path) -> Runtime:
    return Runtime(
        [SERVICE],
        everyone=SERVICES,
        settings=settings(directory),
        clock=clock,
        log=log,
        open_db=lambda _service, _publishes: db,
    )


@pytest.fixture
async def start(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Start]:
    """`await start()`: another replica, with connections of its own to the same database and broker."""
    url = request.getfixturevalue("postgres_server").create_database(f"rewards_replicas_{next(_numbers)}")
    broker, prefix = request.getfixturevalue("kafka_broker").bootstrap, f"replicas{uuid4().hex[:8]}."
    running: list[Runtime] = []

    async def one() -> Runtime:
        db = open_database("rewards", clock, metadata=SERVICE.metadata, publishes=SERVICE.publishes, url=url, pool=10)
        made = runtime(KafkaLog(broker, partitions=4, prefix=prefix), db, clock, tmp_path)
        await made.start(migrating=True)
        running.append(made)
        return made

    yield one
    for made in running:
        if not made.stopping.is_set():
            await made.stop()


def wire(a: Activity) -> Record:
    """An activity as the events service writes it to the log."""
    body = codec.ActivityWire(
        specversion="1.0",
        id=a.id,
        source=a.source,
        type=a.type,
        time=a.occurred_at,
        communityid=a.community_id,
        receivedtime=a.received_at,
        effectivetime=a.effective_at,
        subject=a.subject,
        data={key: value for key, value in a.data.items() if value is not None},
    )
    return Record(f"{a.community_id}:{a.actor_id}".encode(), msgspec.json.encode(body))


def story(guild: Guild, seed: int, length: int = 900) -> list[Activity]:
    """Activities of twelve people over three days that run into every cap of the starter rules, some posted twice."""
    dice = random.Random(seed)
    names = [f"m{n}" for n in range(12)]
    out: list[Activity] = []
    for number in range(length):
        by, of = dice.sample(names, 2)
        at = MORNING - timedelta(minutes=dice.randrange(3 * 24 * 60))
        kinds = ("message.created", "question.asked", "answer.posted", "checkin.submitted", "reaction.added")
        kind = dice.choice((*kinds, "answer.accepted", "onboarding.finished"))
        # Whose text it is, is part of its name: otherwise the order of two partitions would decide who is paid.
        subject = f"{of}/{dice.randrange(60)}" if kind == "reaction.added" else f"{of}/q{number}"
        out.append(guild.act(kind, by, at, of=of, subject=subject))
        if dice.random() < 0.1:
            out.append(dice.choice(out))
    return out


async def tell(log: Log, guild: Guild, acts: list[Activity]) -> None:
    for at in range(0, len(acts), 100):
        await log.append(ACTIVITY_TOPIC, [wire(a) for a in acts[at : at + 100]])


async def found(log: Log, guild: Guild) -> None:
    born = community_changed(guild.id)
    body = codec.encode(born, id=uuid4(), time=MORNING)
    await log.append(MEMBERS_TOPIC, [Record(f"community:{guild.id}".encode(), body)])


async def books(db: Database) -> dict[str, Any]:
    """What must not depend on how many replicas there were, nor on which partition was read first."""
    async with db.read() as tx:
        balances = {(r.owner_id, r.unit): r.balance for r in await tx.all(select(accounts)) if r.balance}
        joined = select(transactions.c.rule_id, entries.c.owner_id, entries.c.unit, entries.c.amount).join(
            entries, (entries.c.transaction_id == transactions.c.id) & (entries.c.line == 0)
        )
        per_rule: Counter[tuple[str, UUID, str]] = Counter()
        for row in await tx.all(joined):
            per_rule[row.rule_id, row.owner_id, row.unit] += row.amount
        events = select(transactions.c.rule_id, transactions.c.source_event_id, entries.c.unit).join(
            entries, (entries.c.transaction_id == transactions.c.id) & (entries.c.line == 0)
        )
        grants = Counter(tuple(row) for row in await tx.all(events))
        scores = Counter(row.negated for row in await tx.all(select(board_scores.c.negated)))
    assert set(grants.values()) == {1}
    return {"balances": balances, "per rule": per_rule, "grants": len(grants), "scores": scores}


async def alone(acts: list[Activity], guild: Guild, clock: ManualClock, directory: Path) -> dict[str, Any]:
    """The same activities, read by one consumer on the embedded engines."""
    db = open_database(
        "rewards", clock, metadata=SERVICE.metadata, publishes=SERVICE.publishes, directory=directory, pool=5
    )
    one = runtime(EmbeddedLog(directory / "log.sqlite", clock=clock), db, clock, directory)
    await one.start(migrating=True)
    try:
        await found(one.log, guild)
        await tell(one.log, guild, acts)
        await one.settle(60)
        return await books(db)
    finally:
        await one.stop()


async def announced(log: Log, wanted: int) -> set[UUID]:
    """The activities told of on the log, read until there are so many (the deadline is for a broken product)."""
    subscription = await log.subscribe(f"test:{uuid4()}", [REWARDS_TOPIC])
    out: set[UUID] = set()
    async with asyncio.timeout(60):
        while len(out) < wanted:
            envelopes = map(codec.decode, await subscription.fetch(1000, 1.0))
            out |= {e.event.event_id for e in envelopes if e is not None and isinstance(e.event, ActivityScored)}
    await subscription.close()
    return out


async def test_two_replicas_pay_what_one_would_while_they_join_and_leave(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    first = await start()
    db = first.services["rewards"].db
    guild = Guild(db, uuid4(), [])
    acts = story(guild, seed=11)
    expected = await alone(acts, guild, clock, tmp_path)

    third = len(acts) // 3
    await found(first.log, guild)
    await tell(first.log, guild, acts[:third])
    second = await start()
    await tell(first.log, guild, acts[third : 2 * third])
    await first.stop()
    await tell(second.log, guild, acts[2 * third :])
    last = await start()
    # Everything once more: clients that did not see their answers.
    await tell(last.log, guild, acts)
    await last.settle(120)

    db = last.services["rewards"].db
    assert await books(db) == expected
    await check_books(db)
    wanted = {a.event_id for a in acts}
    assert await announced(last.log, len(wanted)) == wanted


async def test_two_replicas_that_start_together_on_a_full_log_pay_what_one_would(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    first = await start()
    guild = Guild(first.services["rewards"].db, uuid4(), [])
    acts = story(guild, seed=12, length=600)
    expected = await alone(acts, guild, clock, tmp_path)
    log = first.log
    await found(log, guild)
    second = await start()
    await tell(log, guild, acts)
    await second.settle(120)
    assert await books(second.services["rewards"].db) == expected
    await check_books(second.services["rewards"].db)


async def defaults(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What every community begins with; without what is drawn or timed anew."""
    wanted = {
        "rule sets": select(rule_sets.c.community_id, rule_sets.c.version, rule_sets.c.actor),
        "units": select(units.c.community_id, units.c.id, units.c.version),
        "levels": select(level_versions.c.community_id, level_versions.c.version),
        "boards": select(boards.c.community_id, boards.c.id),
        "accounts": select(accounts.c.community_id, accounts.c.name, accounts.c.unit, accounts.c.followers).where(
            accounts.c.system == 1
        ),
    }
    async with db.read() as tx:
        return {name: sorted(tuple(row) for row in await tx.all(query)) for name, query in wanted.items()}


async def test_two_replicas_that_start_together_with_a_lost_database_make_the_defaults_of_each_community_once(
    start: Start,
) -> None:
    first = await start()
    db = first.services["rewards"].db
    guilds = [Guild(db, uuid4(), []) for _ in range(20)]
    for guild in guilds:
        await found(first.log, guild)
    await first.settle(60)
    before = await defaults(db)
    assert len(before["rule sets"]) == len(guilds)
    await first.stop()
    async with db.engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA rewards CASCADE"))
    await db.close()
    second, third = await asyncio.gather(start(), start())
    assert await defaults(second.services["rewards"].db) == before
    guild = Guild(second.services["rewards"].db, guilds[7].id, [])
    acts = story(guild, seed=3, length=100)
    await tell(third.log, guild, acts)
    await second.settle(60)
    assert {(await guild.verdicts(act))[0][1] for act in acts if act.type == "checkin.submitted"} >= {"granted"}
    assert await defaults(second.services["rewards"].db) == before
    await check_books(second.services["rewards"].db)
