"""A process that joins a group, commits part of what it fetched, says so and goes on owning it, to be killed."""

import asyncio
import sys

from kit.log.kafka import KafkaLog
from tests.kit.log.support import next_to_read, read, topic


async def main(bootstrap: str, prefix: str) -> None:
    log = KafkaLog(bootstrap, partitions=1, replication=1, client_id="reader", prefix=prefix)
    await log.start()
    things = await topic(log)
    subscription = await log.subscribe("g", [things])
    batch = await read(subscription, 100)
    await subscription.commit(next_to_read(batch[:40]))
    print("holding", flush=True)  # noqa: T201 (the parent waits for it)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
