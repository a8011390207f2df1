"""Topics that are not as the settings say: told at the start and by `check`, mended by `repair`, no more than asked."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from structlog.testing import capture_logs

from deploy.local.kafka import KafkaBroker
from kit.contracts import MEMBERS_TOPIC
from kit.log import Topic, TopicMismatch
from kit.log.kafka.topics import CLEANUP, IN_SYNC, PARTITIONS, REPLICATION, RETENTION, Found, Topics, in_sync
from tests.crash.processes import clean_environment
from tests.kit.log.support import by_key, everything, records, topic
from tests.kit.log.test_kafka import opened

DAY_MS = 24 * 3600 * 1000
ROOT = Path(__file__).parents[3]


async def make(broker: KafkaBroker, name: str, partitions: int = 4, **configs: str) -> None:
    """A topic as somebody else made it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    named = {key.replace("_", "."): value for key, value in configs.items()}
    await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=named)])
    await admin.close()


async def test_another_retention_reaches_an_existing_topic_by_repair_and_is_told_before(
    kafka_broker: KafkaBroker, prefix: str
) -> None:
    async with opened(kafka_broker.bootstrap, prefix) as log:
        await log.ensure([Topic("things", retention=timedelta(days=7))])
        longer = [Topic("things", retention=timedelta(days=30))]
        with capture_logs() as told:
            await log.ensure(longer)
        assert ["retention.ms" in line["difference"] for line in told] == [True]
        [difference] = await log.topics.repair(longer, grow=False)
        assert (difference.what, difference.present, difference.wanted) == (
            RETENTION,
            str(7 * DAY_MS),
            str(30 * DAY_MS),
        )
        found = await log.topics.find(longer)
        assert found["things"].configs[RETENTION] == str(30 * DAY_MS)
        assert log.topics.differences(longer, found) == []
        assert await log.topics.repair(longer, grow=False) == []


async def test_repair_leaves_alone_what_it_is_not_asked_about(kafka_broker: KafkaBroker, prefix: str) -> None:
    """Somebody else's choice of another setting of the same topic stays."""
    await make(kafka_broker, prefix + "things", retention_ms="1000", segment_bytes="1048577", min_insync_replicas="3")
    async with opened(kafka_broker.bootstrap, prefix) as log:
        wanted = [Topic("things", retention=timedelta(days=1))]
        assert [d.what for d in await log.topics.repair(wanted, grow=False)] == [RETENTION]
        configs = (await log.topics.find(wanted))["things"].configs
        assert configs["segment.bytes"] == "1048577"
        assert configs[IN_SYNC] == "3"


@pytest.mark.parametrize("present", ["delete", "compact,delete"])
async def test_a_state_topic_that_forgets_refuses_to_start_until_it_is_repaired(
    kafka_broker: KafkaBroker, prefix: str, present: str
) -> None:
    await make(kafka_broker, prefix + "state", cleanup_policy=present)
    state = [Topic("state", compacted=True)]
    async with opened(kafka_broker.bootstrap, prefix) as log:
        with pytest.raises(TopicMismatch, match="guildhall topics repair"):
            await log.ensure(state)
        assert [d.what for d in await log.topics.repair(state, grow=False)] == [CLEANUP]
        await log.ensure(state)


async def test_partitions_are_added_only_on_request_and_what_was_written_stays(
    kafka_broker: KafkaBroker, prefix: str
) -> None:
    async with opened(kafka_broker.bootstrap, prefix, partitions=2) as log:
        await topic(log)
        await log.append("things", records(40))
    things = [Topic("things")]
    async with opened(kafka_broker.bootstrap, prefix, partitions=6) as log:
        assert await log.topics.repair(things, grow=False) == []
        [left] = log.topics.differences(things, await log.topics.find(things))
        assert "--grow-partitions" in str(left)
        assert [d.what for d in await log.topics.repair(things, grow=True)] == [PARTITIONS]
    async with opened(kafka_broker.bootstrap, prefix, partitions=6) as log:
        await topic(log)
        positions = await log.append("things", records(40, start=40))
        assert {p.partition for p in positions} - {0, 1}
        got = by_key(await everything(log, "things", 80))
        assert sorted(n for numbers in got.values() for n in numbers) == list(range(80))


async def test_partitions_are_never_taken_away_and_never_added_to_a_compacted_topic(
    kafka_broker: KafkaBroker, prefix: str
) -> None:
    async with opened(kafka_broker.bootstrap, prefix, partitions=4) as log:
        await log.ensure([Topic("things"), Topic("state", compacted=True)])
    for wanted, kind in ((2, Topic("things")), (8, Topic("state", compacted=True))):
        async with opened(kafka_broker.bootstrap, prefix, partitions=wanted) as log:
            assert await log.topics.repair([kind], grow=True) == []
            found = await log.topics.find([kind])
            assert found[kind.name].partitions == 4
            [left] = log.topics.differences([kind], found)
            assert left.what == PARTITIONS
            assert left.advice


async def test_what_is_missing_is_made_by_repair(kafka_broker: KafkaBroker, prefix: str) -> None:
    async with opened(kafka_broker.bootstrap, prefix) as log:
        things = [Topic("things")]
        [missing] = log.topics.differences(things, await log.topics.find(things))
        assert "no such topic" in str(missing)
        await log.topics.repair(things, grow=False)
        assert log.topics.differences(things, await log.topics.find(things)) == []


def test_an_acknowledged_record_is_on_two_of_three_replicas_and_replication_is_only_told() -> None:
    async def nobody(make: object) -> None:
        raise AssertionError

    assert [in_sync(replicas) for replicas in (1, 2, 3, 5)] == [1, 1, 2, 2]
    topics = Topics(nobody, str, 12, 3)  # type: ignore[arg-type]  # comparing asks no broker
    present = {CLEANUP: "delete", RETENTION: "-1", IN_SYNC: "1"}
    told = topics.differences([Topic("t")], {"t": Found(12, 1, present)})
    assert [d.what for d in told] == [REPLICATION]
    told = topics.differences([Topic("t")], {"t": Found(12, 3, present)})
    assert [(d.what, d.wanted, d.advice) for d in told] == [(IN_SYNC, "2", "")]


def command(broker: KafkaBroker, prefix: str, *arguments: str, days: int) -> tuple[int, str]:
    given = clean_environment(
        database_url="postgresql+asyncpg://u@127.0.0.1/none",
        kafka=broker.bootstrap,
        kafka_prefix=prefix,
        kafka_partitions="2",
        log_retention_days=str(days),
    )
    done = subprocess.run(
        [sys.executable, "-m", "services", "topics", *arguments],
        env=given,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_says_every_difference_mends_it_and_says_so_with_its_exit_code(
    kafka_broker: KafkaBroker, prefix: str
) -> None:
    code, said = command(kafka_broker, prefix, "check", days=7)
    assert (code, said.count("no such topic")) == (1, 4)
    code, said = command(kafka_broker, prefix, "repair", days=7)
    assert (code, said.count("mended")) == (0, 4)
    assert command(kafka_broker, prefix, "check", days=7)[0] == 0
    code, said = command(kafka_broker, prefix, "check", days=8)
    assert (code, said.count("retention.ms")) == (1, 3)
    assert MEMBERS_TOPIC not in said
    code, said = command(kafka_broker, prefix, "repair", days=8)
    assert (code, said.count(f"{7 * DAY_MS} -> {8 * DAY_MS}")) == (0, 3)


def test_the_command_on_an_embedded_installation_says_that_there_is_nothing_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services", "topics", "check"],
        env=clean_environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "GUILDHALL_KAFKA is not set" in done.stderr
