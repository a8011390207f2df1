"""A process that appends without end and prints what was acknowledged, to be killed: `python -m … FILE FIRST`."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from kit.log import Record, Topic
from kit.log.embedded import EmbeddedLog

TOPIC = "things"
WRITERS = 8


async def main(path: Path, first: int) -> None:
    log = EmbeddedLog(path, partitions=2)
    await log.start()
    await log.ensure([Topic(TOPIC)])
    numbers = count(first)

    async def write(writer: int) -> None:
        while True:
            batch = [next(numbers) for _ in range(1 + writer % 4)]
            given = [Record(b"w%d" % writer, b"%d" % number) for number in batch]
            positions = await log.append(TOPIC, given)
            lines = (f"{p.partition} {p.offset} {number}" for p, number in zip(positions, batch, strict=True))
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
