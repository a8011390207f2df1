"""What is accepted while the log is away: kept, bounded, forwarded in order, found again after a kill (K36)."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.kafka import KafkaBroker
from kit.log import LogUnavailable, Record, Stored, Topic
from kit.log.kafka import KafkaLog
from kit.log.spool import UNPLACED, SpooledLog, SpoolFull
from tests.kit.log.support import PATIENCE, by_key, everything, records, values

ROOT = Path(__file__).parents[3]
MEGABYTE = 1024 * 1024


@asynccontextmanager
async def spooled(
    broker: KafkaBroker, path: Path, *, limit: int = MEGABYTE, prefix: str = "", patience: float = 1.0
) -> AsyncIterator[SpooledLog]:
    """Topics `things` (with a spool) and `others` (without), of two partitions."""
    inner = KafkaLog(broker.bootstrap, partitions=2, replication=1, client_id="spool", prefix=prefix)
    log = SpooledLog(inner, path, topics=["things"], limit_bytes=limit, patience=patience)
    await log.start()
    try:
        await log.ensure([Topic("things"), Topic("others")])
        yield log
    finally:
        await log.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.05)


async def complaint(log: SpooledLog) -> str:
    """What `check` says once it does not pass."""
    while True:
        try:
            await log.check()
        except LogUnavailable as error:
            return str(error)
        await asyncio.sleep(0.1)


async def read_up_to(log: SpooledLog, last: int) -> dict[bytes, list[int]]:
    """What `things` has, key by key in order, until this value came; without the repeats that an append may leave
    whose answer was lost."""
    reader = await log.subscribe(f"reader-{uuid4()}", ["things"])
    found: list[Stored] = []
    async with asyncio.timeout(PATIENCE):
        while last not in values(found):
            found += await reader.fetch(500, 1.0)
    await reader.close()
    return {key: list(dict.fromkeys(numbers)) for key, numbers in by_key(found).items()}


async def test_while_the_log_is_there_nothing_goes_into_the_file(
    kafka_broker: KafkaBroker, prefix: str, tmp_path: Path
) -> None:
    async with spooled(kafka_broker, tmp_path / "spool.sqlite", prefix=prefix, patience=30) as log:
        positions = await log.append("things", records(100))
        assert all(p.offset != UNPLACED for p in positions)
        assert log.waiting == 0
        assert len(await everything(log, "things", 100)) == 100


async def test_what_comes_while_the_broker_is_away_is_taken_and_follows_in_order(
    mortal: KafkaBroker, tmp_path: Path
) -> None:
    async with spooled(mortal, tmp_path / "spool.sqlite") as log:
        await log.append("things", records(100))
        await asyncio.to_thread(mortal.kill)
        for start in range(100, 1100, 10):
            positions = await log.append("things", records(10, start=start))
            assert {p.offset for p in positions} == {UNPLACED}
        assert log.waiting == 1000
        await log.check()
        with pytest.raises(LogUnavailable):
            async with asyncio.timeout(PATIENCE):
                await log.append("others", records(1))
        await asyncio.to_thread(mortal.start)
        # Asked for at once: these may not go past those that wait.
        for start in range(1100, 1200, 10):
            await log.append("things", records(10, start=start))
        await until(lambda: log.waiting == 0)
        for start in range(1200, 1300, 10):
            await log.append("things", records(10, start=start))
        await log.append("others", records(1))
        # The last of each key, that is of each partition.
        found = [await read_up_to(log, last) for last in range(1290, 1300)]
    for n, seen in enumerate(found):
        assert seen[b"key-%d" % n] == list(range(n, 1300, 10))


async def test_a_full_file_takes_nothing_more_and_says_so(mortal: KafkaBroker, tmp_path: Path) -> None:
    async with spooled(mortal, tmp_path / "spool.sqlite", limit=10_000) as log:
        await asyncio.to_thread(mortal.kill)
        big = [Record(b"k", b"x" * 999)] * 10
        await log.append("things", big)
        with pytest.raises(SpoolFull, match="10 records wait"):
            await log.append("things", [Record(b"k", b"y")])
        with pytest.raises(SpoolFull):
            await log.check()
        assert log.waiting == 10
        await asyncio.to_thread(mortal.start)
        await until(lambda: log.waiting == 0)
        await log.check()
        assert len(await everything(log, "things", 10)) >= 10


async def test_what_a_killed_process_took_is_forwarded_by_the_next(mortal: KafkaBroker, tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    command = [sys.executable, "-m", "tests.kit.log.spooler", mortal.bootstrap, str(path)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert await process.stdout.readline() == b"ready\n"
        await asyncio.to_thread(mortal.kill)
        process.stdin.write(b"go\n")
        taken = [int(await process.stdout.readline()) for _ in range(50)]
    process.kill()
    taken += [int(line) for line in (await process.stdout.read()).split(b"\n")[:-1]]
    await process.wait()
    await asyncio.to_thread(mortal.start)
    async with spooled(mortal, path) as log:
        assert log.waiting >= len(taken)
        await until(lambda: log.waiting == 0)
        found = await read_up_to(log, taken[-1])
    assert found[b"k"][: len(taken)] == taken


async def test_a_process_that_starts_while_the_broker_is_away_takes_what_comes(
    mortal: KafkaBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.log.spool.START_SECONDS", 0.5)
    await asyncio.to_thread(mortal.kill)
    async with spooled(mortal, tmp_path / "spool.sqlite") as log:
        await log.append("things", records(50))
        assert log.waiting == 50
        await log.check()
        for refused in (log.append("others", records(1)), log.subscribe("g", ["things"]), log.lag("g", ["things"])):
            with pytest.raises(LogUnavailable, match="away at the start"):
                await refused
    # And a second time, with what the first one left.
    async with spooled(mortal, tmp_path / "spool.sqlite") as log:
        await log.append("things", records(50, start=50))
        assert log.waiting == 100
        await asyncio.to_thread(mortal.start)
        await until(lambda: log.waiting == 0)
        await log.append("things", records(10, start=100))
        await log.append("others", records(1))
        found = [await read_up_to(log, last) for last in range(100, 110)]
    for n, seen in enumerate(found):
        assert seen[b"key-%d" % n] == list(range(n, 110, 10))


async def test_topics_found_to_be_wrong_after_a_start_without_the_broker_are_said_and_not_written_to(
    mortal: KafkaBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spooled(mortal, tmp_path / "first.sqlite"):
        pass
    monkeypatch.setattr("kit.log.spool.START_SECONDS", 0.5)
    await asyncio.to_thread(mortal.kill)
    inner = KafkaLog(mortal.bootstrap, partitions=2, replication=1, client_id="spool")
    log = SpooledLog(inner, tmp_path / "spool.sqlite", topics=["things"], limit_bytes=MEGABYTE)
    await log.start()
    try:
        await log.ensure([Topic("things", compacted=True)])
        await asyncio.to_thread(mortal.start)
        async with asyncio.timeout(PATIENCE):
            assert "topics repair" in await complaint(log)
        await log.append("things", records(10))
        assert log.waiting == 10
    finally:
        await log.stop()


async def test_a_file_that_another_process_uses_is_refused(kafka_broker: KafkaBroker, tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    async with spooled(kafka_broker, path):
        with pytest.raises(LogUnavailable, match="another process uses"):
            async with spooled(kafka_broker, path):
                pass


async def test_a_place_that_cannot_be_written_is_said_with_the_setting_that_goes_without(
    kafka_broker: KafkaBroker, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LogUnavailable, match="GUILDHALL_SPOOL_MB=0"):
        async with spooled(kafka_broker, tmp_path / "file" / "spool.sqlite"):
            pass


async def test_what_left_the_file_leaves_room_in_it(mortal: KafkaBroker, tmp_path: Path) -> None:
    """The file does not grow with every outage: what was forwarded is deleted, and its space used again."""
    path = tmp_path / "spool.sqlite"
    sizes = []
    async with spooled(mortal, path) as log:
        for start in range(0, 3000, 1000):
            await asyncio.to_thread(mortal.kill)
            for shift in range(0, 1000, 10):
                await log.append(
                    "things", [Record(b"k", b"%d" % n + b"x" * 500) for n in range(start + shift, start + shift + 10)]
                )
            await asyncio.to_thread(mortal.start)
            await until(lambda: log.waiting == 0)
            sizes.append(path.stat().st_size)
    assert sizes[2] <= sizes[0] * 2
