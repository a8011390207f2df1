"""The embedded log and a process that dies: what was acknowledged is there, and the log opens."""

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.log import LogUnavailable, Record
from kit.log.embedded import EmbeddedLog
from tests.kit.log.appender import TOPIC
from tests.kit.log.support import everything, records, topic, values

ROOT = Path(__file__).parents[3]
KILLS = 6
SEED = int(os.environ.get("GUILDHALL_CRASH_SEED", "1"))

Acknowledged = dict[tuple[int, int], int]


def append_until_killed(path: Path, first: int, after: int) -> Acknowledged:
    """Let another process append, SIGKILL it when `after` records were acknowledged, and return all that were."""
    command = [sys.executable, "-m", "tests.kit.log.appender", str(path), str(first)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if len(lines) == after:
            process.kill()
            break
    # What was acknowledged before the signal arrived is still in the pipe; its last line may be cut off.
    rest = process.stdout.read()
    lines += rest.splitlines(keepends=True)
    process.wait()
    told = [line.split() for line in lines if line.endswith("\n")]
    return {(int(partition), int(offset)): int(number) for partition, offset, number in told}


async def stored(log: EmbeddedLog) -> Acknowledged:
    await topic(log, TOPIC)
    count = sum((await log.lag("nobody", [TOPIC])).values())
    return {(r.partition, r.offset): int(r.value or b"-1") for r in await everything(log, TOPIC, count)}


async def test_nothing_acknowledged_is_lost_when_the_process_is_killed_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    draw = random.Random(SEED)
    acknowledged: Acknowledged = {}
    for kill in range(KILLS):
        told = await asyncio.to_thread(append_until_killed, path, kill * 1_000_000, draw.randrange(1, 1500))
        assert not told.keys() & acknowledged.keys(), f"an offset was given twice (seed {SEED})"
        acknowledged |= told
        log = EmbeddedLog(path, partitions=2)
        await log.start()
        there = await stored(log)
        assert acknowledged.items() <= there.items(), f"kill {kill} lost what was acknowledged (seed {SEED})"
        for partition in (0, 1):
            offsets = sorted(o for p, o in there if p == partition)
            assert offsets == list(range(len(offsets)))
        await log.stop()
    assert len(acknowledged) > KILLS


def tear(path: Path, draw: random.Random, *, garble: bool) -> None:
    """Cut the write-ahead log somewhere; what comes after the cut is gone, or is other bytes."""
    tail = path.with_name(path.name + "-wal")
    body = tail.read_bytes()
    cut = draw.randrange(len(body))
    tail.write_bytes(body[:cut] + (draw.randbytes(len(body) - cut) if garble else b""))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)


@pytest.mark.parametrize("seed", range(SEED, SEED + 8))
async def test_a_log_with_a_torn_tail_opens_with_a_whole_prefix_and_takes_appends(tmp_path: Path, seed: int) -> None:
    """What a loss of power may leave of pages that were on their way to the disk."""
    path = tmp_path / "torn" / "log.sqlite"
    told = await asyncio.to_thread(append_until_killed, path, 0, 150)
    shutil.copytree(path.parent, tmp_path / "whole", ignore=shutil.ignore_patterns("*.lock", "*-shm"))
    tear(path, random.Random(seed), garble=bool(seed % 2))
    whole = EmbeddedLog(tmp_path / "whole" / "log.sqlite", partitions=2)
    await whole.start()
    before = await stored(whole)
    await whole.stop()
    assert told.items() <= before.items()
    log = EmbeddedLog(path, partitions=2)
    await log.start()
    left = await stored(log)
    assert left.items() <= before.items()
    for partition in (0, 1):
        offsets = sorted(o for p, o in left if p == partition)
        assert offsets == list(range(len(offsets))), "records are missing in the middle"
    await log.append(TOPIC, records(20))
    assert len(await stored(log)) == len(left) + 20
    await log.stop()


async def test_a_second_process_on_the_same_file_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.sqlite")
    await log.start()
    with pytest.raises(LogUnavailable, match="one process's own: stop it first"):
        await EmbeddedLog(tmp_path / "log.sqlite").start()
    command = [sys.executable, "-m", "tests.kit.log.appender", str(tmp_path / "log.sqlite"), "0"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "another process uses" in done.stderr
    await log.stop()
    successor = EmbeddedLog(tmp_path / "log.sqlite")
    await successor.start()
    await successor.stop()


async def test_a_reader_in_the_middle_of_reading_does_not_hold_up_the_writer(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.sqlite")
    await log.start()
    things = await topic(log)
    await log.append(things, records(2000))
    with sqlite3.connect(tmp_path / "log.sqlite", isolation_level=None) as reader:
        cursor = reader.execute("SELECT body FROM batches")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM batches").fetchone()
        for start in range(2000, 3000, 100):
            await log.append(things, records(100, start=start))
        cursor.close()
    reader.close()
    assert sorted(values(await everything(log, things, 3000))) == list(range(3000))
    await log.stop()


async def test_a_full_disk_is_told_to_every_caller_and_leaves_no_gap(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.sqlite")
    await log.start()
    things = await topic(log)
    await log.append(things, records(10))
    # SQLite's own limit gives the very error that a full disk gives.
    await log._do(lambda c: c.execute("PRAGMA max_page_count = 20").fetchone())
    big = [Record(b"k", os.urandom(100_000))]
    told = await asyncio.gather(*(log.append(things, big) for _ in range(5)), return_exceptions=True)
    assert [type(t) for t in told] == [LogUnavailable] * 5
    assert "full" in str(told[0])
    await log._do(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
    positions = await log.append(things, records(5, start=10))
    assert [p.offset for p in positions] == list(range(10, 15))
    assert values(await everything(log, things, 15)) == list(range(15))
    await log.stop()


async def test_a_record_that_cannot_be_packed_is_refused_and_the_log_goes_on(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.sqlite")
    await log.start()
    things = await topic(log)
    no_bytes: Any = {object()}
    with pytest.raises(LogUnavailable, match="could not take it"):
        await log.append(things, [Record(b"k", no_bytes)])
    assert [p.offset for p in await log.append(things, records(3))] == [0, 1, 2]
    assert values(await everything(log, things, 3)) == [0, 1, 2]
    await log.stop()


async def test_a_file_that_is_no_log_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    log = EmbeddedLog(path)
    with pytest.raises(LogUnavailable, match="cannot be opened"):
        await log.start()
    assert path.read_bytes() == b"something else entirely" * 100
    path.unlink()
    await log.start()
    await log.stop()


async def test_a_log_that_is_closed_says_that_it_is_away(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.sqlite")
    await log.start()
    things = await topic(log)
    await log.append(things, records(3))
    subscription = await log.subscribe("g", [things])
    await log.stop()
    for attempt in (log.append(things, records(1)), log.check(), subscription.fetch(1, 0), subscription.commit({})):
        with pytest.raises(LogUnavailable):
            await attempt
