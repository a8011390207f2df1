"""A process that counts into a spooled log, told when to begin, and prints what was acknowledged; to be killed."""

import asyncio
import sys
from pathlib import Path

import structlog

from kit.log import Record, Topic
from kit.log.kafka import KafkaLog
from kit.log.spool import SpooledLog


async def main(bootstrap: str, path: str) -> None:
    inner = KafkaLog(bootstrap, partitions=2, replication=1, client_id="spooler")
    log = SpooledLog(inner, Path(path), topics=["things"], limit_bytes=1024 * 1024, patience=1.0)
    await log.start()
    await log.ensure([Topic("things"), Topic("others")])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    number = 0
    while True:
        await log.append("things", [Record(b"k", b"%d" % number)])
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        number += 1


if __name__ == "__main__":
    # What it logs would stand among the numbers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(*sys.argv[1:]))
